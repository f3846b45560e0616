/** What goes with a lab, as its files say: also where no host manager answers any more. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { deviceOfDataDisk } from "../machine-paths.ts";
import { domainName, machineOfFolder } from "../names.ts";
import { hostDataFolder, type LabHost, type LabState } from "./lab-state.ts";

/**
 * A line for each machine, data disk and entry of an attic, `host1: the data disk vdb of d of office-3f2a1c`; empty for a lab that
 * holds nothing of its user's.
 */
export async function labContents(lab: LabState & { readonly up: boolean }): Promise<readonly string[]> {
  const found = await Promise.all(lab.hosts.map((host) => contentsOf(host, lab.up)));
  return found.flatMap((lines, index) => lines.map((line) => `${lab.hosts[index]?.name ?? ""}: ${line}`));
}

/** A folder of disks: of a machine, or of the attic. */
interface DiskFolder {
  readonly networkId: string;
  readonly component: string;
  readonly files: readonly string[];
}

async function contentsOf(host: LabHost, isUp: boolean): Promise<string[]> {
  const directory = hostDataFolder(host);
  const running = new Set(isUp ? await runningDomains(host) : []);
  const machines = await machineFolders(path.join(directory, "networks"));
  const attic = await atticFolders(path.join(directory, "attic"));
  return [
    ...[...running].map((domain) => `the machine ${domain}, which runs`),
    ...machines
      .filter((machine) => hasOverlay(machine) && !running.has(domainOf(machine)))
      .map((machine) => `the machine ${domainOf(machine)}, which is stopped`),
    ...machines.flatMap(dataDisksIn),
    ...attic.flatMap(dataDisksIn).map((line) => `in the attic, ${line}`),
  ];
}

/** The host's libvirt writes a file for each that runs, which is there when libvirt hangs, too. */
async function runningDomains({ init }: LabHost): Promise<string[]> {
  const names = await namesIn(`/proc/${init.pid}/root/run/libvirt/qemu`);
  return names.flatMap((name) => /^(.+)\.pid$/.exec(name)?.[1] ?? []).filter((name) => name !== "driver");
}

async function machineFolders(parent: string): Promise<DiskFolder[]> {
  const found: DiskFolder[] = [];
  for (const networkId of await namesIn(parent)) {
    const machines = path.join(parent, networkId, "machines");
    for (const component of await namesIn(machines))
      found.push({ networkId, component, files: await namesIn(path.join(machines, component)) });
  }
  return found;
}

/** A folder of the attic for each time at which something was moved there. */
async function atticFolders(parent: string): Promise<DiskFolder[]> {
  const found: DiskFolder[] = [];
  for (const networkId of await namesIn(parent))
    for (const component of await namesIn(path.join(parent, networkId)))
      for (const time of await namesIn(path.join(parent, networkId, component)))
        found.push({
          networkId,
          component,
          files: await namesIn(path.join(parent, networkId, component, time)),
        });
  return found;
}

function hasOverlay({ files }: DiskFolder): boolean {
  return files.some((file) => file.startsWith("overlay-"));
}

function domainOf({ networkId, component }: DiskFolder): string {
  return domainName(machineOfFolder(networkId, component) ?? { networkId, component });
}

function dataDisksIn({ networkId, component, files }: DiskFolder): string[] {
  const owner = component === "_root" ? networkId : `${component} of ${networkId}`;
  return files
    .flatMap((file) => deviceOfDataDisk(file) ?? [])
    .map((device) => `the data disk ${device} of ${owner}`);
}

/** In alphabetical order; empty for what is no folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}
