/** Makes a disk from its index and packs, whole or by patching a copy of another version. */
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { run } from "../io.ts";
import { withCodecPool, type CodecPool } from "./codec-pool.ts";
import { recordsByDigest, type ChunkRecord, type DiskIndex } from "./disk-index.ts";
import { fetchChunks, type WantedChunk } from "./fetch-chunks.ts";
import { CHUNK_BYTES, plainBytesAt } from "./format.ts";
import type { ChunkDigest, ObjectStore } from "./object-store.ts";
import { temporaryFile } from "./temporary-file.ts";
import { wrapWriteErrors } from "./write-errors.ts";

export interface ExportOptions {
  readonly index: DiskIndex;
  readonly store: ObjectStore;
  /** Appears, or is replaced, only when it is whole. */
  readonly target: string;
  /** Default raw: sparse, bit-identical to the disk that was added. */
  readonly format?: "raw" | "qcow2";
  readonly onProgress?: (progress: ExportProgress) => void;
}

export interface ExportProgress {
  readonly doneBytes: number;
  /** Plain bytes of the chunks that are not zero. */
  readonly totalBytes: number;
}

/**
 * Writes the disk to `target`; every chunk is verified before it is written.
 * @throws CollectiveError DISK_CHUNK_CORRUPT, DISK_PACK_CORRUPT, DISK_PACK_MISSING, DISK_WRITE_FAILED; then no part of it is left
 */
export async function exportDisk(options: ExportOptions): Promise<{ readonly fetchedBytes: number }> {
  const { index, store, target, format = "raw", onProgress } = options;
  return await writeWhole(target, async (temporary) => {
    const fetchedBytes = await writeRaw(temporary, async (handle) => {
      await handle.truncate(index.sizeBytes);
      const places = placesOf(index);
      return await fetchInto({
        handle,
        index,
        store,
        places,
        ...(onProgress === undefined ? {} : { onProgress }),
      });
    });
    if (format === "qcow2") await convertInPlace(temporary);
    return { fetchedBytes };
  });
}

/** Where each distinct chunk of the disk, by its digest, lies on it. */
export type Places = ReadonlyMap<ChunkDigest, { readonly record: ChunkRecord; readonly positions: number[] }>;

/** The places of all chunks, or of those `include` lets in. */
export function placesOf(index: DiskIndex, include: (position: number) => boolean = () => true): Places {
  const places = new Map<ChunkDigest, { record: ChunkRecord; positions: number[] }>();
  for (const { position, record } of index.chunks) {
    if (!include(position)) continue;
    const place = places.get(record.digest);
    if (place === undefined) places.set(record.digest, { record, positions: [position] });
    else place.positions.push(position);
  }
  return places;
}

/** The distinct chunks at those places, with the plain size their place gives them. */
export function wantedChunks(index: DiskIndex, places: Places): WantedChunk[] {
  return [...places.values()].map(({ record, positions }) => ({
    record,
    plainBytes: plainBytesAt(index.sizeBytes, positions[0] ?? 0),
  }));
}

/** Fetches the chunks at `places` and writes each to all its positions; resolves to the bytes read from packs. */
export async function fetchInto(options: {
  readonly handle: FileHandle;
  readonly index: DiskIndex;
  readonly store: ObjectStore;
  readonly places: Places;
  readonly local?: (digest: ChunkDigest) => Promise<Uint8Array | undefined>;
  readonly onProgress?: (progress: ExportProgress) => void;
}): Promise<number> {
  const { handle, index, store, places, local, onProgress } = options;
  if (places.size === 0) return 0;
  const wanted = wantedChunks(index, places);
  const totalBytes = wanted.reduce((sum, { plainBytes }) => sum + (plainBytes ?? 0), 0);
  let doneBytes = 0;
  const fetchAll = (pool: CodecPool): Promise<number> =>
    fetchChunks({
      wanted,
      records: recordsByDigest(index),
      packs: index.packs,
      store,
      pool,
      ...(local === undefined ? {} : { local }),
      onChunk: async ({ record }, plain) => {
        for (const position of places.get(record.digest)?.positions ?? []) {
          await writeAt(handle, plain, position * CHUNK_BYTES);
        }
        doneBytes += plain.length;
        onProgress?.({ doneBytes, totalBytes });
      },
    });
  return await withCodecPool(fetchAll, wanted.length);
}

/** Writes all of `bytes`: a single write may be cut short. */
export async function writeAt(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
  }
}

/** Gives `work` the name of a temporary file beside `target` that becomes `target` when all went well and goes otherwise. */
export async function writeWhole<Result>(
  target: string,
  work: (temporary: string) => Promise<Result>,
): Promise<Result> {
  const absolute = path.resolve(target);
  const temporary = await temporaryFile(path.dirname(absolute));
  return await wrapWriteErrors(target, async () => {
    try {
      const result = await work(temporary);
      await rename(temporary, absolute);
      return result;
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  });
}

async function writeRaw<Result>(
  file: string,
  work: (handle: FileHandle) => Promise<Result>,
): Promise<Result> {
  const handle = await open(file, "wx+", 0o644);
  try {
    const result = await work(handle);
    await handle.datasync();
    return result;
  } finally {
    await handle.close();
  }
}

async function convertInPlace(file: string): Promise<void> {
  const converted = await temporaryFile(path.dirname(file));
  try {
    await run({
      file: "qemu-img",
      args: ["convert", "-f", "raw", "-O", "qcow2", "--", file, converted],
      timeoutMs: 3_600_000,
    });
    await rename(converted, file);
  } finally {
    await rm(converted, { force: true });
  }
}
