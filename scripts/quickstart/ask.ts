// node ask.ts <dns server> <name>: asks that server for the name's address, fetches the page there and everybody's uptime,
// prints one line of JSON. The quickstart runs it in the lab's outside namespace.
import { Resolver } from "node:dns/promises";

const [server, name] = process.argv.slice(2);
const resolver = new Resolver({ timeout: 2000, tries: 3 });
resolver.setServers([server]);
const [address] = await resolver.resolve4(name);

const page = await text(`http://${address}/`);
const uptimes = {};
for (const [machine, port] of [
  ["firewall", 8080],
  ["dns", 8081],
]) {
  uptimes[machine] = Number(/uptime=([\d.]+)/.exec(await text(`http://${address}:${port}/`))?.[1]);
}
console.log(JSON.stringify({ name, address, page, uptimes }));

async function text(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.text();
}
