// node ask.ts <dns server> <name>: asks that server for the name's address, fetches the page there and everybody's uptime,
// prints one line of JSON, or in one line why it cannot. The quickstart runs it in the lab's outside namespace.
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
try {
  console.log(JSON.stringify(await ask(server, name)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function ask(server: string, name: string): Promise<Answer> {
  const resolver = new Resolver({ timeout: 2000, tries: 3 });
  resolver.setServers([server]);
  const [address] = await resolver.resolve4(name);
  if (address === undefined) throw new Error(`${name} has no address`);
  const page = await fetchText(`http://${address}/`);
  const uptimes = { firewall: await uptime(address, 8080), dns: await uptime(address, 8081) };
  return { name, address, page, uptimes };
}

/** Each machine shows its own on a port of the public address. */
async function uptime(address: string, port: number): Promise<number> {
  return Number(/uptime=([\d.]+)/.exec(await fetchText(`http://${address}:${port}/`))?.[1]);
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) }).catch((error: unknown) => {
    const { cause, message } = error as Error;
    throw new Error(`${url} does not answer: ${cause instanceof Error ? cause.message : message}`);
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.text();
}
