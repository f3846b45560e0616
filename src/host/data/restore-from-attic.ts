/** A data disk comes back from the attic. */
import { rename } from "node:fs/promises";
import path from "node:path";
import { devicesIn } from "../disk-folders.ts";
import type { MachineId } from "../host.ts";
import { machinePaths, type HostFolders } from "../machine-paths.ts";
import { makePassable } from "../passable-folder.ts";
import { findEntry, listAttic, syncFolder, tidyAtticFolder, type AtticNote } from "./attic.ts";
import type { RestoredDisk } from "./data-calls.ts";
import { damagedDisk, inspectDataDisk } from "./inspect-data-disk.ts";
import { moveDisksToAttic } from "./move-to-attic.ts";

export interface RestoreRequest {
  readonly entry: string;
  readonly device: string;
  readonly site: string | null;
  readonly note: AtticNote;
}

/**
 * In the machine's turn, which does not run. What it has goes to the attic before the entry takes its place: a kill in between leaves
 * both there, and the same call goes on.
 * @throws CollectiveError HOST_ATTIC_UNKNOWN, HOST_OTHER_SITE, HOST_DISK_DAMAGED
 */
export async function restoreFromAttic(
  folders: HostFolders,
  id: MachineId,
  { entry: entryId, device, site, note }: RestoreRequest,
): Promise<RestoredDisk> {
  const entry = await findEntry(folders, entryId, site);
  const found = await inspectDataDisk(entry.path);
  if (found?.sizeBytes == null || found.refusal !== undefined)
    throw damagedDisk(entry.path, found?.refusal ?? "it is gone");
  const paths = machinePaths(folders, id);
  await makePassable(paths.folder, folders.directory);
  const aside = (await devicesIn(paths.folder)).includes(device)
    ? await moveDisksToAttic(folders, id, { devices: [device], note })
    : undefined;
  await rename(entry.path, paths.dataDisk(device));
  await syncFolder(paths.folder);
  await syncFolder(path.dirname(entry.path));
  await tidyAtticFolder(path.dirname(entry.path));
  return { sizeBytes: found.sizeBytes, putAside: await entryIn(folders, aside) };
}

async function entryIn(folders: HostFolders, folder: string | undefined): Promise<string | null> {
  if (folder === undefined) return null;
  const entries = await listAttic(folders);
  return entries.find((entry) => path.dirname(entry.path) === folder)?.id ?? null;
}
