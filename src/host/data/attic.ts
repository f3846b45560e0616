/**
 * The attic: data disks whose component is gone, or that were put aside for others.
 *
 *     <directory>/attic/<network id>/<component>/<time>/    entry.json, machine.json, data-vdb.qcow2, …
 *
 * Each data disk is one entry. A folder is named for the time at which it was made, and none is used twice.
 */
import { createHash } from "node:crypto";
import { mkdir, open, readFile, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import { writeFileAtomically } from "../../io.ts";
import { atticFolders, devicesIn, type DiskFolder } from "../disk-folders.ts";
import { knownSite } from "../fences.ts";
import type { MachineId } from "../host.ts";
import { atticFolder, dataDiskFile, type HostFolders } from "../machine-paths.ts";
import type { AtticEntry } from "./data-calls.ts";
import { inspectDataDisk } from "./inspect-data-disk.ts";
import { otherSiteError } from "./other-site.ts";

const ENTRY_FILE = "entry.json";
const LABELS_FILE = "machine.json";

const noteSchema = z.object({
  format: z.literal(1),
  movedAt: z.string(),
  command: z.string().nullable(),
  site: z.string().nullable(),
});

/** What is written beside the disks when they go to the attic. */
export type AtticNote = Omit<z.infer<typeof noteSchema>, "format" | "movedAt">;

/** Every entry, in the order of networks, components and times. */
export async function listAttic(folders: HostFolders): Promise<AtticEntry[]> {
  const entries: AtticEntry[] = [];
  for await (const place of atticFolders(folders)) {
    const note = await readNote(place);
    const site = note?.site ?? (await knownSite(folders, place.machine.networkId)) ?? null;
    for (const device of await devicesIn(place.folder)) {
      const file = path.join(place.folder, dataDiskFile(device));
      const found = await inspectDataDisk(file);
      if (found === undefined) continue; // it went while we looked
      entries.push({
        id: entryId(place, device),
        machine: place.machine,
        device,
        sizeBytes: found.sizeBytes,
        allocatedBytes: found.allocatedBytes,
        movedAt: note?.movedAt ?? (await timeOf(place)),
        command: note?.command ?? null,
        site,
        path: file,
      });
    }
  }
  return entries;
}

/** @throws CollectiveError HOST_ATTIC_UNKNOWN; HOST_OTHER_SITE when it is another site's */
export async function findEntry(folders: HostFolders, id: string, site: string | null): Promise<AtticEntry> {
  const entry = (await listAttic(folders)).find((candidate) => candidate.id === id);
  if (entry === undefined) {
    throw new CollectiveError("HOST_ATTIC_UNKNOWN", `the attic of this host has no entry ${id}`, {
      data: { entry: id },
      hint: "it was restored or purged meanwhile: `cui attic list` shows what is there",
    });
  }
  requireSite(entry, site);
  return entry;
}

/** A site without an id has no data of its own: what says whose it is belongs to another. @throws CollectiveError HOST_OTHER_SITE */
export function requireSite(
  { site: owner, machine, device }: Pick<AtticEntry, "site" | "machine" | "device">,
  site: string | null,
): void {
  if (owner === null || owner === site) return;
  throw otherSiteError({ owner, site, device, machine });
}

/** A new folder for disks of this machine, with the note; nothing is in it yet. */
export async function makeAtticFolder(folders: HostFolders, id: MachineId, note: AtticNote): Promise<string> {
  const parent = atticFolder(folders, id);
  for (let at = Date.now(); ; at += 1) {
    const movedAt = new Date(at).toISOString();
    const folder = path.join(parent, movedAt.replaceAll(":", ""));
    await mkdir(parent, { recursive: true, mode: 0o700 });
    if (!(await makeNew(folder))) continue;
    const text = JSON.stringify({ format: 1, movedAt, ...note });
    await writeFileAtomically(path.join(folder, ENTRY_FILE), text);
    return folder;
  }
}

/** Takes away a folder without data disks, and the folders above that are empty then; what else lies in one stays. */
export async function tidyAtticFolder(folder: string): Promise<void> {
  if ((await devicesIn(folder)).length > 0) return;
  for (const name of [ENTRY_FILE, LABELS_FILE]) await rm(path.join(folder, name), { force: true });
  for (const each of [folder, path.dirname(folder), path.dirname(path.dirname(folder))]) {
    const isGone = await rmdir(each).then(
      () => true,
      () => false, // something lies in it
    );
    if (!isGone) return;
  }
}

/** What a rename did is on the disk then, whatever happens to the machine. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

function entryId({ machine, folder }: DiskFolder, device: string): string {
  return createHash("sha256")
    .update([machine.networkId, machine.component, path.basename(folder), device].join("\0"))
    .digest("hex")
    .slice(0, 12);
}

async function readNote({ folder }: DiskFolder): Promise<z.infer<typeof noteSchema> | undefined> {
  try {
    return noteSchema.parse(JSON.parse(await readFile(path.join(folder, ENTRY_FILE), "utf8")));
  } catch {
    return undefined; // an earlier release wrote none
  }
}

/** From the folder's name, `2026-11-29T094641.123Z`; of one with another name, when it was changed last. */
async function timeOf({ folder }: DiskFolder): Promise<string> {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d)(\d\d)(\d\d\.\d{3}Z)$/.exec(path.basename(folder));
  if (parts !== null) return `${parts[1] ?? ""}:${parts[2] ?? ""}:${parts[3] ?? ""}`;
  return (await stat(folder)).mtime.toISOString();
}

async function makeNew(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { mode: 0o700 });
    return true;
  } catch (error) {
    // There already; or what is above was empty, and somebody who tidied took it away.
    if (["EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
