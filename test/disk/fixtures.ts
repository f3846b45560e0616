/** Packs and indexes made by hand, deltas included: what a writer of another program may make, and what a hostile one does. */
import { createHash } from "node:crypto";
import { constants, zstdCompressSync } from "node:zlib";
import type { ChunkRecord, DiskIndex } from "../../src/disk/disk-index.ts";
import { CHUNK_BYTES, type Codec } from "../../src/disk/format.ts";
import type { ChunkDigest, ObjectReader, ObjectStore, Oid } from "../../src/disk/object-store.ts";
import { encodePackHead, encodePackTail, type PackEntry } from "../../src/disk/pack-format.ts";
import { CollectiveError } from "../../src/errors.ts";

export const CHUNK = CHUNK_BYTES;
const params = { [constants.ZSTD_c_compressionLevel]: 3 };

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Pseudo-random bytes, the same for the same seed; `texture` below 256 makes them compressible. */
export function noise(seed: number, length: number = CHUNK, texture = 256): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = (state >>> 24) % texture;
  }
  return bytes;
}

/** A chunk to put into a pack; the bytes stored default to what its codec makes of the plain ones. */
export interface HandMadeChunk {
  readonly plain: Uint8Array;
  readonly codec: Codec;
  readonly bases?: readonly Uint8Array[];
  readonly stored?: Uint8Array;
  readonly digest?: string;
}

export interface HandMadePack {
  readonly oid: Oid;
  readonly bytes: Buffer;
  readonly entries: readonly PackEntry[];
  readonly records: readonly ChunkRecord[];
}

export function makePack(chunks: readonly HandMadeChunk[]): HandMadePack {
  const entries: PackEntry[] = [];
  const parts: Uint8Array[] = [encodePackHead()];
  let offset = 16;
  for (const chunk of chunks) {
    const stored = chunk.stored ?? store(chunk);
    entries.push({
      digest: (chunk.digest ?? sha256(chunk.plain)) as ChunkDigest,
      offset,
      storedBytes: stored.length,
      plainBytes: chunk.plain.length,
      codec: chunk.codec,
      bases: (chunk.bases ?? []).map((base) => sha256(base) as ChunkDigest),
    });
    parts.push(stored);
    offset += stored.length;
  }
  return finishPack(entries, parts);
}

function finishPack(entries: readonly PackEntry[], parts: readonly Uint8Array[]): HandMadePack {
  const bytes = Buffer.concat([...parts, encodePackTail(entries)]);
  const oid = sha256(bytes) as Oid;
  const records = entries.map(({ digest, offset, storedBytes, codec, bases }) => ({
    digest,
    pack: oid,
    offset,
    storedBytes,
    codec,
    bases,
  }));
  return { oid, bytes, entries, records };
}

/** One frame that states its size. */
export function compressed(plain: Uint8Array): Buffer {
  return zstdCompressSync(plain, { params });
}

function store({ plain, codec, bases = [] }: HandMadeChunk): Uint8Array {
  if (codec === "raw") return plain;
  if (codec === "zstd") return compressed(plain);
  return zstdCompressSync(plain, { params, dictionary: Buffer.concat([Buffer.alloc(8), ...bases]) });
}

/** An index whose disk holds the chunks with those digests one after the other; undefined is a zero chunk. */
export function makeIndex(
  packs: readonly HandMadePack[],
  digests: readonly (string | undefined)[],
  options: { sizeBytes?: number; bases?: readonly string[] } = {},
): DiskIndex {
  const records = new Map(
    packs.flatMap((pack) => pack.records.map((record) => [record.digest, record] as const)),
  );
  const recordOf = (digest: string): ChunkRecord => records.get(digest as ChunkDigest)!;
  return {
    sizeBytes: options.sizeBytes ?? digests.length * CHUNK,
    packs: packs
      .map(({ oid, bytes }) => ({ oid, sizeBytes: bytes.length }))
      .sort((a, b) => (a.oid < b.oid ? -1 : 1)),
    chunks: digests.flatMap((digest, position) =>
      digest === undefined ? [] : [{ position, record: recordOf(digest) }],
    ),
    bases: [...(options.bases ?? [])].sort().map(recordOf),
    trace: [],
  };
}

/** A store in memory; reads are recorded. */
export function memoryStore(
  objects: Readonly<Record<string, Uint8Array>>,
): ObjectStore & { reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    open: (oid) => {
      const bytes = objects[oid];
      if (bytes !== undefined) return Promise.resolve(memoryReader(bytes, (read) => reads.push(read)));
      return Promise.reject(new CollectiveError("DISK_PACK_MISSING", `no ${oid}`, { data: { pack: oid } }));
    },
  };
}

export function memoryReader(
  bytes: Uint8Array,
  onRead: (read: string) => void = () => undefined,
): ObjectReader {
  return {
    sizeBytes: bytes.length,
    read: (offset, length) => {
      onRead(`${offset}+${length}`);
      if (offset + length > bytes.length) return Promise.reject(new Error("the object is shorter"));
      return Promise.resolve(bytes.subarray(offset, offset + length));
    },
    close: () => Promise.resolve(),
  };
}
