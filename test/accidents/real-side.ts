/** What really runs and lies on the hosts: libvirt, Open vSwitch and the files are asked, not cui. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { readDomainLabels } from "../../src/host/domain-xml.ts";
import { run, stderrOf } from "../../src/io.ts";
import { filesBelow } from "./accidents.ts";
import { readConsole, readDataDisk, type Kept } from "./keeper-guest.ts";
import type { HostSide } from "./host-side.ts";
import type { World } from "./world.ts";

export interface RealMachine {
  readonly host: string;
  readonly domain: string;
  readonly networkId: string;
  readonly component: string;
  readonly state: "running" | "paused" | "off";
  readonly macs: readonly string[];
  readonly addresses: readonly { readonly ip: string; readonly tag: number | null }[];
  /** Names of its ports on the bridge. */
  readonly ports: readonly string[];
  readonly disks: readonly string[];
}

export async function realMachines({ hosts }: World): Promise<RealMachine[]> {
  return (await Promise.all(hosts.map((host) => machinesOn(host)))).flat();
}

async function machinesOn(host: HostSide): Promise<RealMachine[]> {
  const names = (await host.virsh("list", "--all", "--name")).split("\n").filter(Boolean);
  return (await Promise.all(names.map((domain) => machineOf(host, domain)))).flat();
}

/** None where it is gone by now: what a killed command asked for may still go on. */
async function machineOf(host: HostSide, domain: string): Promise<RealMachine[]> {
  let answers: [string, string];
  try {
    answers = await Promise.all([host.virsh("dumpxml", domain), host.virsh("domstate", domain)]);
  } catch (error) {
    if (/failed to get domain|Domain not found/.test(stderrOf(error))) return [];
    throw error;
  }
  const [xml, state] = answers;
  const labels = readDomainLabels(xml);
  return [
    {
      host: host.lab.name,
      domain,
      networkId: labels?.networkId ?? "",
      component: labels?.component ?? "",
      state: /running|idle/.test(state) ? "running" : /paused/.test(state) ? "paused" : "off",
      macs: matches(xml, /<mac address='([^']*)'/g),
      addresses: (labels?.interfaces ?? []).flatMap(({ ip, port }) =>
        ip === undefined || port === null ? [] : [{ ip, tag: port.tag }],
      ),
      ports: matches(xml, /<target dev='(cu[0-9a-f]+\.\d+)'/g),
      disks: matches(xml, /<source file='([^']*data-[^']*)'/g),
    },
  ];
}

/** VLAN tag of each port, as Open vSwitch has it; null: none, or 0. */
export async function portTags(host: HostSide): Promise<ReadonlyMap<string, number | null>> {
  const text = await host.exec(
    "ovs-vsctl",
    "-f",
    "csv",
    "--no-headings",
    "--columns=name,tag",
    "list",
    "Port",
  );
  const lines = text.trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [name = "", tag = ""] = line.replaceAll('"', "").split(",");
      return [name, /^[1-9]\d*$/.test(tag) ? Number(tag) : null];
    }),
  );
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, found = ""]) => found);
}

export interface Told extends Kept {
  readonly component: string;
  readonly networkId: string;
}

/** What the guests have said on their consoles, wherever the logs lie by now. */
export async function consoles(world: World): Promise<Told[]> {
  const told: Told[] = [];
  for (const file of await filesOf(world, /\/console\.log$/)) {
    const [, networkId = "", component = ""] = /networks\/([^/]+)\/machines\/([^/]+)\//.exec(file) ?? [];
    const text = await readFile(file, "latin1").catch(() => "");
    told.push(...readConsole(text).map((kept) => ({ ...kept, networkId, component })));
  }
  return told;
}

export interface FoundDisk extends Kept {
  readonly file: string;
  readonly isWhole: boolean;
}

/** Every data disk that a guest has written to, wherever it lies. No machine may run. */
export async function dataDisks(world: World): Promise<FoundDisk[]> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "cui-disks-"));
  try {
    const found: FoundDisk[] = [];
    for (const file of await filesOf(world, /\/(data-[^/]*|disk\d+)\.qcow2$/)) {
      const raw = path.join(folder, "disk.raw");
      await run({ file: "qemu-img", args: ["convert", "-f", "qcow2", "-O", "raw", "--", file, raw] });
      const content = readDataDisk(await readFile(raw));
      if (content !== undefined) found.push({ file, ...content });
    }
    return found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function filesOf({ hosts, aside }: World, pattern: RegExp): Promise<string[]> {
  const folders = [...hosts.map(({ folder }) => path.dirname(folder)), aside];
  const files = (await Promise.all(folders.map((folder) => filesBelow(folder)))).flat();
  return files.filter((file) => pattern.test(file));
}
