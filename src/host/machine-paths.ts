/**
 * Where a host keeps things:
 *
 *     <directory>/images/<index digest>.raw, <oid>                whole program disks; kernels and initrds
 *     <directory>/networks/<network id>/fence.json
 *     <directory>/networks/<network id>/machines/<component>/     machine.json, data-vdb.qcow2, overlay-vda.qcow2, …
 *     <directory>/attic/<network id>/<component>/<time>/          the data disks of a removed component
 *     <run directory>/<key>/                                      sockets, what the guest said; gone after a restart
 *     <secrets directory>/<key>/                                  parameters; in memory only
 */
import { access } from "node:fs/promises";
import path from "node:path";
import type { MachineId } from "./host.ts";
import { componentFolder, machineKey } from "./names.ts";

export interface HostFolders {
  /** Disks; kept over restarts of the host. `/var/lib/collective`. */
  readonly directory: string;
  /** `/run/collective`. */
  readonly runDirectory: string;
  /** On a file system in memory. */
  readonly secretsDirectory: string;
}

export interface MachinePaths {
  readonly folder: string;
  readonly labels: string;
  readonly consoleLog: string;
  readonly uefiVariables: string;
  readonly runFolder: string;
  readonly console: string;
  readonly channel: string;
  readonly guestState: string;
  readonly domainXml: string;
  readonly secretsFolder: string;
  readonly parameters: string;
  readonly seed: string;
  overlay(device: string): string;
  dataDisk(device: string): string;
}

export function machinePaths(folders: HostFolders, id: MachineId): MachinePaths {
  const folder = path.join(machinesFolder(folders, id.networkId), componentFolder(id.component));
  const runFolder = path.join(folders.runDirectory, machineKey(id));
  const secretsFolder = path.join(folders.secretsDirectory, machineKey(id));
  return {
    folder,
    labels: path.join(folder, "machine.json"),
    consoleLog: path.join(folder, "console.log"),
    uefiVariables: path.join(folder, "uefi-variables.fd"),
    runFolder,
    console: path.join(runFolder, "console"),
    channel: path.join(runFolder, "channel"),
    guestState: path.join(runFolder, "guest.json"),
    domainXml: path.join(runFolder, "domain.xml"),
    secretsFolder,
    parameters: path.join(secretsFolder, "parameters"),
    seed: path.join(secretsFolder, "seed.iso"),
    overlay: (device) => path.join(folder, `overlay-${deviceFile(device)}.qcow2`),
    dataDisk: (device) => path.join(folder, dataDiskFile(device)),
  };
}

/** As long as any; machines' folders there have names of one length. */
export function longestMachineSocket(folders: HostFolders): string {
  return machinePaths(folders, { networkId: "", component: "" }).channel;
}

/** The folder, or where it would be made. */
export async function existingFolder(folder: string): Promise<string> {
  let there = path.resolve(folder);
  for (; there !== path.dirname(there); there = path.dirname(there)) {
    const isThere = await access(there).then(
      () => true,
      () => false,
    );
    if (isThere) break;
  }
  return there;
}

export function imagesFolder(folders: HostFolders): string {
  return path.join(folders.directory, "images");
}

export function imagePath(folders: HostFolders, indexDigest: string): string {
  return path.join(imagesFolder(folders), `${indexDigest}.raw`);
}

export function bootFilePath(folders: HostFolders, oid: string): string {
  return path.join(imagesFolder(folders), oid);
}

export function networkFolder(folders: HostFolders, networkId: string): string {
  return path.join(folders.directory, "networks", networkId);
}

function machinesFolder(folders: HostFolders, networkId: string): string {
  return path.join(networkFolder(folders, networkId), "machines");
}

export function atticFolder(folders: HostFolders, id: MachineId): string {
  return path.join(folders.directory, "attic", id.networkId, componentFolder(id.component));
}

export function dataDiskFile(device: string): string {
  return `data-${deviceFile(device)}.qcow2`;
}

/** The device a data disk's file name stands for; undefined for other files. */
export function deviceOfDataDisk(file: string): string | undefined {
  return /^data-([a-z0-9_]+)\.qcow2$/.exec(file)?.[1]?.replace("_", ":");
}

/** The devices of `.vmx` files, `ide0:1`, have a colon. */
function deviceFile(device: string): string {
  return device.replace(":", "_");
}
