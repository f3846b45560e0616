/**
 * The bytes of a pack around its chunks: head, entry table, trailer. @see docs/disk-format.md, "Packs"
 *
 *     head     magic "CUIPACK1", u32 version, u32 features                                   16 bytes
 *     chunks   stored bytes, back to back, in the order of the table
 *     table    per chunk: digest 32, u32 stored, u32 plain, u8 codec, u8 bases, u16 zero     44 bytes each
 *     bases    for each chunk in order, the digests of its bases                             32 bytes each
 *     trailer  SHA-256 of table + bases, u32 chunks, u32 bases, magic "CUIPACKE"             48 bytes
 */
import { createHash } from "node:crypto";
import { CollectiveError } from "../errors.ts";
import {
  CHUNK_BYTES,
  CODECS,
  DIGEST_BYTES,
  FORMAT_VERSION,
  MAX_BASES,
  MAX_PACK_BYTES,
  MAX_PACK_CHUNKS,
  PACK_END_MAGIC,
  PACK_MAGIC,
  UNDERSTOOD_FEATURES,
  type Codec,
} from "./format.ts";
import type { ChunkDigest, ObjectReader } from "./object-store.ts";

export const PACK_HEAD_BYTES = 16;
const ENTRY_BYTES = 44;
const TRAILER_BYTES = 48;

/** What a pack's own table says of one chunk. */
export interface PackEntry {
  readonly digest: ChunkDigest;
  /** From the start of the pack. */
  readonly offset: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
  readonly codec: Codec;
  readonly bases: readonly ChunkDigest[];
}

/** Bytes after the last chunk of a pack of `chunks` chunks with `bases` base digests in all. */
export function packTailBytes(chunks: number, bases = 0): number {
  return chunks * ENTRY_BYTES + bases * DIGEST_BYTES + TRAILER_BYTES;
}

export function encodePackHead(): Uint8Array {
  const head = Buffer.alloc(PACK_HEAD_BYTES);
  head.write(PACK_MAGIC, 0, "latin1");
  head.writeUInt32BE(FORMAT_VERSION, 8);
  return head;
}

export function encodePackTail(entries: readonly PackEntry[]): Uint8Array {
  const bases = entries.flatMap((entry) => entry.bases);
  const tail = Buffer.alloc(packTailBytes(entries.length, bases.length));
  entries.forEach((entry, at) => {
    writeEntry(tail, at * ENTRY_BYTES, entry);
  });
  const basesStart = entries.length * ENTRY_BYTES;
  bases.forEach((digest, at) => tail.write(digest, basesStart + at * DIGEST_BYTES, "hex"));
  const end = tail.length - TRAILER_BYTES;
  createHash("sha256").update(tail.subarray(0, end)).digest().copy(tail, end);
  tail.writeUInt32BE(entries.length, end + 32);
  tail.writeUInt32BE(bases.length, end + 36);
  tail.write(PACK_END_MAGIC, end + 40, "latin1");
  return tail;
}

function writeEntry(into: Buffer, at: number, entry: PackEntry): void {
  into.write(entry.digest, at, "hex");
  into.writeUInt32BE(entry.storedBytes, at + 32);
  into.writeUInt32BE(entry.plainBytes, at + 36);
  into.writeUInt8(CODECS.indexOf(entry.codec), at + 40);
  into.writeUInt8(entry.bases.length, at + 41);
}

/**
 * Reads head and tail of a pack, no chunk.
 * @throws CollectiveError DISK_PACK_CORRUPT, DISK_FORMAT_UNSUPPORTED
 */
export async function readPackEntries(reader: ObjectReader): Promise<PackEntry[]> {
  if (reader.sizeBytes < PACK_HEAD_BYTES + TRAILER_BYTES) {
    throw corruptPack(`${reader.sizeBytes} bytes are too few for a pack`);
  }
  if (reader.sizeBytes > MAX_PACK_BYTES) {
    throw corruptPack(`it has ${reader.sizeBytes} bytes, a pack at most ${MAX_PACK_BYTES}`);
  }
  checkHead(asBuffer(await reader.read(0, PACK_HEAD_BYTES)));
  const trailer = asBuffer(await reader.read(reader.sizeBytes - TRAILER_BYTES, TRAILER_BYTES));
  const { chunks, bases } = checkTrailer(trailer, reader.sizeBytes);
  const dataEnd = reader.sizeBytes - packTailBytes(chunks, bases);
  const table = asBuffer(await reader.read(dataEnd, packTailBytes(chunks, bases) - TRAILER_BYTES));
  if (!createHash("sha256").update(table).digest().equals(trailer.subarray(0, 32))) {
    throw corruptPack("its table does not have the digest its trailer states");
  }
  return decodeEntries(table, chunks, bases, dataEnd);
}

/** A pack that is not what it should be; `message` continues "the pack … ". */
export function corruptPack(message: string, data: Readonly<Record<string, unknown>> = {}): CollectiveError {
  const name = typeof data["pack"] === "string" ? `the pack ${data["pack"]}` : "the pack";
  return new CollectiveError("DISK_PACK_CORRUPT", `${name} is corrupt: ${message}`, {
    data,
    hint: "delete this object from the local store and fetch it again (git lfs fetch)",
  });
}

/** @throws CollectiveError DISK_FORMAT_UNSUPPORTED unless this program understands that version and those features. */
export function checkFormat(what: string, version: number, features: number): void {
  if (version !== FORMAT_VERSION) {
    throw unsupported(`${what} has format version ${version}; understood is ${FORMAT_VERSION}`);
  }
  const unknown = (features & ~UNDERSTOOD_FEATURES) >>> 0;
  if (unknown !== 0) {
    throw unsupported(
      `${what} needs features 0x${unknown.toString(16)}; understood are none beyond version 1`,
    );
  }
}

function unsupported(message: string): CollectiveError {
  return new CollectiveError("DISK_FORMAT_UNSUPPORTED", message, {
    hint: "it was written by a newer cui: update this one",
  });
}

function checkHead(head: Buffer): void {
  if (head.toString("latin1", 0, 8) !== PACK_MAGIC) throw corruptPack(`it does not begin with ${PACK_MAGIC}`);
  checkFormat("the pack", head.readUInt32BE(8), head.readUInt32BE(12));
}

function checkTrailer(trailer: Buffer, sizeBytes: number): { chunks: number; bases: number } {
  if (trailer.toString("latin1", 40) !== PACK_END_MAGIC) {
    throw corruptPack(`it does not end with ${PACK_END_MAGIC}; it may be cut off`);
  }
  const chunks = trailer.readUInt32BE(32);
  const bases = trailer.readUInt32BE(36);
  if (chunks > MAX_PACK_CHUNKS || bases > chunks * MAX_BASES) {
    throw corruptPack(`its trailer counts ${chunks} chunks and ${bases} bases`);
  }
  if (PACK_HEAD_BYTES + packTailBytes(chunks, bases) > sizeBytes) {
    throw corruptPack(`its trailer counts ${chunks} chunks, more than fit its ${sizeBytes} bytes`);
  }
  return { chunks, bases };
}

function decodeEntries(table: Buffer, chunks: number, baseCount: number, dataEnd: number): PackEntry[] {
  const basesStart = chunks * ENTRY_BYTES;
  const entries: PackEntry[] = [];
  let offset = PACK_HEAD_BYTES;
  let basesRead = 0;
  for (let at = 0; at < basesStart; at += ENTRY_BYTES) {
    const baseTotal = table.readUInt8(at + 41);
    const codec = CODECS[table.readUInt8(at + 40)];
    const storedBytes = table.readUInt32BE(at + 32);
    const plainBytes = table.readUInt32BE(at + 36);
    if (
      codec === undefined ||
      (codec === "delta") !== baseTotal > 0 ||
      baseTotal > MAX_BASES ||
      basesRead + baseTotal > baseCount ||
      table.readUInt16BE(at + 42) !== 0 ||
      plainBytes < 1 ||
      plainBytes > CHUNK_BYTES ||
      storedBytes < 1 ||
      storedBytes > plainBytes ||
      (codec === "raw" && storedBytes !== plainBytes)
    ) {
      throw corruptPack(`entry ${at / ENTRY_BYTES} of its table is invalid`);
    }
    const bases = Array.from({ length: baseTotal }, (_, base) =>
      digestAt(table, basesStart + (basesRead + base) * DIGEST_BYTES),
    );
    entries.push({ digest: digestAt(table, at), offset, storedBytes, plainBytes, codec, bases });
    offset += storedBytes;
    basesRead += baseTotal;
  }
  if (offset !== dataEnd || basesRead !== baseCount) {
    throw corruptPack(`the chunks of its table end at ${offset}, its data at ${dataEnd}`);
  }
  return entries;
}

function digestAt(bytes: Buffer, at: number): ChunkDigest {
  return bytes.toString("hex", at, at + DIGEST_BYTES) as ChunkDigest;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
