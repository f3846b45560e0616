/** What every index must satisfy, whether read from a stranger or about to be written. */
import { CollectiveError } from "../errors.ts";
import { followBases } from "./base-chains.ts";
import type { ChunkRecord, DiskIndex } from "./disk-index.ts";
import {
  BASE_PREFIX_BYTES,
  CHUNK_BYTES,
  chunkCount,
  MAX_DISK_BYTES,
  MAX_PACK_BYTES,
  MAX_PACKS,
  PACK_PREFIX_BYTES,
  plainBytesAt,
} from "./format.ts";
import type { ChunkDigest } from "./object-store.ts";
import { PACK_HEAD_BYTES, packTailBytes } from "./pack-format.ts";

/**
 * Checks what the types cannot: bounds, order, places inside packs without overlap, bases.
 * @throws CollectiveError DISK_INDEX_INVALID
 */
export function checkIndex(index: DiskIndex): void {
  checkSize(index);
  checkPositions(index);
  const records = collectRecords(index);
  checkPlaces(index, records);
  checkBases(index, records);
  checkPrefixes(index, records);
  checkTrace(index);
}

/** The full names that begin with each prefix of `bytes` bytes. @throws CollectiveError DISK_INDEX_INVALID where two do */
export function byPrefix<Name extends string>(names: Iterable<Name>, bytes: number): Map<string, Name> {
  const map = new Map<string, Name>();
  for (const name of names) {
    const prefix = name.slice(0, 2 * bytes);
    if ((map.get(prefix) ?? name) !== name)
      throw invalidIndex(`both ${name} and another begin with ${prefix}`);
    map.set(prefix, name);
  }
  return map;
}

/** An index that breaks the format; `data` says where, for programs. */
export function invalidIndex(message: string, data: Readonly<Record<string, unknown>> = {}): CollectiveError {
  return new CollectiveError("DISK_INDEX_INVALID", `the disk index is invalid: ${message}`, {
    data,
    hint: "fetch the version again; if it stays so, its publisher has to add the disk anew with cui disk add",
  });
}

function checkSize({ sizeBytes }: DiskIndex): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > MAX_DISK_BYTES) {
    throw invalidIndex(`expected a disk of at most ${MAX_DISK_BYTES} bytes, got ${sizeBytes}`);
  }
}

function checkPositions({ sizeBytes, chunks }: DiskIndex): void {
  const count = chunkCount(sizeBytes);
  let previous = -1;
  for (const { position } of chunks) {
    if (!Number.isSafeInteger(position) || position <= previous || position >= count) {
      throw invalidIndex(`chunk position ${position} is out of order or past the end (${count} chunks)`);
    }
    previous = position;
  }
}

function collectRecords(index: DiskIndex): Map<ChunkDigest, ChunkRecord> {
  const records = new Map<ChunkDigest, ChunkRecord>();
  const lengths = new Map<ChunkDigest, number>();
  for (const { position, record } of index.chunks) {
    const plainBytes = plainBytesAt(index.sizeBytes, position);
    const known = records.get(record.digest);
    if (known !== undefined && !sameRecord(known, record)) {
      throw invalidIndex(`chunk ${record.digest} is said to be stored in two ways`);
    }
    if ((lengths.get(record.digest) ?? plainBytes) !== plainBytes) {
      throw invalidIndex(`chunk ${record.digest} is said to have two lengths`);
    }
    if (record.storedBytes > plainBytes || (record.codec === "raw" && record.storedBytes !== plainBytes)) {
      throw invalidIndex(
        `chunk ${record.digest} of ${plainBytes} bytes is said to take ${record.storedBytes} as ${record.codec}`,
      );
    }
    records.set(record.digest, known ?? record);
    lengths.set(record.digest, plainBytes);
  }
  let previous = "";
  for (const record of index.bases) {
    if (record.digest <= previous) throw invalidIndex(`base chunk ${record.digest} is out of order`);
    if (records.has(record.digest)) {
      throw invalidIndex(`base chunk ${record.digest} is listed although it is on the disk`);
    }
    if (record.storedBytes > CHUNK_BYTES) {
      throw invalidIndex(`base chunk ${record.digest} is said to take ${record.storedBytes} bytes`);
    }
    previous = record.digest;
    records.set(record.digest, record);
  }
  return records;
}

function sameRecord(a: ChunkRecord, b: ChunkRecord): boolean {
  return (
    a === b ||
    (a.pack === b.pack &&
      a.offset === b.offset &&
      a.storedBytes === b.storedBytes &&
      a.codec === b.codec &&
      a.bases.length === b.bases.length &&
      a.bases.every((base, at) => base === b.bases[at]))
  );
}

/** Each pack is used, each record lies in its pack between head and tail, no two overlap. */
function checkPlaces(index: DiskIndex, records: ReadonlyMap<ChunkDigest, ChunkRecord>): void {
  if (index.packs.length > MAX_PACKS) throw invalidIndex(`it lists more than ${MAX_PACKS} packs`);
  const byPack = new Map<string, ChunkRecord[]>(index.packs.map(({ oid }) => [oid, []]));
  for (const record of records.values()) {
    const list = byPack.get(record.pack);
    if (list === undefined)
      throw invalidIndex(`chunk ${record.digest} is in pack ${record.pack}, not listed`);
    list.push(record);
  }
  let previous = "";
  for (const { oid, sizeBytes } of index.packs) {
    if (oid <= previous) throw invalidIndex(`pack ${oid} is out of order`);
    previous = oid;
    if (sizeBytes > MAX_PACK_BYTES)
      throw invalidIndex(`pack ${oid} is said to have ${sizeBytes} bytes, more than ${MAX_PACK_BYTES}`);
    checkPack(oid, sizeBytes, byPack.get(oid) ?? []);
  }
}

function checkPack(oid: string, sizeBytes: number, records: ChunkRecord[]): void {
  if (records.length === 0) throw invalidIndex(`pack ${oid} is listed, but no chunk is in it`);
  const dataEnd = sizeBytes - packTailBytes(records.length);
  let end = PACK_HEAD_BYTES;
  for (const record of records.sort((a, b) => a.offset - b.offset)) {
    if (record.storedBytes < 1) throw invalidIndex(`chunk ${record.digest} is said to take no bytes`);
    if (record.offset < end || record.offset + record.storedBytes > dataEnd) {
      throw invalidIndex(
        `chunk ${record.digest} at ${record.offset}+${record.storedBytes} overlaps another one or lies outside pack ${oid}`,
        { pack: oid, chunk: record.digest },
      );
    }
    end = record.offset + record.storedBytes;
  }
}

/** Bases exist, chains end and are short, nothing is listed as a base that is none. */
function checkBases(index: DiskIndex, records: ReadonlyMap<ChunkDigest, ChunkRecord>): void {
  const needed = new Set<ChunkDigest>();
  for (const { record } of index.chunks) {
    if (record.codec !== "delta" && record.bases.length === 0) continue;
    const chain = followBases(record, (digest) => records.get(digest), invalidIndex);
    const [missing] = chain.missing;
    if (missing !== undefined) throw invalidIndex(`base ${missing} of chunk ${record.digest} is not listed`);
    for (const digest of chain.needed) needed.add(digest);
  }
  for (const { digest } of index.bases) {
    if (!needed.has(digest)) throw invalidIndex(`base chunk ${digest} is listed, but no chunk needs it`);
  }
}

/** What records hold of names must be enough to find them. */
function checkPrefixes(index: DiskIndex, records: ReadonlyMap<ChunkDigest, ChunkRecord>): void {
  byPrefix(
    index.packs.map(({ oid }) => oid),
    PACK_PREFIX_BYTES,
  );
  const hasDeltas = index.chunks.some(({ record }) => record.codec === "delta");
  if (hasDeltas) byPrefix(records.keys(), BASE_PREFIX_BYTES);
}

function checkTrace(index: DiskIndex): void {
  if (index.trace.length === 0) return;
  const positions = new Set(index.chunks.map(({ position }) => position));
  for (const position of index.trace) {
    if (!positions.delete(position)) {
      throw invalidIndex(`the boot trace names position ${position} twice, or where there is no chunk`);
    }
  }
}
