/** The data disks of machines on this host, and what room their file system has. */
import { readdir, statfs } from "node:fs/promises";
import path from "node:path";
import type { MachineId } from "../host.ts";
import { machinePaths, type HostFolders } from "../machine-paths.ts";
import { machineOfFolder } from "../names.ts";
import type { DataDiskDetails, DataListing } from "./data-calls.ts";
import { inspectDataDisk } from "./inspect-data-disk.ts";
import { devicesOf } from "./move-to-attic.ts";

export interface DataUse {
  /** Devices that the running machine has; none when it does not run. */
  devicesInUse(id: MachineId): ReadonlySet<string>;
  isExported(file: string): boolean;
}

/** Of one network; null: of all. */
export async function listData(
  folders: HostFolders,
  networkId: string | null,
  use: DataUse,
): Promise<DataListing> {
  const { bsize, blocks, bavail } = await statfs(folders.directory);
  const disks: DataDiskDetails[] = [];
  for (const id of await machinesOf(folders, networkId)) {
    const inUse = use.devicesInUse(id);
    for (const device of await devicesOf(folders, id)) {
      const file = machinePaths(folders, id).dataDisk(device);
      const found = await inspectDataDisk(file);
      if (found === undefined) continue;
      const { sizeBytes, allocatedBytes, snapshots } = found;
      const isInUse = inUse.has(device);
      const isExported = use.isExported(file);
      disks.push({ id, device, path: file, sizeBytes, allocatedBytes, snapshots, isInUse, isExported });
    }
  }
  return { disks, fileSystem: { totalBytes: blocks * bsize, freeBytes: bavail * bsize } };
}

async function machinesOf({ directory }: HostFolders, networkId: string | null): Promise<MachineId[]> {
  const networks = path.join(directory, "networks");
  const ids = networkId === null ? await namesIn(networks) : [networkId];
  const machines = await Promise.all(
    ids.map(async (id) =>
      (await namesIn(path.join(networks, id, "machines"))).flatMap((name) => machineOfFolder(id, name) ?? []),
    ),
  );
  return machines.flat();
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
}
