/** The header of an index: size, identity, packs, and a checksum over the whole index. @see docs/disk-format.md, "Header" */
import { createHash } from "node:crypto";
import { invalidIndex } from "./check-index.ts";
import { indexDigest, type DiskIndex, type PackReference } from "./disk-index.ts";
import {
  CHUNK_BYTES,
  DIGEST_BYTES,
  FORMAT_VERSION,
  INDEX_MAGIC,
  MAX_DISK_BYTES,
  MAX_PACKS,
  SHARD_CHUNKS,
} from "./format.ts";
import type { Oid } from "./object-store.ts";
import { checkFormat } from "./pack-format.ts";

/** One file of an index folder. */
export interface IndexFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface IndexHeader {
  readonly sizeBytes: number;
  readonly packs: readonly PackReference[];
  /** As `indexDigest` gives it. */
  readonly digest: string;
  readonly checksum: string;
}

const FIXED_BYTES = 72;
const PACK_ENTRY_BYTES = 36;

/** The header of `index`, whose other files are `files`. */
export function encodeHeader(index: DiskIndex, files: readonly IndexFile[]): Uint8Array {
  const end = FIXED_BYTES + index.packs.length * PACK_ENTRY_BYTES;
  const header = Buffer.alloc(end + DIGEST_BYTES);
  header.write(INDEX_MAGIC, 0, "latin1");
  header.writeUInt32BE(FORMAT_VERSION, 8);
  header.writeUInt32BE(CHUNK_BYTES, 16);
  header.writeUInt32BE(SHARD_CHUNKS, 20);
  header.writeBigUInt64BE(BigInt(index.sizeBytes), 24);
  header.writeUInt32BE(index.packs.length, 32);
  header.write(indexDigest(index), 40, "hex");
  for (const [number, { oid, sizeBytes }] of index.packs.entries()) {
    const at = FIXED_BYTES + number * PACK_ENTRY_BYTES;
    header.write(oid, at, "hex");
    header.writeUInt32BE(sizeBytes, at + DIGEST_BYTES);
  }
  header.write(checksumOf(header, files), end, "hex");
  return header;
}

/** @throws CollectiveError DISK_INDEX_INVALID, DISK_FORMAT_UNSUPPORTED */
export function decodeHeader(header: Buffer): IndexHeader {
  if (header.length < FIXED_BYTES + DIGEST_BYTES || header.toString("latin1", 0, 8) !== INDEX_MAGIC) {
    throw invalidIndex(`its header does not begin with ${INDEX_MAGIC}`);
  }
  checkFormat("the disk index", header.readUInt32BE(8), header.readUInt32BE(12));
  const chunkBytes = header.readUInt32BE(16);
  const shardChunks = header.readUInt32BE(20);
  if (chunkBytes !== CHUNK_BYTES || shardChunks !== SHARD_CHUNKS) {
    throw invalidIndex(
      `expected chunks of ${CHUNK_BYTES} bytes, ${SHARD_CHUNKS} a shard, got ${chunkBytes} and ${shardChunks}`,
    );
  }
  const size = header.readBigUInt64BE(24);
  if (size > BigInt(MAX_DISK_BYTES)) {
    throw invalidIndex(`expected a disk of at most ${MAX_DISK_BYTES} bytes, got ${size.toString()}`);
  }
  return {
    sizeBytes: Number(size),
    packs: decodePacks(header),
    digest: hexAt(header, 40),
    checksum: hexAt(header, header.length - DIGEST_BYTES),
  };
}

/** Covers the header without its checksum, then every other file: length of name, length, name, bytes. */
export function checksumOf(header: Uint8Array, files: readonly IndexFile[]): string {
  const hash = createHash("sha256").update(header.subarray(0, -DIGEST_BYTES));
  for (const { name, bytes } of files) {
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32BE(name.length, 0);
    lengths.writeUInt32BE(bytes.length, 4);
    hash.update(lengths).update(name, "latin1").update(bytes);
  }
  return hash.digest("hex");
}

function decodePacks(header: Buffer): PackReference[] {
  const count = header.readUInt32BE(32);
  const length = FIXED_BYTES + count * PACK_ENTRY_BYTES + DIGEST_BYTES;
  if (count > MAX_PACKS || header.length !== length || header.readUInt32BE(36) !== 0) {
    throw invalidIndex(`its header of ${header.length} bytes does not hold ${count} packs`);
  }
  return Array.from({ length: count }, (_, number) => {
    const at = FIXED_BYTES + number * PACK_ENTRY_BYTES;
    return { oid: hexAt(header, at) as Oid, sizeBytes: header.readUInt32BE(at + DIGEST_BYTES) };
  });
}

function hexAt(bytes: Buffer, at: number): string {
  return bytes.toString("hex", at, at + DIGEST_BYTES);
}
