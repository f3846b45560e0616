/**
 * The index of a program disk in memory: which chunk lies where on the disk, and where its stored bytes are.
 * Zero chunks do not appear. docs/disk-format.md has the files it is kept in (index-files.ts).
 */
import { createHash } from "node:crypto";
import { digestHead } from "./disk-digest.ts";
import { DIGEST_BYTES, recordsInShard, SHARD_CHUNKS, type Codec } from "./format.ts";
import type { ChunkDigest, Oid } from "./object-store.ts";

/** Where the stored bytes of one chunk are and how they become the plain ones. */
export interface ChunkRecord {
  readonly digest: ChunkDigest;
  readonly pack: Oid;
  /** From the start of the pack. */
  readonly offset: number;
  readonly storedBytes: number;
  readonly codec: Codec;
  /** Chunks whose plain bytes, in this order, are the dictionary; empty unless codec is `delta`. */
  readonly bases: readonly ChunkDigest[];
}

export interface PlacedChunk {
  /** Counted in chunks from the start of the disk. */
  readonly position: number;
  readonly record: ChunkRecord;
}

export interface PackReference {
  readonly oid: Oid;
  readonly sizeBytes: number;
}

export interface DiskIndex {
  readonly sizeBytes: number;
  /** Exactly the packs some record names, by ascending oid. */
  readonly packs: readonly PackReference[];
  /** The chunks that are not all zeros, by ascending position. */
  readonly chunks: readonly PlacedChunk[];
  /** Chunks that are not on this disk, but bases of chunks that are; by ascending digest. */
  readonly bases: readonly ChunkRecord[];
  /** Positions in the order a boot reads them first, where that was recorded. */
  readonly trace: readonly number[];
}

/** Every distinct chunk of the index, bases included, by digest. */
export function recordsByDigest(index: DiskIndex): Map<ChunkDigest, ChunkRecord> {
  const records = new Map<ChunkDigest, ChunkRecord>();
  for (const { record } of index.chunks) records.set(record.digest, record);
  for (const record of index.bases) records.set(record.digest, record);
  return records;
}

/**
 * Identity of the disk's content, 64 hex digits: what hosts keep images under. It covers size and chunk digests and not
 * where the chunks are stored, so packing the same disk anew replaces no image. @see docs/disk-format.md, "Disk digest"
 */
export function indexDigest(index: DiskIndex): string {
  const hash = createHash("sha256").update(digestHead(index.sizeBytes));
  for (const { shard, chunks } of shardsOf(index)) {
    const digests = Buffer.alloc(recordsInShard(index.sizeBytes, shard) * DIGEST_BYTES);
    for (const { position, record } of chunks) {
      digests.write(record.digest, (position % SHARD_CHUNKS) * DIGEST_BYTES, "hex");
    }
    const number = Buffer.alloc(4);
    number.writeUInt32BE(shard);
    hash.update(number).update(createHash("sha256").update(digests).digest());
  }
  return hash.digest("hex");
}

/** The shards that hold a chunk which is not zero, ascending. */
export function shardsOf(index: DiskIndex): { readonly shard: number; readonly chunks: PlacedChunk[] }[] {
  const shards: { shard: number; chunks: PlacedChunk[] }[] = [];
  for (const chunk of index.chunks) {
    const shard = Math.floor(chunk.position / SHARD_CHUNKS);
    const last = shards.at(-1);
    if (last?.shard === shard) last.chunks.push(chunk);
    else shards.push({ shard, chunks: [chunk] });
  }
  return shards;
}
