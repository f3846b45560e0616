/** Entries of the attic are deleted for good: those that are named, and nothing else. */
import { unlink } from "node:fs/promises";
import path from "node:path";
import type { MachineId } from "../host.ts";
import type { HostFolders } from "../machine-paths.ts";
import { listAttic, requireSite, tidyAtticFolder } from "./attic.ts";

export interface PurgeRequest {
  readonly entries: readonly string[];
  readonly site: string | null;
  /** Runs `task` when nothing else is done to the disks of this machine. */
  readonly inTurn: <Result>(machine: MachineId, task: () => Promise<Result>) => Promise<Result>;
}

/**
 * Resolves to the entries that were there. All are looked at before the first one goes.
 * @throws CollectiveError HOST_OTHER_SITE
 */
export async function purgeAttic(
  folders: HostFolders,
  { entries, site, inTurn }: PurgeRequest,
): Promise<string[]> {
  const named = new Set(entries);
  const found = (await listAttic(folders)).filter(({ id }) => named.has(id));
  for (const entry of found) requireSite(entry, site);
  const purged: string[] = [];
  for (const { id, machine, path: file } of found) {
    if (await inTurn(machine, () => purgeFile(file))) purged.push(id);
  }
  return purged;
}

/** False when it was restored meanwhile. */
async function purgeFile(file: string): Promise<boolean> {
  const isThere = await unlink(file).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    },
  );
  await tidyAtticFolder(path.dirname(file));
  return isThere;
}
