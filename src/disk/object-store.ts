/** Where packs are read from: the disk layer knows no git and no HTTP, it is handed one of these. */
import { CollectiveError } from "../errors.ts";

/** SHA-256 of a Git LFS object, 64 lowercase hex digits. */
export type Oid = string & { readonly __brand: "Oid" };

/** SHA-256 of a plain 64 KiB chunk, 64 lowercase hex digits. */
export type ChunkDigest = string & { readonly __brand: "ChunkDigest" };

export interface ObjectReader {
  readonly sizeBytes: number;
  /** Reads exactly `length` bytes at `offset`; rejects when the object is shorter. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface ObjectStore {
  /** @throws CollectiveError DISK_PACK_MISSING when there is no such object. */
  open(oid: Oid): Promise<ObjectReader>;
}

/**
 * `text` as an oid.
 * @throws CollectiveError DISK_INDEX_INVALID unless it is 64 lowercase hex digits: it becomes part of a path
 */
export function parseOid(text: string): Oid {
  if (/^[0-9a-f]{64}$/.test(text)) return text as Oid;
  throw new CollectiveError(
    "DISK_INDEX_INVALID",
    `expected the SHA-256 of an object, got ${JSON.stringify(text.slice(0, 80))}`,
  );
}
