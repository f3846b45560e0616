/**
 * The files of an index folder. @see docs/disk-format.md, "Index"
 *
 *     header    magic "CUIINDEX", u32 version, u32 features, u32 chunk bytes, u32 records a shard, u64 disk bytes,
 *               u32 packs, u32 zero, disk digest 32; per pack: oid 32, u32 bytes; checksum 32
 *     0000 …    shards that are not all zeros: magic "CUISHARD", u32 version, u32 records, records, base prefixes
 *     bases-0 … bases-f   chunks that are only bases, by first digit of their digest; written like shards
 *     trace     magic "CUITRACE", u32 version, u32 count, u32 positions
 *     record    digest 32, first 8 bytes of the pack's oid, u32 offset, u32 stored, u8 codec, u8 bases, u16 zero
 */
import { createHash } from "node:crypto";
import { checkIndex, invalidIndex } from "./check-index.ts";
import {
  indexDigest,
  recordsInShard,
  shardsOf,
  type ChunkRecord,
  type DiskIndex,
  type PackReference,
  type PlacedChunk,
} from "./disk-index.ts";
import {
  CHUNK_BYTES,
  chunkCount,
  DIGEST_BYTES,
  FORMAT_VERSION,
  INDEX_MAGIC,
  MAX_DISK_BYTES,
  MAX_PACKS,
  SHARD_CHUNKS,
  TRACE_MAGIC,
} from "./format.ts";
import {
  BASE_PREFIX_DIGITS,
  decodeTable,
  encodeTable,
  PACK_PREFIX_DIGITS,
  readTableHead,
  TABLE_HEAD_BYTES,
  writeTableHead,
  type RawRecord,
} from "./index-tables.ts";
import type { ChunkDigest, Oid } from "./object-store.ts";
import { checkFormat } from "./pack-format.ts";

/** One file of an index folder. */
export interface IndexFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 72;
const PACK_ENTRY_BYTES = 36;
const HEX_DIGITS = Array.from({ length: 16 }, (_, digit) => digit.toString(16));

/**
 * The files of `index`, the header first, then in the order the checksum covers them.
 * @throws CollectiveError DISK_INDEX_INVALID when the index breaks the format
 */
export function encodeIndex(index: DiskIndex): IndexFile[] {
  checkIndex(index);
  const files = [...encodeShards(index), ...encodeBases(index), ...encodeTrace(index)];
  return [{ name: "header", bytes: encodeHeader(index, files) }, ...files];
}

/**
 * Reads and checks all files of an index folder; names that begin with `x-` are ignored.
 * @throws CollectiveError DISK_INDEX_INVALID, DISK_FORMAT_UNSUPPORTED
 */
export function decodeIndex(files: readonly IndexFile[]): DiskIndex {
  const byName = namedFiles(files);
  const header = byName.get("header");
  if (header === undefined) throw invalidIndex("there is no file named header");
  const { sizeBytes, packs, digest, checksum } = decodeHeader(header);
  byName.delete("header");
  const ordered = orderedFiles(byName, sizeBytes);
  if (checksumOf(header.subarray(0, -DIGEST_BYTES), ordered) !== checksum) {
    throw invalidIndex("its files do not have the checksum its header states; one may be missing or changed");
  }
  const index = decodeFiles({ sizeBytes, packs, ordered });
  checkIndex(index);
  if (indexDigest(index) !== digest)
    throw invalidIndex("its chunks do not have the digest its header states");
  return index;
}

function encodeHeader(index: DiskIndex, files: readonly IndexFile[]): Uint8Array {
  const end = HEADER_BYTES + index.packs.length * PACK_ENTRY_BYTES;
  const header = Buffer.alloc(end + DIGEST_BYTES);
  header.write(INDEX_MAGIC, 0, "latin1");
  header.writeUInt32BE(FORMAT_VERSION, 8);
  header.writeUInt32BE(CHUNK_BYTES, 16);
  header.writeUInt32BE(SHARD_CHUNKS, 20);
  header.writeBigUInt64BE(BigInt(index.sizeBytes), 24);
  header.writeUInt32BE(index.packs.length, 32);
  header.write(indexDigest(index), 40, "hex");
  index.packs.forEach(({ oid, sizeBytes }, at) => {
    header.write(oid, HEADER_BYTES + at * PACK_ENTRY_BYTES, "hex");
    header.writeUInt32BE(sizeBytes, HEADER_BYTES + at * PACK_ENTRY_BYTES + DIGEST_BYTES);
  });
  header.write(checksumOf(header.subarray(0, end), files), end, "hex");
  return header;
}

/** Covers the header without its last field, then every other file by name length, name, byte length and bytes. */
function checksumOf(header: Uint8Array, files: readonly IndexFile[]): string {
  const hash = createHash("sha256").update(header);
  for (const { name, bytes } of files) {
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32BE(name.length, 0);
    lengths.writeUInt32BE(bytes.length, 4);
    hash.update(lengths).update(name, "latin1").update(bytes);
  }
  return hash.digest("hex");
}

function encodeShards(index: DiskIndex): IndexFile[] {
  return shardsOf(index).map(({ shard, chunks }) => {
    const records = new Array<ChunkRecord | undefined>(recordsInShard(index.sizeBytes, shard));
    for (const { position, record } of chunks) records[position % SHARD_CHUNKS] = record;
    return { name: shard.toString(16).padStart(4, "0"), bytes: encodeTable(records) };
  });
}

function encodeBases(index: DiskIndex): IndexFile[] {
  return HEX_DIGITS.flatMap((digit) => {
    const records = index.bases.filter(({ digest }) => digest.startsWith(digit));
    return records.length === 0 ? [] : [{ name: `bases-${digit}`, bytes: encodeTable(records) }];
  });
}

function encodeTrace({ trace }: DiskIndex): IndexFile[] {
  if (trace.length === 0) return [];
  const bytes = Buffer.alloc(TABLE_HEAD_BYTES + trace.length * 4);
  writeTableHead(bytes, TRACE_MAGIC, trace.length);
  trace.forEach((position, at) => bytes.writeUInt32BE(position, TABLE_HEAD_BYTES + at * 4));
  return [{ name: "trace", bytes }];
}

function namedFiles(files: readonly IndexFile[]): Map<string, Buffer> {
  const byName = new Map<string, Buffer>();
  for (const { name, bytes } of files) {
    if (name.startsWith("x-")) continue;
    if (byName.has(name)) throw invalidIndex(`there are two files named ${name}`);
    byName.set(name, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }
  return byName;
}

interface Header {
  readonly sizeBytes: number;
  readonly packs: readonly PackReference[];
  readonly digest: string;
  readonly checksum: string;
}

function decodeHeader(header: Buffer): Header {
  if (header.length < HEADER_BYTES + DIGEST_BYTES || header.toString("latin1", 0, 8) !== INDEX_MAGIC) {
    throw invalidIndex(`its header does not begin with ${INDEX_MAGIC}`);
  }
  checkFormat("the disk index", header.readUInt32BE(8), header.readUInt32BE(12));
  if (header.readUInt32BE(16) !== CHUNK_BYTES || header.readUInt32BE(20) !== SHARD_CHUNKS) {
    throw invalidIndex(
      `expected chunks of ${CHUNK_BYTES} bytes in shards of ${SHARD_CHUNKS}, got ${header.readUInt32BE(16)} and ${header.readUInt32BE(20)}`,
    );
  }
  const size = header.readBigUInt64BE(24);
  if (size > BigInt(MAX_DISK_BYTES)) {
    throw invalidIndex(`expected a disk of at most ${MAX_DISK_BYTES} bytes, got ${size.toString()}`);
  }
  const packCount = header.readUInt32BE(32);
  const end = HEADER_BYTES + packCount * PACK_ENTRY_BYTES;
  if (packCount > MAX_PACKS || header.length !== end + DIGEST_BYTES || header.readUInt32BE(36) !== 0) {
    throw invalidIndex(`its header of ${header.length} bytes does not hold ${packCount} packs`);
  }
  const packs = Array.from({ length: packCount }, (_, at) => ({
    oid: hexAt(header, HEADER_BYTES + at * PACK_ENTRY_BYTES) as Oid,
    sizeBytes: header.readUInt32BE(HEADER_BYTES + at * PACK_ENTRY_BYTES + DIGEST_BYTES),
  }));
  return {
    sizeBytes: Number(size),
    packs,
    digest: header.toString("hex", 40, 72),
    checksum: header.toString("hex", end),
  };
}

/** All files but the header in the order of the checksum: shards, bases, trace. Any other name is refused. */
function orderedFiles(byName: ReadonlyMap<string, Buffer>, sizeBytes: number): IndexFile[] {
  const shardCount = Math.ceil(chunkCount(sizeBytes) / SHARD_CHUNKS);
  const rank = (name: string): number => {
    if (/^[0-9a-f]{4}$/.test(name) && Number.parseInt(name, 16) < shardCount) return 0;
    if (/^bases-[0-9a-f]$/.test(name)) return 1;
    if (name === "trace") return 2;
    throw invalidIndex(`the file ${JSON.stringify(name)} does not belong to a disk of ${sizeBytes} bytes`);
  };
  return [...byName]
    .map(([name, bytes]) => ({ name, bytes, rank: rank(name) }))
    .sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
    .map(({ name, bytes }) => ({ name, bytes }));
}

interface FilesToDecode {
  readonly sizeBytes: number;
  readonly packs: readonly PackReference[];
  readonly ordered: readonly IndexFile[];
}

function decodeFiles({ sizeBytes, packs, ordered }: FilesToDecode): DiskIndex {
  const oidByPrefix = packPrefixes(packs);
  const chunks: { position: number; record: RawRecord }[] = [];
  const bases: RawRecord[] = [];
  let trace: readonly number[] = [];
  for (const { name, bytes } of ordered) {
    const buffer = bytes as Buffer;
    if (name === "trace") trace = decodeTrace(buffer);
    else if (name.startsWith("bases-")) bases.push(...decodeBases(name, buffer, oidByPrefix));
    else chunks.push(...decodeShard({ name, buffer, sizeBytes, oidByPrefix }));
  }
  return { sizeBytes, packs, trace, ...resolveBases(chunks, bases) };
}

function packPrefixes(packs: readonly PackReference[]): Map<string, Oid> {
  const oidByPrefix = new Map<string, Oid>();
  for (const { oid } of packs) {
    const prefix = oid.slice(0, PACK_PREFIX_DIGITS);
    if (oidByPrefix.has(prefix)) throw invalidIndex(`two packs begin with ${prefix}`);
    oidByPrefix.set(prefix, oid);
  }
  return oidByPrefix;
}

function decodeShard(options: {
  readonly name: string;
  readonly buffer: Buffer;
  readonly sizeBytes: number;
  readonly oidByPrefix: ReadonlyMap<string, Oid>;
}): { position: number; record: RawRecord }[] {
  const shard = Number.parseInt(options.name, 16);
  const records = decodeTable(options.name, options.buffer, options.oidByPrefix);
  const expected = recordsInShard(options.sizeBytes, shard);
  if (records.length !== expected) {
    throw invalidIndex(`expected ${expected} records in shard ${options.name}, got ${records.length}`);
  }
  const chunks = records.flatMap((record, at) =>
    record === undefined ? [] : [{ position: shard * SHARD_CHUNKS + at, record }],
  );
  if (chunks.length === 0) throw invalidIndex(`shard ${options.name} is there although it is all zeros`);
  return chunks;
}

function decodeBases(name: string, buffer: Buffer, oidByPrefix: ReadonlyMap<string, Oid>): RawRecord[] {
  const digit = name.slice(-1);
  const records = decodeTable(name, buffer, oidByPrefix);
  if (records.length === 0) throw invalidIndex(`the file ${name} is there although it is empty`);
  return records.map((record) => {
    if (record?.digest.startsWith(digit) !== true)
      throw invalidIndex(`a record of ${name} is in the wrong file`);
    return record;
  });
}

function decodeTrace(buffer: Buffer): number[] {
  const count = readTableHead("trace", buffer, TRACE_MAGIC);
  if (count === 0 || buffer.length !== TABLE_HEAD_BYTES + count * 4) {
    throw invalidIndex(`the file trace of ${buffer.length} bytes does not hold ${count} positions`);
  }
  return Array.from({ length: count }, (_, at) => buffer.readUInt32BE(TABLE_HEAD_BYTES + at * 4));
}

/** Turns the prefixes of bases into digests, which must be those of records in this index. */
function resolveBases(
  rawChunks: readonly { readonly position: number; readonly record: RawRecord }[],
  rawBases: readonly RawRecord[],
): { chunks: PlacedChunk[]; bases: ChunkRecord[] } {
  const digestByPrefix = new Map<string, ChunkDigest>();
  const all = [...rawChunks.map(({ record }) => record), ...rawBases];
  if (all.some(({ basePrefixes }) => basePrefixes.length > 0)) {
    for (const { digest } of all) rememberPrefix(digestByPrefix, digest);
  }
  const resolve = ({ basePrefixes, ...rest }: RawRecord): ChunkRecord => ({
    ...rest,
    bases: basePrefixes.map((prefix) => {
      const digest = digestByPrefix.get(prefix);
      if (digest === undefined) throw invalidIndex(`base ${prefix}… of chunk ${rest.digest} is not listed`);
      return digest;
    }),
  });
  return {
    chunks: rawChunks.map(({ position, record }) => ({ position, record: resolve(record) })),
    bases: rawBases.map(resolve),
  };
}

function rememberPrefix(digestByPrefix: Map<string, ChunkDigest>, digest: ChunkDigest): void {
  const prefix = digest.slice(0, BASE_PREFIX_DIGITS);
  const known = digestByPrefix.get(prefix);
  if (known !== undefined && known !== digest) throw invalidIndex(`two chunks begin with ${prefix}`);
  digestByPrefix.set(prefix, digest);
}
function hexAt(bytes: Buffer, at: number): string {
  return bytes.toString("hex", at, at + DIGEST_BYTES);
}
