/** Turns the disk images of a working folder into index and packs, against the version before. */
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import type { DiskIndex } from "../disk/disk-index.ts";
import { listPacks } from "../disk/forecast.ts";
import { decodeIndex, encodeIndex } from "../disk/index-files.ts";
import type { Oid } from "../disk/object-store.ts";
import { writeProgramDisk, type WriteProgress } from "../disk/write-program-disk.ts";
import { CollectiveError } from "../errors.ts";
import { readIndex } from "../appliance/read-disk-index.ts";
import type { ImageTree } from "../appliance/version-files.ts";
import { formatLfsPointer } from "../lfs/pointer.ts";
import { diskIndexPath } from "../appliance/disk-name.ts";
import { readRegularFile } from "../regular-file.ts";

export interface WriteDisksOptions {
  /** The appliance's folder. */
  readonly folder: string;
  /** Paths of the program disks' images inside it. */
  readonly sources: readonly string[];
  /** The newest version before this one; its packs are published. */
  readonly previous: ImageTree | undefined;
  readonly onProgress?: ((source: string, progress: WriteProgress) => void) | undefined;
}

export interface AddedDisk {
  readonly source: string;
  readonly indexPath: string;
  readonly sizeBytes: number;
  /** Size of the packs that hold what the version before does not have. */
  readonly addedBytes: number;
  /** The image is absent: the disk stays as it was. */
  readonly isUnchanged: boolean;
}

export const PACKS_FOLDER = "disks/packs";

/**
 * Writes `disks/<name>.index/` and `disks/packs/` so that they hold exactly what these disks need: packs that were made since
 * the version before are replaced, packs of it that lie nowhere here are written as Git LFS pointers, others are removed.
 * @throws CollectiveError REPOSITORY_DISK_MISSING, and as writeProgramDisk
 */
export async function writeProgramDisks(options: WriteDisksOptions): Promise<readonly AddedDisk[]> {
  const { folder, sources } = options;
  const added: AddedDisk[] = [];
  const indexes: DiskIndex[] = [];
  for (const source of sources) {
    const { index, addedBytes, isUnchanged } = await writeDisk(options, source);
    await writeIndexFolder(path.join(folder, diskIndexPath(source)), index);
    indexes.push(index);
    added.push({
      source,
      indexPath: diskIndexPath(source),
      sizeBytes: index.sizeBytes,
      addedBytes,
      isUnchanged,
    });
  }
  await removeOtherIndexes(folder, sources);
  await keepNeededPacks(folder, indexes);
  return added;
}

interface DiskResult {
  readonly index: DiskIndex;
  readonly addedBytes: number;
  readonly isUnchanged: boolean;
}

async function writeDisk(options: WriteDisksOptions, source: string): Promise<DiskResult> {
  const { folder, previous, onProgress } = options;
  const before = await previousIndex(previous, source);
  if (await isPresent(path.join(folder, source))) {
    await refuseEmpty(path.join(folder, source));
    const { index, addedBytes } = await writeProgramDisk({
      image: path.join(folder, source),
      packDirectory: path.join(folder, PACKS_FOLDER),
      ...(before === undefined ? {} : { previous: before }),
      ...(onProgress === undefined
        ? {}
        : {
            onProgress: (progress: WriteProgress) => {
              onProgress(source, progress);
            },
          }),
    });
    return { index, addedBytes, isUnchanged: false };
  }
  const kept = (await workingIndex(path.join(folder, diskIndexPath(source)))) ?? before;
  if (kept === undefined) throw diskMissing(source, folder);
  return { index: kept, addedBytes: 0, isUnchanged: true };
}

/** A disk without a byte can be described, but no machine starts from it: something went wrong when it was made. */
async function refuseEmpty(image: string): Promise<void> {
  if ((await stat(image)).size > 0) return;
  throw new CollectiveError("DISK_IMAGE_UNSUPPORTED", `the disk image ${image} cannot be used: it is empty`, {
    data: { file: image },
    hint: "make the image again; an image that is absent leaves the disk as it was",
  });
}

async function previousIndex(
  previous: ImageTree | undefined,
  source: string,
): Promise<DiskIndex | undefined> {
  if (previous === undefined) return undefined;
  return readIndex(previous, diskIndexPath(source)).catch((error: unknown) => {
    if (error instanceof CollectiveError && error.code === "REPOSITORY_FILE_MISSING") return undefined;
    throw error;
  });
}

async function workingIndex(folder: string): Promise<DiskIndex | undefined> {
  const names = await readdir(folder).catch(() => []);
  if (names.length === 0) return undefined;
  const files = names.map(async (name) => ({ name, bytes: await readRegularFile(path.join(folder, name)) }));
  return decodeIndex(await Promise.all(files));
}

/** Files that stay as they are keep their time stamps: git need not look at them again. */
async function writeIndexFolder(folder: string, index: DiskIndex): Promise<void> {
  await mkdir(folder, { recursive: true });
  const files = encodeIndex(index);
  const wanted = new Set(files.map(({ name }) => name));
  for (const name of await readdir(folder)) {
    if (!wanted.has(name) && !name.startsWith("x-")) await rm(path.join(folder, name), { recursive: true });
  }
  for (const { name, bytes } of files) {
    const file = path.join(folder, name);
    const before = await readRegularFile(file).catch(() => rm(file, { recursive: true, force: true }));
    if (!(before instanceof Buffer && before.equals(bytes))) await writeFile(file, bytes);
  }
}

async function removeOtherIndexes(folder: string, sources: readonly string[]): Promise<void> {
  const wanted = new Set(sources.map(diskIndexPath));
  for (const name of await readdir(path.join(folder, "disks")).catch(() => [])) {
    const inside = `disks/${name}`;
    if (inside.endsWith(".index") && !wanted.has(inside))
      await rm(path.join(folder, inside), { recursive: true });
  }
}

async function keepNeededPacks(folder: string, indexes: readonly DiskIndex[]): Promise<void> {
  const packs = path.join(folder, PACKS_FOLDER);
  const sizes = new Map<Oid, number>();
  for (const index of indexes) for (const { oid, sizeBytes } of index.packs) sizes.set(oid, sizeBytes);
  const needed = new Set(indexes.flatMap((index) => listPacks(index)));
  for (const name of await readdir(packs).catch(() => [])) {
    if (/^[0-9a-f]{64}\.pack$/.test(name) && !needed.has(name.slice(0, 64) as Oid))
      await rm(path.join(packs, name));
  }
  for (const oid of needed) {
    const file = path.join(packs, `${oid}.pack`);
    if (await isPresent(file)) continue;
    await mkdir(packs, { recursive: true });
    await writeFile(file, formatLfsPointer({ oid, sizeBytes: sizes.get(oid) ?? 0 }));
  }
}

async function isPresent(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

function diskMissing(source: string, folder: string): CollectiveError {
  return new CollectiveError(
    "REPOSITORY_DISK_MISSING",
    `the disk ${source} is neither in ${folder} nor in a version before`,
    {
      data: { source },
      hint: "make the disk image, or correct `source` in the VM description",
    },
  );
}
