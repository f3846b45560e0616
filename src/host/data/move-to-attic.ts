/** Data disks go to the attic: one rename each, so that a disk is always in one of two places. */
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { devicesIn } from "../disk-folders.ts";
import type { MachineId } from "../host.ts";
import { dataDiskFile, machinePaths, type HostFolders } from "../machine-paths.ts";
import { makeAtticFolder, syncFolder, type AtticNote } from "./attic.ts";

/** All data disks of a machine with its labels; then nothing is left of the machine. No-op without data disks. */
export async function moveDataToAttic(folders: HostFolders, id: MachineId, note: AtticNote): Promise<void> {
  const { folder, labels } = machinePaths(folders, id);
  const devices = await devicesIn(folder);
  if (devices.length > 0) {
    const target = await moveDisksToAttic(folders, id, { devices, note });
    await moveIfThere(labels, path.join(target, path.basename(labels)));
  }
  if ((await devicesIn(folder)).length > 0) throw new Error(`data disks are still in ${folder}`);
  await rm(folder, { recursive: true, force: true });
}

/** Moves those that are there into one new folder of the attic, and resolves to that. */
export async function moveDisksToAttic(
  folders: HostFolders,
  id: MachineId,
  { devices, note }: { readonly devices: readonly string[]; readonly note: AtticNote },
): Promise<string> {
  const paths = machinePaths(folders, id);
  const target = await makeAtticFolder(folders, id, note);
  for (const device of devices)
    await moveIfThere(paths.dataDisk(device), path.join(target, dataDiskFile(device)));
  await syncFolder(target);
  await syncFolder(paths.folder);
  return target;
}

async function moveIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  });
}
