// node ask.ts <dns server> <name>: asks that server for the name's address, fetches the page there and everybody's uptime,
// prints one line of JSON. The quickstart runs it in the lab's outside namespace.
import { Resolver } from "node:dns/promises";

/** What it prints. */
export interface Answer {
  readonly name: string;
  readonly address: string;
  readonly page: string;
  /** Seconds since the guest booted, by component. */
  readonly uptimes: { readonly firewall: number; readonly dns: number };
}

const [server, name] = process.argv.slice(2);
if (server === undefined || name === undefined) throw new Error("usage: node ask.ts <dns server> <name>");
const resolver = new Resolver({ timeout: 2000, tries: 3 });
resolver.setServers([server]);
const [address] = await resolver.resolve4(name);
if (address === undefined) throw new Error(`${name} has no address`);

const page = await text(`http://${address}/`);
const uptimes = { firewall: await uptime(8080), dns: await uptime(8081) };
console.log(JSON.stringify({ name, address, page, uptimes } satisfies Answer));

/** Each machine shows its own on a port of the public address. */
async function uptime(port: number): Promise<number> {
  return Number(/uptime=([\d.]+)/.exec(await text(`http://${address}:${port}/`))?.[1]);
}

async function text(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.text();
}
