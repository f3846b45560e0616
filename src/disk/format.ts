/** Numbers and marks of the disk format; docs/disk-format.md explains them. All integers on disk are big-endian. */

export const FORMAT_VERSION = 1;

/** Incompatible features this program understands; a bit outside it is refused. None is defined yet. */
export const UNDERSTOOD_FEATURES = 0;

/** Fixed chunk size; only the last chunk of a disk may be shorter. */
export const CHUNK_BYTES = 65_536;

/** Records in a shard file; the last shard may have fewer. */
export const SHARD_CHUNKS = 1024;

/** What four hexadecimal digits of shard number can address: 65536 shards of 64 MiB. */
export const MAX_DISK_BYTES = 2 ** 42;

export const MAX_PACK_BYTES = 256 * 1024 * 1024;
export const MAX_PACK_CHUNKS = 65_536;
export const MAX_PACKS = 65_536;

/** Base chunks one delta chunk may list. */
export const MAX_BASES = 8;
/** Longest way from a chunk over its bases to one that has none. */
export const MAX_CHAIN = 8;
/** Chunks that may have to be decoded for the sake of one, itself included: bounds memory and time of a read. */
export const MAX_CLOSURE = 64;

export const DIGEST_BYTES = 32;
/** How much of a pack's oid, and of a base's digest, an index record holds. */
export const PACK_PREFIX_BYTES = 8;
export const BASE_PREFIX_BYTES = 16;

export const INDEX_MAGIC = "CUIINDEX";
export const SHARD_MAGIC = "CUISHARD";
export const TRACE_MAGIC = "CUITRACE";
export const PACK_MAGIC = "CUIPACK1";
export const PACK_END_MAGIC = "CUIPACKE";

/** How a chunk is stored. `delta` is a zstd frame made against a dictionary of base chunks. */
export type Codec = "raw" | "zstd" | "delta";

export const CODECS: readonly Codec[] = ["raw", "zstd", "delta"];

/** What precedes the base chunks in a delta's dictionary, so that zstd never takes it for a trained one. */
export const DICTIONARY_PREFIX_BYTES = 8;

/** Chunks of a disk of that size, the last short one included. */
export function chunkCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / CHUNK_BYTES);
}

/** Plain bytes of the chunk at `position` of a disk of that size. */
export function plainBytesAt(sizeBytes: number, position: number): number {
  return Math.min(CHUNK_BYTES, sizeBytes - position * CHUNK_BYTES);
}

/** Records of that shard, zero ones included. */
export function recordsInShard(sizeBytes: number, shard: number): number {
  return Math.min(SHARD_CHUNKS, chunkCount(sizeBytes) - shard * SHARD_CHUNKS);
}

const ZERO_CHUNK = Buffer.alloc(CHUNK_BYTES);

/** Of at most one chunk's bytes. */
export function isAllZero(bytes: Uint8Array): boolean {
  return ZERO_CHUNK.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}
