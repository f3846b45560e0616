/** Makes a version of a disk from a local image of another version: a clone with the differing chunks replaced. */
import * as crypto from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { run } from "../io.ts";
import { openRawImage } from "./image/disk-image.ts";
import type { DiskIndex } from "./disk-index.ts";
import { fetchInto, placesOf, writeAt, writeWhole, type ExportProgress } from "./export-disk.ts";
import { CHUNK_BYTES, plainBytesAt } from "./format.ts";
import type { ChunkDigest, ObjectStore } from "./object-store.ts";

export interface PatchOptions {
  /** A raw image of another version, and that version's index; it is not written to. */
  readonly base: { readonly path: string; readonly index: DiskIndex };
  readonly index: DiskIndex;
  readonly store: ObjectStore;
  /** Appears, or is replaced, only when it is whole. */
  readonly target: string;
  readonly onProgress?: (progress: ExportProgress) => void;
}

export interface PatchReport {
  /** Bytes read from packs. */
  readonly fetchedBytes: number;
  /** Chunks of the local image that were not what its index says, and were fetched anew. */
  readonly repairedChunks: number;
}

/**
 * Clones the base image (by reference where the file system can) and replaces what differs. Nothing of the base is
 * believed: each chunk that stays is verified, a corrupt one is fetched. Chunks that only moved are taken from the base.
 * @throws CollectiveError as `exportDisk`, and DISK_IMAGE_MISSING without a base
 */
export async function patchDisk(options: PatchOptions): Promise<PatchReport> {
  const { base, index, target } = options;
  const basePath = path.resolve(base.path);
  const actual = await digestsOf(basePath);
  return await writeWhole(target, async (temporary) => {
    await run({ file: "cp", args: ["--reflink=auto", "--sparse=auto", "--", basePath, temporary] });
    const source = await open(basePath, "r");
    const handle = await open(temporary, "r+");
    try {
      await handle.truncate(index.sizeBytes);
      const fetchedBytes = await replaceDiffering({ source, handle, actual, options });
      await handle.datasync();
      return { fetchedBytes, repairedChunks: countCorrupt(base.index, index, actual) };
    } finally {
      await source.close();
      await handle.close();
    }
  });
}

/** Digests by position, of what is not zero. */
type Content = ReadonlyMap<number, ChunkDigest>;

/** What really lies in a local image. */
async function digestsOf(file: string): Promise<Content> {
  const digests = new Map<number, ChunkDigest>();
  const image = await openRawImage(file);
  try {
    for await (const { position, bytes } of image.chunks()) {
      digests.set(position, crypto.hash("sha256", bytes, "hex") as ChunkDigest);
    }
  } finally {
    await image.close();
  }
  return digests;
}

function contentOf(index: DiskIndex): Content {
  return new Map(index.chunks.map(({ position, record }) => [position, record.digest]));
}

interface Patch {
  readonly source: FileHandle;
  readonly handle: FileHandle;
  readonly actual: Content;
  readonly options: PatchOptions;
}

async function replaceDiffering({ source, handle, actual, options }: Patch): Promise<number> {
  const { index, store, onProgress } = options;
  const wanted = contentOf(index);
  const moved = chunkFinder({ source, actual, sizeBytes: options.base.index.sizeBytes });
  const missing = new Set<number>();
  for (const [position, digest] of wanted) {
    if (actual.get(position) === digest) continue;
    const plain = await moved(digest);
    if (plain === undefined) missing.add(position);
    else await writeAt(handle, plain, position * CHUNK_BYTES);
  }
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (const position of actual.keys()) {
    const offset = position * CHUNK_BYTES;
    if (wanted.has(position) || offset >= index.sizeBytes) continue;
    await writeAt(handle, zeros.subarray(0, plainBytesAt(index.sizeBytes, position)), offset);
  }
  const places = placesOf(index, (position) => missing.has(position));
  return await fetchInto({
    handle,
    index,
    store,
    places,
    local: moved,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

/** Finds a chunk by its digest anywhere in the base image, and reads it from there if it is still what it was. */
function chunkFinder(base: {
  readonly source: FileHandle;
  readonly actual: Content;
  readonly sizeBytes: number;
}): (digest: ChunkDigest) => Promise<Uint8Array | undefined> {
  const positions = new Map<ChunkDigest, number>();
  for (const [position, digest] of base.actual) positions.set(digest, position);
  return async (digest) => {
    const position = positions.get(digest);
    if (position === undefined) return undefined;
    const bytes = Buffer.alloc(plainBytesAt(base.sizeBytes, position));
    const { bytesRead } = await base.source.read(bytes, 0, bytes.length, position * CHUNK_BYTES);
    const plain = bytes.subarray(0, bytesRead);
    return crypto.hash("sha256", plain, "hex") === digest ? plain : undefined;
  };
}

/** Chunks both versions have in the same place, but the local image has not. */
function countCorrupt(base: DiskIndex, index: DiskIndex, actual: Content): number {
  const before = contentOf(base);
  let corrupt = 0;
  for (const [position, digest] of contentOf(index)) {
    if (before.get(position) === digest && actual.get(position) !== digest) corrupt += 1;
  }
  return corrupt;
}
