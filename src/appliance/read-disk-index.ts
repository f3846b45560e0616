/** The chunk indexes of program disks in a repository: reading, and remembering what was verified. */
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { indexDigest, type DiskIndex } from "../disk/disk-index.ts";
import { decodeIndex } from "../disk/index-files.ts";
import { CollectiveError } from "../errors.ts";
import { writeFileAtomically } from "../io.ts";
import type { ImageTree } from "./version-files.ts";
import type { MachineImage, ProgramDisk } from "./machine-image.ts";
import type { Mirrors } from "./mirrors.ts";
import { openImageTree } from "./version-files.ts";

/** One file of an index: a shard of 1024 records takes some 60 KiB, a header at most a few MiB. */
const MAX_INDEX_FILE_BYTES = 4 * 1024 * 1024;
/** A disk of 4 TiB has 65,536 shards. */
const MAX_INDEX_FILES = 66_000;

/** Reads and checks an index. @throws as ImageTree.readFile, and DISK_INDEX_INVALID, DISK_FORMAT_UNSUPPORTED. */
export async function readIndex(tree: ImageTree, indexPath: string): Promise<DiskIndex> {
  const names = await tree.listFiles(indexPath);
  if (names.length > MAX_INDEX_FILES) {
    throw new CollectiveError(
      "REPOSITORY_FILE_TOO_LARGE",
      `${indexPath} of ${tree.where} has ${names.length} files; at most ${MAX_INDEX_FILES} are read`,
    );
  }
  const files = await Promise.all(
    names.map(async (name) => ({
      name,
      bytes: await tree.readFile(`${indexPath}/${name}`, { maxBytes: MAX_INDEX_FILE_BYTES }),
    })),
  );
  return decodeIndex(files);
}

/**
 * Digest and size of the disk an index describes. The whole index is checked once, since a stated digest alone could name
 * another appliance's image; what was checked is remembered in the cache under git's id of the folder.
 */
export async function readIndexSummary(
  tree: ImageTree,
  indexPath: string,
  cache: string,
): Promise<{ readonly indexDigest: string; readonly sizeBytes: number }> {
  const id = await tree.folderId(indexPath);
  const remembered = id === undefined ? undefined : path.join(cache, "indexes", id);
  const known =
    remembered === undefined ? undefined : await readFile(remembered, "utf8").catch(() => undefined);
  const match = /^([0-9a-f]{64}) (\d{1,15})\n$/.exec(known ?? "");
  if (match !== null) return { indexDigest: match[1] ?? "", sizeBytes: Number(match[2]) };
  const index = await readIndex(tree, indexPath);
  const summary = { indexDigest: indexDigest(index), sizeBytes: index.sizeBytes };
  if (remembered !== undefined) {
    await mkdir(path.dirname(remembered), { recursive: true });
    await writeFileAtomically(remembered, `${summary.indexDigest} ${summary.sizeBytes}\n`);
  }
  return summary;
}

/** The index of a machine's program disk: what a plan counts bytes with. */
export async function readDiskIndex(
  mirrors: Mirrors,
  image: MachineImage,
  disk: ProgramDisk,
): Promise<DiskIndex> {
  const tree = await openImageTree(image.source, mirrors);
  try {
    return await readIndex(tree, disk.indexPath);
  } finally {
    await tree.close();
  }
}
