/** One file of an index as text: for `git diff`, whose textconv gets a single file and never the folder. */
import { INDEX_MAGIC, SHARD_MAGIC, TRACE_MAGIC } from "./format.ts";
import { decodeHeader } from "./index-header.ts";
import { decodeTable, readTableHead, TABLE_HEAD_BYTES, type RawRecord } from "./index-tables.ts";
import { invalidIndex } from "./check-index.ts";

/**
 * Lines for the header, a shard, a file of bases or a trace, told apart by how they begin.
 * @throws CollectiveError DISK_INDEX_INVALID, DISK_FORMAT_UNSUPPORTED
 */
export function textconv(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = buffer.toString("latin1", 0, 8);
  if (magic === INDEX_MAGIC) return headerText(buffer);
  if (magic === SHARD_MAGIC) return tableText(decodeTable("given", buffer));
  if (magic === TRACE_MAGIC) return traceText(buffer);
  throw invalidIndex("the file begins like none of an index");
}

function headerText(buffer: Buffer): string {
  const { sizeBytes, digest, packs } = decodeHeader(buffer);
  const lines = packs.map(({ oid, sizeBytes: packBytes }) => `pack ${oid} ${packBytes} bytes`);
  return [`disk ${sizeBytes} bytes`, `digest ${digest}`, ...lines, ""].join("\n");
}

function tableText(records: readonly (RawRecord | undefined)[]): string {
  const lines = records.flatMap((record, number) => {
    if (record !== undefined) return [recordText(number, record)];
    return number > 0 && records[number - 1] === undefined ? [] : [zeroText(number, records)];
  });
  return [...lines, ""].join("\n");
}

function recordText(number: number, record: RawRecord): string {
  const { digest, packPrefix, offset, storedBytes, codec, basePrefixes } = record;
  const place = `${packPrefix} ${offset}+${storedBytes} ${codec}`;
  return `${number} ${digest} ${[place, ...basePrefixes].join(" ")}`;
}

function zeroText(from: number, records: readonly (RawRecord | undefined)[]): string {
  let to = from;
  while (to + 1 < records.length && records[to + 1] === undefined) to += 1;
  return to === from ? `${from} zero` : `${from}-${to} zero`;
}

function traceText(buffer: Buffer): string {
  const count = Math.min(readTableHead("trace", buffer, TRACE_MAGIC), (buffer.length - TABLE_HEAD_BYTES) / 4);
  return Array.from({ length: count }, (_, at) => `${buffer.readUInt32BE(TABLE_HEAD_BYTES + at * 4)}\n`).join(
    "",
  );
}
