/**
 * A shard, or a file of bases: fixed-width records, then the bases of all records in order. A table carries nothing that
 * depends on its place or on other regions of the disk, so that an unchanged region is an identical file.
 *
 *     head     magic "CUISHARD", u32 version, u32 records                                              16 bytes
 *     record   digest 32, first 8 bytes of the pack's oid, u32 offset, u32 stored, u8 codec, u8 bases, u16 zero
 *                                                                                                      52 bytes each
 *     bases    for each record in order, the first 16 bytes of the digests of its bases                16 bytes each
 */
import { invalidIndex } from "./check-index.ts";
import type { ChunkRecord } from "./disk-index.ts";
import {
  BASE_PREFIX_BYTES,
  CODECS,
  DIGEST_BYTES,
  FORMAT_VERSION,
  MAX_BASES,
  PACK_PREFIX_BYTES,
  SHARD_MAGIC,
  type Codec,
} from "./format.ts";
import type { ChunkDigest } from "./object-store.ts";
import { checkFormat } from "./pack-format.ts";

export const TABLE_HEAD_BYTES = 16;
const RECORD_BYTES = 52;
const ZERO_RECORD = Buffer.alloc(RECORD_BYTES);

/** A record as it is written: pack and bases are prefixes. */
export interface RawRecord {
  readonly digest: ChunkDigest;
  readonly packPrefix: string;
  readonly offset: number;
  readonly storedBytes: number;
  readonly codec: Codec;
  readonly basePrefixes: readonly string[];
}

/** The bytes of a table; an undefined record is a zero chunk. */
export function encodeTable(records: readonly (ChunkRecord | undefined)[]): Uint8Array {
  const basesStart = TABLE_HEAD_BYTES + records.length * RECORD_BYTES;
  const bases = records.flatMap((record) => record?.bases ?? []);
  const bytes = Buffer.alloc(basesStart + bases.length * BASE_PREFIX_BYTES);
  writeTableHead(bytes, SHARD_MAGIC, records.length);
  for (const [number, record] of records.entries()) {
    if (record !== undefined) writeRecord(bytes, TABLE_HEAD_BYTES + number * RECORD_BYTES, record);
  }
  for (const [number, digest] of bases.entries()) {
    bytes.write(digest, basesStart + number * BASE_PREFIX_BYTES, BASE_PREFIX_BYTES, "hex");
  }
  return bytes;
}

/**
 * Reads a table; a zero record is undefined.
 * @throws CollectiveError DISK_INDEX_INVALID, also when it has not `expected` records
 */
export function decodeTable(name: string, bytes: Buffer, expected?: number): (RawRecord | undefined)[] {
  const count = readTableHead(name, bytes, SHARD_MAGIC);
  if (expected !== undefined && count !== expected) {
    throw invalidIndex(`expected ${expected} records in the file ${name}, got ${count}`);
  }
  const basesStart = TABLE_HEAD_BYTES + count * RECORD_BYTES;
  if (bytes.length < basesStart) throw invalidIndex(`the file ${name} is too short for ${count} records`);
  let basesAt = basesStart;
  const records = Array.from({ length: count }, (_, number) => {
    const at = TABLE_HEAD_BYTES + number * RECORD_BYTES;
    const fixed = bytes.subarray(at, at + RECORD_BYTES);
    if (fixed.equals(ZERO_RECORD)) return undefined;
    const bases = bytes.subarray(basesAt, basesAt + fixed.readUInt8(49) * BASE_PREFIX_BYTES);
    const record = decodeRecord(fixed, bases);
    if (record === undefined) throw invalidIndex(`record ${number} of the file ${name} is invalid`);
    basesAt += bases.length;
    return record;
  });
  if (basesAt !== bytes.length) throw invalidIndex(`the file ${name} goes on after its last base`);
  return records;
}

export function writeTableHead(bytes: Buffer, magic: string, count: number): void {
  bytes.write(magic, 0, "latin1");
  bytes.writeUInt32BE(FORMAT_VERSION, 8);
  bytes.writeUInt32BE(count, 12);
}

/** Checks magic and version of a file that begins as tables do; the number of its entries. */
export function readTableHead(name: string, bytes: Buffer, magic: string): number {
  if (bytes.length < TABLE_HEAD_BYTES || bytes.toString("latin1", 0, 8) !== magic) {
    throw invalidIndex(`the file ${name} does not begin with ${magic}`);
  }
  checkFormat(`the file ${name}`, bytes.readUInt32BE(8), 0);
  return bytes.readUInt32BE(12);
}

function writeRecord(bytes: Buffer, at: number, record: ChunkRecord): void {
  bytes.write(record.digest, at, "hex");
  bytes.write(record.pack, at + 32, PACK_PREFIX_BYTES, "hex");
  bytes.writeUInt32BE(record.offset, at + 40);
  bytes.writeUInt32BE(record.storedBytes, at + 44);
  bytes.writeUInt8(CODECS.indexOf(record.codec), at + 48);
  bytes.writeUInt8(record.bases.length, at + 49);
}

function decodeRecord(fixed: Buffer, bases: Buffer): RawRecord | undefined {
  const codec = CODECS[fixed.readUInt8(48)];
  const baseCount = fixed.readUInt8(49);
  if (codec === undefined || baseCount > MAX_BASES || fixed.readUInt16BE(50) !== 0) return undefined;
  if (bases.length !== baseCount * BASE_PREFIX_BYTES) return undefined;
  return {
    digest: fixed.toString("hex", 0, DIGEST_BYTES) as ChunkDigest,
    packPrefix: fixed.toString("hex", 32, 32 + PACK_PREFIX_BYTES),
    offset: fixed.readUInt32BE(40),
    storedBytes: fixed.readUInt32BE(44),
    codec,
    basePrefixes: Array.from({ length: baseCount }, (_, number) =>
      bases.toString("hex", number * BASE_PREFIX_BYTES, (number + 1) * BASE_PREFIX_BYTES),
    ),
  };
}
