/** What must be true after any accident, asked of the real things. Each problem is one line. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { StatusReport } from "../../src/manager/observe/network-status.ts";
import type { FoundDisk, RealMachine, Told } from "./real-side.ts";

/** The highest number that each name was told with. */
export type Ledger = Map<string, Told>;

export function enter(ledger: Ledger, told: readonly Told[]): void {
  for (const kept of told) {
    const known = ledger.get(kept.name);
    if (known === undefined || known.starts < kept.starts) ledger.set(kept.name, kept);
  }
}

/** Every disk that a guest wrote to is found, as that guest left it. */
export function lostDisks(ledger: Ledger, disks: readonly FoundDisk[]): string[] {
  const problems: string[] = [];
  for (const { name, component, starts } of ledger.values()) {
    const copies = disks.filter((disk) => disk.name === name);
    const newest = copies.find((disk) => disk.starts >= starts);
    const list = copies.map((copy) => `${copy.file} (${copy.starts})`).join(", ");
    if (copies.length === 0) problems.push(`the data disk ${name} of ${component} is nowhere`);
    else if (newest === undefined)
      problems.push(`the data disk ${name} of ${component} should be at ${starts}, but there is ${list}`);
    else if (!newest.isWhole) problems.push(`${newest.file} is not as its guest left it`);
  }
  return problems;
}

/** A component that had a disk never gets an empty one without a word. */
export function forgottenDisks(ledger: Ledger): string[] {
  const names = new Map<string, string[]>();
  for (const { name, networkId, component } of ledger.values()) {
    const key = `${component} of ${networkId}`;
    names.set(key, [...(names.get(key) ?? []), name]);
  }
  return [...names].flatMap(([component, found]) =>
    found.length < 2 ? [] : [`${component} was given an empty data disk beside ${found.join(", ")}`],
  );
}

/** No address, MAC or tag twice among what runs, no machine twice, no disk used twice. */
export function sharedThings(
  machines: readonly RealMachine[],
  tags: ReadonlyMap<string, ReadonlyMap<string, number | null>>,
): string[] {
  const problems: string[] = [];
  const users = new Map<string, string>();
  const claim = (what: string, user: string): void => {
    const other = users.get(what);
    if (other !== undefined && other !== user) problems.push(`${what} is used by ${other} and by ${user}`);
    users.set(what, user);
  };
  for (const machine of machines.filter(({ state }) => state !== "off")) {
    const user = `${machine.domain} on ${machine.host}`;
    claim(`the domain ${machine.domain}`, user);
    for (const mac of machine.macs) claim(`the MAC address ${mac}`, user);
    for (const { ip, tag } of machine.addresses)
      claim(`the address ${ip} of segment ${tag ?? "outside"}`, user);
    for (const disk of machine.disks) claim(`the data disk ${disk}`, user);
    for (const port of machine.ports) {
      const tag = tags.get(machine.host)?.get(port);
      if (tag === undefined) problems.push(`${user} has no port ${port} on the bridge`);
      else if (tag !== null) claim(`the VLAN tag ${tag}`, machine.networkId);
    }
  }
  return problems;
}

const ON = new Set(["starting", "ready", "failed", "stopping", "paused"]);

/** `cui status --json` says of each machine of the site what libvirt says. */
export function untrueStatus(
  report: StatusReport,
  machines: readonly RealMachine[],
  isOwn: (networkId: string) => boolean,
): string[] {
  const problems = report.unreachable.map(({ host, message }) => `status cannot reach ${host}: ${message}`);
  const said = report.networks.flatMap(({ networkId, machines: found }) =>
    found.map((machine) => ({ ...machine, networkId })),
  );
  const strangers = [
    ...report.networks.flatMap(({ networkId, orphans }) =>
      orphans.map((orphan) => ({ ...orphan, networkId })),
    ),
    ...report.unknown,
  ];
  for (const { networkId, component, host, state } of machines) {
    if (state === "off" || !isOwn(networkId)) continue;
    const isNamed = strangers.some(
      (stranger) =>
        stranger.networkId === networkId && stranger.component === component && stranger.host === host,
    );
    const entry = said.find(
      (machine) =>
        machine.networkId === networkId && machine.component === component && machine.host === host,
    );
    const isTrue =
      entry !== undefined && ON.has(entry.state) && (entry.state === "paused") === (state === "paused");
    if (!isTrue && !isNamed)
      problems.push(
        `${component} of ${networkId} is ${state} on ${host}, status says ${entry?.state ?? "nothing"}`,
      );
  }
  for (const { networkId, component, host, state } of said) {
    const real = machines.find(
      (machine) =>
        machine.networkId === networkId && machine.component === component && machine.host === host,
    );
    const runs = real !== undefined && real.state !== "off";
    if (ON.has(state) && !runs)
      problems.push(`status says ${component} of ${networkId} is ${state} on ${host}, where it is not`);
    if (state === "unseen")
      problems.push(`status says ${component} of ${networkId} is unseen on ${host}, which is up`);
  }
  return problems;
}

/** Ids of the networks that a site's folders name. */
export async function networksOf(...sites: readonly string[]): Promise<ReadonlySet<string>> {
  const texts = await Promise.all(
    sites.map((site) => readFile(path.join(site, "utility.yaml"), "utf8").catch(() => "")),
  );
  return new Set(texts.flatMap((text) => [...text.matchAll(/\bid: ([a-z0-9-]+)/g)].map(([, id = ""]) => id)));
}
