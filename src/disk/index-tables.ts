/**
 * A shard, or a file of bases: fixed-width records, then the bases of all records in order. Shards carry nothing that
 * depends on their place or on other regions of the disk, so that an unchanged region is an identical file.
 */
import { invalidIndex } from "./check-index.ts";
import type { ChunkRecord } from "./disk-index.ts";
import { CODECS, DIGEST_BYTES, FORMAT_VERSION, MAX_BASES, SHARD_MAGIC } from "./format.ts";
import type { ChunkDigest, Oid } from "./object-store.ts";
import { checkFormat } from "./pack-format.ts";

export const TABLE_HEAD_BYTES = 16;
const RECORD_BYTES = 52;
const PACK_PREFIX_BYTES = 8;
const BASE_PREFIX_BYTES = 16;
const ZERO_RECORD = Buffer.alloc(RECORD_BYTES);

/** Hex digits of a pack's oid in a record. */
export const PACK_PREFIX_DIGITS = 2 * PACK_PREFIX_BYTES;
/** Hex digits of a base's digest in a record. */
export const BASE_PREFIX_DIGITS = 2 * BASE_PREFIX_BYTES;

/** A record whose bases are still prefixes of digests. */
export interface RawRecord extends Omit<ChunkRecord, "bases"> {
  readonly basePrefixes: readonly string[];
}

/** A shard or a file of bases; an absent record is a zero chunk. */
export function encodeTable(records: readonly (ChunkRecord | undefined)[]): Uint8Array {
  const basesStart = TABLE_HEAD_BYTES + records.length * RECORD_BYTES;
  const bases = Array.from(records).flatMap((record) => record?.bases ?? []);
  const bytes = Buffer.alloc(basesStart + bases.length * BASE_PREFIX_BYTES);
  writeTableHead(bytes, SHARD_MAGIC, records.length);
  for (const [at, record] of records.entries()) {
    if (record !== undefined) writeRecord(bytes, TABLE_HEAD_BYTES + at * RECORD_BYTES, record);
  }
  bases.forEach((digest, at) =>
    bytes.write(digest, basesStart + at * BASE_PREFIX_BYTES, BASE_PREFIX_BYTES, "hex"),
  );
  return bytes;
}

export function writeTableHead(bytes: Buffer, magic: string, count: number): void {
  bytes.write(magic, 0, "latin1");
  bytes.writeUInt32BE(FORMAT_VERSION, 8);
  bytes.writeUInt32BE(count, 12);
}

function writeRecord(bytes: Buffer, at: number, record: ChunkRecord): void {
  bytes.write(record.digest, at, "hex");
  bytes.write(record.pack, at + 32, PACK_PREFIX_BYTES, "hex");
  bytes.writeUInt32BE(record.offset, at + 40);
  bytes.writeUInt32BE(record.storedBytes, at + 44);
  bytes.writeUInt8(CODECS.indexOf(record.codec), at + 48);
  bytes.writeUInt8(record.bases.length, at + 49);
}

export function decodeTable(
  name: string,
  buffer: Buffer,
  oidByPrefix: ReadonlyMap<string, Oid>,
): (RawRecord | undefined)[] {
  const count = readTableHead(name, buffer, SHARD_MAGIC);
  const basesStart = TABLE_HEAD_BYTES + count * RECORD_BYTES;
  if (buffer.length < basesStart) throw invalidIndex(`the file ${name} is too short for ${count} records`);
  let baseAt = basesStart;
  const records = Array.from({ length: count }, (_, number) => {
    const at = TABLE_HEAD_BYTES + number * RECORD_BYTES;
    const bytes = buffer.subarray(at, at + RECORD_BYTES);
    if (bytes.equals(ZERO_RECORD)) return undefined;
    const basesEnd = baseAt + bytes.readUInt8(49) * BASE_PREFIX_BYTES;
    const record = decodeRecord(bytes, buffer.subarray(baseAt, basesEnd), oidByPrefix);
    if (record === undefined || basesEnd > buffer.length) {
      throw invalidIndex(`record ${number} of the file ${name} is invalid`);
    }
    baseAt = basesEnd;
    return record;
  });
  if (baseAt !== buffer.length) throw invalidIndex(`the file ${name} goes on after its last record`);
  return records;
}

export function readTableHead(name: string, buffer: Buffer, magic: string): number {
  if (buffer.length < TABLE_HEAD_BYTES || buffer.toString("latin1", 0, 8) !== magic) {
    throw invalidIndex(`the file ${name} does not begin with ${magic}`);
  }
  checkFormat(`the file ${name}`, buffer.readUInt32BE(8), 0);
  return buffer.readUInt32BE(12);
}

function decodeRecord(
  bytes: Buffer,
  bases: Buffer,
  oidByPrefix: ReadonlyMap<string, Oid>,
): RawRecord | undefined {
  const pack = oidByPrefix.get(bytes.toString("hex", 32, 32 + PACK_PREFIX_BYTES));
  const codec = CODECS[bytes.readUInt8(48)];
  const baseCount = bytes.readUInt8(49);
  if (pack === undefined || codec === undefined || baseCount > MAX_BASES || bytes.readUInt16BE(50) !== 0) {
    return undefined;
  }
  return {
    digest: bytes.toString("hex", 0, DIGEST_BYTES) as ChunkDigest,
    pack,
    offset: bytes.readUInt32BE(40),
    storedBytes: bytes.readUInt32BE(44),
    codec,
    basePrefixes: Array.from({ length: baseCount }, (_, at) =>
      bases.toString("hex", at * BASE_PREFIX_BYTES, (at + 1) * BASE_PREFIX_BYTES),
    ),
  };
}
