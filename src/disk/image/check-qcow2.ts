/**
 * Whether a qcow2 stands alone and is whole: header, L1 table, L2 tables, and every cluster they name.
 * @see QEMU docs/interop/qcow2.txt
 */
import { inflateRawSync, zstdDecompressSync } from "node:zlib";
import { unsupported, type ImageFile } from "./image-file.ts";

const INCOMPATIBLE = { corrupt: 2n, externalData: 4n, extendedL2: 16n };
const SUBCLUSTERS = 32;
const SECTOR_BYTES = 512;
const HIGH = 2 ** 32;
/** As QEMU: no larger one is opened. */
const MAX_L1_ENTRIES = 4 * 1024 * 1024;

interface Header {
  readonly sizeBytes: number;
  readonly clusterBits: number;
  readonly clusterBytes: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly entryBytes: number;
  readonly isExtended: boolean;
  readonly isZstd: boolean;
}

/** @throws CollectiveError DISK_IMAGE_UNSUPPORTED */
export async function checkQcow2(image: ImageFile): Promise<void> {
  const header = await readHeader(image);
  const { clusterBytes, entryBytes, l1Offset, sizeBytes } = header;
  // Damaged, not cut: QEMU refuses it and says why.
  if (l1Offset % clusterBytes !== 0 || l1Offset > Number.MAX_SAFE_INTEGER) return;
  const bytesPerTable = (clusterBytes / entryBytes) * clusterBytes;
  const needed = Math.ceil(sizeBytes / bytesPerTable);
  if (needed > header.l1Entries || needed > MAX_L1_ENTRIES) {
    throw unsupported(image.path, "its L1 table is too small for its disk");
  }
  const l1 = await image.read(l1Offset, needed * 8, "its L1 table");
  const compressed = new Set<string>();
  for (let table = 0; table < needed; table += 1) {
    const offset = clusterOffset(l1.readUInt32BE(table * 8), l1.readUInt32BE(table * 8 + 4));
    if (offset === 0) continue;
    const l2 = await image.read(offset, clusterBytes, "an L2 table");
    for (const span of spansOf(l2, { header, firstByte: table * bytesPerTable })) {
      if (!span.isCompressed) image.requireUpTo(span.end, "a cluster");
      else if (span.end > image.sizeBytes) await checkLastCompressed(image, { header, span, compressed });
    }
  }
}

async function readHeader(image: ImageFile): Promise<Header> {
  const head = await image.read(0, 72, "its header");
  const version = head.readUInt32BE(4);
  if (version < 2 || version > 3) throw unsupported(image.path, `it is qcow2 version ${version}`);
  const rest = version === 3 ? await image.read(72, 40, "its header") : Buffer.alloc(40);
  const features = rest.readBigUInt64BE(0);
  const refusal = refusalOf(head, features);
  if (refusal !== undefined) throw unsupported(image.path, refusal);
  const clusterBits = head.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > 21) throw unsupported(image.path, "its cluster size is out of bounds");
  if (version === 3 && rest.readUInt32BE(24) > 6)
    throw unsupported(image.path, "its refcount order is above 6");
  const isExtended = (features & INCOMPATIBLE.extendedL2) !== 0n;
  return {
    sizeBytes: Number(head.readBigUInt64BE(24)),
    clusterBits,
    clusterBytes: 2 ** clusterBits,
    l1Offset: Number(head.readBigUInt64BE(40)),
    l1Entries: head.readUInt32BE(36),
    entryBytes: isExtended ? 16 : 8,
    isExtended,
    isZstd: rest.readUInt32BE(28) > 104 && rest.readUInt8(32) === 1,
  };
}

function refusalOf(head: Buffer, features: bigint): string | undefined {
  if (head.readBigUInt64BE(8) !== 0n) return "it has a backing file";
  if (head.readUInt32BE(32) !== 0) return "it is encrypted";
  if ((features & INCOMPATIBLE.externalData) !== 0n) return "its data is in another file";
  if ((features & INCOMPATIBLE.corrupt) !== 0n) return "it is marked as corrupt";
  return undefined;
}

/** Where data of the disk ends in the file. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly isCompressed: boolean;
  /** Bytes of the disk in it. */
  readonly diskBytes: number;
}

/** What an L2 table names; of the last cluster only what the disk has need be there. */
function* spansOf(
  l2: Buffer,
  { header, firstByte }: { readonly header: Header; readonly firstByte: number },
): Generator<Span> {
  const { clusterBytes, clusterBits, entryBytes, isExtended, sizeBytes } = header;
  for (let at = 0; at < l2.length; at += entryBytes) {
    const high = l2.readUInt32BE(at);
    const low = l2.readUInt32BE(at + 4);
    if (high === 0 && low === 0) continue;
    const diskBytes = Math.min(clusterBytes, sizeBytes - (firstByte + (at / entryBytes) * clusterBytes));
    if (diskBytes <= 0) return;
    if ((high & 0x40000000) !== 0) {
      yield { ...compressedSpan({ high, low, clusterBits }), isCompressed: true, diskBytes };
      continue;
    }
    const start = clusterOffset(high, low);
    const isZero = !isExtended && (low & 1) !== 0;
    if (start === 0 || isZero) continue;
    const used = isExtended ? usedBytes(l2.readUInt32BE(at + 12), clusterBytes) : clusterBytes;
    yield { start, end: start + Math.min(used, diskBytes), isCompressed: false, diskBytes };
  }
}

function clusterOffset(high: number, low: number): number {
  return (high & 0x00ffffff) * HIGH + ((low & 0xfffffe00) >>> 0);
}

/** Up to the last subcluster that is allocated. */
function usedBytes(allocated: number, clusterBytes: number): number {
  return ((SUBCLUSTERS - Math.clz32(allocated)) * clusterBytes) / SUBCLUSTERS;
}

function compressedSpan({
  high,
  low,
  clusterBits,
}: {
  readonly high: number;
  readonly low: number;
  readonly clusterBits: number;
}): { readonly start: number; readonly end: number } {
  // 62 bits: the sectors beyond the first in the upper (cluster bits - 8), the offset in the others.
  const entry = (BigInt(high & 0x3fffffff) << 32n) | BigInt(low);
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const start = Number(entry & ((1n << offsetBits) - 1n));
  const sectors = Number(entry >> offsetBits) + 1;
  return { start, end: Math.floor(start / SECTOR_BYTES) * SECTOR_BYTES + sectors * SECTOR_BYTES };
}

/** Compressed data is counted in sectors, and the last may not be written out: whether something is missing only unpacking tells. */
async function checkLastCompressed(
  image: ImageFile,
  {
    header,
    span,
    compressed,
  }: { readonly header: Header; readonly span: Span; readonly compressed: Set<string> },
): Promise<void> {
  const key = `${span.start}-${span.end}`;
  if (compressed.has(key)) return;
  compressed.add(key);
  if (span.end - image.sizeBytes >= SECTOR_BYTES || span.start >= image.sizeBytes) {
    image.requireUpTo(span.end, "a compressed cluster");
  }
  const stored = await image.read(span.start, image.sizeBytes - span.start, "a compressed cluster");
  if (plainBytes(stored, header) !== header.clusterBytes) {
    image.requireUpTo(span.end, "a compressed cluster");
  }
}

function plainBytes(stored: Buffer, { isZstd, clusterBytes }: Header): number {
  try {
    const limit = { maxOutputLength: clusterBytes };
    return (isZstd ? zstdDecompressSync(stored, limit) : inflateRawSync(stored, limit)).length;
  } catch {
    return 0; // it ends too early
  }
}
