/**
 * The files of an index folder: `header`, one shard `0000`, `0001` … for every 64 MiB that are not all zeros, `bases-0` …
 * `bases-f` for chunks that are only bases, `trace` where a boot was recorded. @see docs/disk-format.md, "Index"
 */
import { byPrefix, checkIndex, invalidIndex } from "./check-index.ts";
import { indexDigest, shardsOf, type ChunkRecord, type DiskIndex, type PackReference } from "./disk-index.ts";
import {
  BASE_PREFIX_BYTES,
  chunkCount,
  recordsInShard,
  MAX_PACK_BYTES,
  PACK_PREFIX_BYTES,
  SHARD_CHUNKS,
  TRACE_MAGIC,
} from "./format.ts";
import { checksumOf, decodeHeader, encodeHeader, type IndexFile } from "./index-header.ts";
import {
  decodeTable,
  encodeTable,
  readTableHead,
  TABLE_HEAD_BYTES,
  writeTableHead,
  type RawRecord,
} from "./index-tables.ts";
import type { ChunkDigest, Oid } from "./object-store.ts";

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
  byName.delete("header");
  const { sizeBytes, packs, digest, checksum } = decodeHeader(header);
  const ordered = orderedFiles(byName, sizeBytes);
  if (checksumOf(header, ordered) !== checksum) {
    throw invalidIndex("its files do not have the checksum its header states; one may be missing or changed");
  }
  const index = { sizeBytes, packs, ...decodeFiles(ordered, sizeBytes, packs) };
  checkIndex(index);
  if (indexDigest(index) !== digest) {
    throw invalidIndex("its chunks do not have the digest its header states");
  }
  return index;
}

function encodeShards(index: DiskIndex): IndexFile[] {
  return shardsOf(index).map(({ shard, chunks }) => {
    const records = new Array<ChunkRecord | undefined>(recordsInShard(index.sizeBytes, shard)).fill(
      undefined,
    );
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

type NamedFile = IndexFile & { readonly bytes: Buffer };

function namedFiles(files: readonly IndexFile[]): Map<string, Buffer> {
  const byName = new Map<string, Buffer>();
  for (const { name, bytes } of files) {
    if (name.startsWith("x-")) continue;
    if (byName.has(name)) throw invalidIndex(`there are two files named ${name}`);
    // A git blob or a file of this size is nothing an index has, and nothing to hash or decode.
    if (bytes.length > MAX_PACK_BYTES) throw invalidIndex(`the file ${name} has ${bytes.length} bytes`);
    byName.set(name, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }
  return byName;
}

/** All files but the header in the order of the checksum: shards, bases, trace. Any other name is refused. */
function orderedFiles(byName: ReadonlyMap<string, Buffer>, sizeBytes: number): NamedFile[] {
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

function decodeFiles(
  files: readonly NamedFile[],
  sizeBytes: number,
  packs: readonly PackReference[],
): Pick<DiskIndex, "chunks" | "bases" | "trace"> {
  const chunks: { position: number; record: RawRecord }[] = [];
  const bases: RawRecord[] = [];
  let trace: readonly number[] = [];
  for (const { name, bytes } of files) {
    if (name === "trace") trace = decodeTrace(bytes);
    else if (name.startsWith("bases-")) for (const record of decodeBases(name, bytes)) bases.push(record);
    else chunks.push(...decodeShard(name, bytes, sizeBytes));
  }
  const resolve = recordResolver([...chunks.map(({ record }) => record), ...bases], packs);
  return {
    chunks: chunks.map(({ position, record }) => ({ position, record: resolve(record) })),
    bases: bases.map(resolve),
    trace,
  };
}

function decodeShard(
  name: string,
  bytes: Buffer,
  sizeBytes: number,
): { position: number; record: RawRecord }[] {
  const shard = Number.parseInt(name, 16);
  const records = decodeTable(name, bytes, recordsInShard(sizeBytes, shard));
  const chunks = records.flatMap((record, at) =>
    record === undefined ? [] : [{ position: shard * SHARD_CHUNKS + at, record }],
  );
  if (chunks.length === 0) throw invalidIndex(`shard ${name} is there although it is all zeros`);
  return chunks;
}

function decodeBases(name: string, bytes: Buffer): RawRecord[] {
  const digit = name.slice(-1);
  const records = decodeTable(name, bytes);
  if (records.length === 0) throw invalidIndex(`the file ${name} is there although it is empty`);
  return records.map((record) => {
    if (record?.digest.startsWith(digit) === true) return record;
    throw invalidIndex(`a record of the file ${name} does not belong there`);
  });
}

function decodeTrace(bytes: Buffer): number[] {
  const count = readTableHead("trace", bytes, TRACE_MAGIC);
  if (count === 0 || bytes.length !== TABLE_HEAD_BYTES + count * 4) {
    throw invalidIndex(`the file trace of ${bytes.length} bytes does not hold ${count} positions`);
  }
  return Array.from({ length: count }, (_, at) => bytes.readUInt32BE(TABLE_HEAD_BYTES + at * 4));
}

/** Completes the prefixes in records: to packs of the header, and to chunks that some record of the index describes. */
function recordResolver(
  all: readonly RawRecord[],
  packs: readonly PackReference[],
): (record: RawRecord) => ChunkRecord {
  const oids = byPrefix(
    packs.map(({ oid }) => oid),
    PACK_PREFIX_BYTES,
  );
  const withBases = all.some(({ basePrefixes }) => basePrefixes.length > 0);
  const digests = byPrefix(withBases ? all.map(({ digest }) => digest) : [], BASE_PREFIX_BYTES);
  return ({ packPrefix, basePrefixes, ...rest }) => ({
    ...rest,
    pack: found<Oid>(oids, packPrefix, `pack of chunk ${rest.digest}`),
    bases: basePrefixes.map((prefix) => found<ChunkDigest>(digests, prefix, `base of chunk ${rest.digest}`)),
  });
}

function found<Name extends string>(map: ReadonlyMap<string, Name>, prefix: string, what: string): Name {
  const name = map.get(prefix);
  if (name === undefined) throw invalidIndex(`the ${what}, ${prefix}…, is not listed`);
  return name;
}
