/** What goes with a lab, as its files say: also where no host manager answers any more. */
import { namesIn } from "../../folder-names.ts";
import { atticFolders, devicesIn, machineFolders, type DiskFolder } from "../disk-folders.ts";
import { domainName } from "../names.ts";
import { hostDataFolder, type LabHost, type LabState } from "./lab-state.ts";

/**
 * A line for each machine, data disk and entry of an attic, `host1: the data disk vdb of d of office-3f2a1c`; empty for a lab that
 * holds nothing of its user's.
 */
export async function labContents(lab: LabState & { readonly up: boolean }): Promise<readonly string[]> {
  const found = await Promise.all(lab.hosts.map((host) => contentsOf(host, lab.up)));
  return found.flatMap((lines, index) => lines.map((line) => `${lab.hosts[index]?.name ?? ""}: ${line}`));
}

async function contentsOf(host: LabHost, isUp: boolean): Promise<string[]> {
  const directory = hostDataFolder(host);
  const running = new Set(isUp ? await runningDomains(host) : []);
  const stopped: string[] = [];
  const disks: string[] = [];
  for await (const place of machineFolders({ directory })) {
    const domain = domainName(place.machine);
    if (!running.has(domain) && (await hasOverlay(place)))
      stopped.push(`the machine ${domain}, which is stopped`);
    disks.push(...(await dataDisksIn(place)));
  }
  for await (const place of atticFolders({ directory }))
    disks.push(...(await dataDisksIn(place)).map((line) => `in the attic, ${line}`));
  return [...[...running].map((domain) => `the machine ${domain}, which runs`), ...stopped, ...disks];
}

/** The host's libvirt writes a file for each that runs, which is there when libvirt hangs, too. */
async function runningDomains({ init }: LabHost): Promise<string[]> {
  const names = await namesIn(`/proc/${init.pid}/root/run/libvirt/qemu`);
  return names.flatMap((name) => /^(.+)\.pid$/.exec(name)?.[1] ?? []).filter((name) => name !== "driver");
}

async function hasOverlay({ folder }: DiskFolder): Promise<boolean> {
  return (await namesIn(folder)).some((name) => name.startsWith("overlay-"));
}

async function dataDisksIn({ machine, folder }: DiskFolder): Promise<string[]> {
  const { networkId, component } = machine;
  const owner = component === "" ? networkId : `${component} of ${networkId}`;
  return (await devicesIn(folder)).map((device) => `the data disk ${device} of ${owner}`);
}
