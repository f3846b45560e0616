/** The data disks of machines on this host, and what room their file system has. */
import { statfs } from "node:fs/promises";
import { devicesIn, machineFolders } from "../disk-folders.ts";
import type { MachineId } from "../host.ts";
import { machinePaths, type HostFolders } from "../machine-paths.ts";
import type { DataDiskDetails, DataListing } from "./data-calls.ts";
import { inspectDataDisk } from "./inspect-data-disk.ts";

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
  for await (const { machine: id, folder } of machineFolders(folders, networkId ?? undefined)) {
    const inUse = use.devicesInUse(id);
    for (const device of await devicesIn(folder)) {
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
