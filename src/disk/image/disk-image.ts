/** Reads a disk image of any supported format as the plain disk, without touching what is zero. */
import { open, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../../errors.ts";
import { run } from "../../io.ts";
import { CHUNK_BYTES, isAllZero, MAX_DISK_BYTES, plainBytesAt } from "../format.ts";
import { temporaryFile } from "../temporary-file.ts";
import { missingImage, unsupported } from "./image-file.ts";
import { probeImageFormat, type ImageFormat } from "./image-format.ts";

/** Data of the disk and where in the file it lies; what no extent covers is zero. */
interface Extent {
  readonly start: number;
  readonly length: number;
  readonly fileOffset: number;
}

export interface DiskImage {
  readonly sizeBytes: number;
  /** Every chunk that is not all zeros, ascending; `bytes` is overwritten when the next one is asked for. */
  chunks(): AsyncGenerator<{ readonly position: number; readonly bytes: Uint8Array }, void>;
  close(): Promise<void>;
}

/**
 * Opens the image in `file`. A format whose data does not lie plainly in the file is converted into a sparse temporary
 * file in `temporaryFolder`, deleted by `close`.
 * @throws CollectiveError DISK_IMAGE_MISSING, DISK_IMAGE_UNSUPPORTED, DISK_TOO_LARGE
 */
export async function openDiskImage(file: string, temporaryFolder: string): Promise<DiskImage> {
  // An absolute path: QEMU takes what stands before a colon for a protocol.
  const absolute = path.resolve(file);
  const probed = await probeImageFormat(absolute);
  const source = { file: absolute, format: probed.format };
  const sizeBytes = probed.sizeBytes ?? (await virtualSize(source));
  if (sizeBytes > MAX_DISK_BYTES) {
    throw new CollectiveError(
      "DISK_TOO_LARGE",
      `the disk in ${file} has ${sizeBytes} bytes, at most ${MAX_DISK_BYTES} are possible`,
      { data: { file, sizeBytes }, hint: "shrink the disk" },
    );
  }
  const extents = await mapExtents(source);
  if (extents !== undefined) return await imageOf({ file: absolute, sizeBytes, extents });
  return await convertedImage({ source, sizeBytes, temporaryFolder });
}

/**
 * Opens a file as a raw disk, whatever its first bytes look like.
 * @throws CollectiveError DISK_IMAGE_MISSING
 */
export async function openRawImage(file: string): Promise<DiskImage> {
  const absolute = path.resolve(file);
  const sizeBytes = await fileSize(absolute);
  const extents = (await mapExtents({ file: absolute, format: "raw" })) ?? [];
  return await imageOf({ file: absolute, sizeBytes, extents });
}

interface Source {
  readonly file: string;
  readonly format: ImageFormat;
}

async function virtualSize(source: Source): Promise<number> {
  const info = await qemuImg(source.file, ["info", "--output=json", ...argumentsFor(source)]);
  const size = (JSON.parse(info) as { "virtual-size"?: unknown })["virtual-size"];
  if (typeof size !== "number" || !Number.isSafeInteger(size)) {
    throw unsupported(source.file, "its size is unknown");
  }
  return size;
}

/** How QEMU is told of an image. A VHD has two sizes; the smaller, of an old disk geometry, would cut what other programs wrote. */
function argumentsFor({ file, format }: Source): string[] {
  if (format !== "vpc") return ["-f", format, "--", file];
  const options = {
    driver: "vpc",
    force_size_calc: "current_size",
    file: { driver: "file", filename: file },
  };
  return ["--", `json:${JSON.stringify(options)}`];
}

async function fileSize(file: string): Promise<number> {
  const found = await stat(file).catch((error: unknown) => {
    throw missingImage(file, error);
  });
  return found.size;
}

async function qemuImg(file: string, args: readonly string[]): Promise<string> {
  try {
    return await run({ file: "qemu-img", args, timeoutMs: 3_600_000 });
  } catch (error) {
    if (!(error instanceof CollectiveError) || error.code !== "PROCESS_FAILED") throw error;
    throw new CollectiveError(
      "DISK_IMAGE_UNSUPPORTED",
      `the disk image ${file} cannot be read: ${error.message}`,
      {
        data: { file },
        hint: "qemu-img check says what is wrong with it",
        cause: error,
      },
    );
  }
}

interface MapEntry {
  readonly start: number;
  readonly length: number;
  readonly zero: boolean;
  readonly data: boolean;
  readonly offset?: number;
}

/** Undefined when some data does not lie plainly in the file (a compressed cluster). */
async function mapExtents(source: Source): Promise<Extent[] | undefined> {
  const { file, format } = source;
  const map = await qemuImg(file, ["map", "--output=json", ...argumentsFor(source)]);
  const entries = JSON.parse(map) as MapEntry[];
  const extents: Extent[] = [];
  for (const { start, length, zero, data, offset } of entries) {
    if (zero || !data || length === 0) continue;
    if (offset === undefined) return undefined;
    const last = extents.at(-1);
    if (last !== undefined && continues(last, start, offset, format)) {
      extents[extents.length - 1] = { ...last, length: start + length - last.start };
    } else {
      extents.push({ start, length, fileOffset: offset });
    }
  }
  return extents;
}

/** Adjacent in disk and file; in a raw file small holes are read as the zeros they are. */
function continues(last: Extent, start: number, offset: number, format: ImageFormat): boolean {
  const gap = start - (last.start + last.length);
  const sameShift = offset - start === last.fileOffset - last.start;
  return sameShift && (gap === 0 || (format === "raw" && gap < CHUNK_BYTES));
}

async function convertedImage(options: {
  readonly source: Source;
  readonly sizeBytes: number;
  readonly temporaryFolder: string;
}): Promise<DiskImage> {
  const { source, sizeBytes, temporaryFolder } = options;
  const raw = await temporaryFile(path.resolve(temporaryFolder));
  const remove = (): Promise<void> => rm(raw, { force: true });
  try {
    await qemuImg(source.file, ["convert", "-O", "raw", ...argumentsFor(source), raw]);
    const extents = (await mapExtents({ file: raw, format: "raw" })) ?? [];
    const image = await imageOf({ file: raw, sizeBytes, extents });
    return {
      ...image,
      close: async () => {
        await image.close();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

const BLOCK_CHUNKS = 32;
const BLOCK_BYTES = BLOCK_CHUNKS * CHUNK_BYTES;

interface MappedFile {
  readonly file: string;
  readonly sizeBytes: number;
  readonly extents: readonly Extent[];
}

async function imageOf(mapped: MappedFile): Promise<DiskImage> {
  const handle = await open(mapped.file, "r");
  return {
    sizeBytes: mapped.sizeBytes,
    chunks: () => readChunks(handle, mapped),
    close: () => handle.close(),
  };
}

async function* readChunks(
  handle: FileHandle,
  mapped: MappedFile,
): AsyncGenerator<{ position: number; bytes: Uint8Array }, void> {
  const { extents, sizeBytes } = mapped;
  const read = readerOf(handle, mapped);
  const blocks = blocksOf(extents, sizeBytes);
  const buffers = [Buffer.alloc(BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES)] as const;
  let reading = nextBlock(read, blocks, buffers[0]);
  for (let turn = 1; ; turn += 1) {
    const block = await reading;
    if (block === undefined) return;
    // The next block is read while the caller works on this one.
    reading = nextBlock(read, blocks, buffers[turn % 2 === 0 ? 0 : 1]);
    reading.catch(() => undefined);
    for (const position of block.positions) {
      const at = position * CHUNK_BYTES - block.start;
      const bytes = block.bytes.subarray(at, at + plainBytesAt(sizeBytes, position));
      if (!isAllZero(bytes)) yield { position, bytes };
    }
  }
}

interface Block {
  readonly start: number;
  readonly end: number;
  readonly positions: readonly number[];
  readonly pieces: readonly Extent[];
}

/** Cuts the extents into blocks of at most 2 MiB that begin and end with chunks. */
function* blocksOf(extents: readonly Extent[], sizeBytes: number): Generator<Block, undefined> {
  let at = 0;
  let first = 0;
  for (;;) {
    while (first < extents.length && endOf(extents[first]) <= at) first += 1;
    const next = extents[first];
    if (next === undefined) return undefined;
    const start = Math.max(at, Math.floor(next.start / CHUNK_BYTES) * CHUNK_BYTES);
    const end = Math.min(start + BLOCK_BYTES, sizeBytes);
    if (start >= sizeBytes) return undefined;
    const pieces: Extent[] = [];
    for (let number = first; number < extents.length; number += 1) {
      const extent = extents[number];
      if (extent === undefined || extent.start >= end) break;
      const from = Math.max(extent.start, start);
      const to = Math.min(endOf(extent), end);
      pieces.push({ start: from, length: to - from, fileOffset: extent.fileOffset + (from - extent.start) });
    }
    yield { start, end, pieces, positions: positionsOf(pieces) };
    at = end;
  }
}

function endOf(extent: Extent | undefined): number {
  return extent === undefined ? 0 : extent.start + extent.length;
}

function positionsOf(pieces: readonly Extent[]): number[] {
  const positions = new Set<number>();
  for (const { start, length } of pieces) {
    for (let at = Math.floor(start / CHUNK_BYTES); at * CHUNK_BYTES < start + length; at += 1)
      positions.add(at);
  }
  return [...positions];
}

type ReadInto = (into: Buffer, fileOffset: number) => Promise<void>;

async function nextBlock(
  read: ReadInto,
  blocks: Generator<Block, undefined>,
  buffer: Buffer,
): Promise<{ start: number; positions: readonly number[]; bytes: Buffer } | undefined> {
  const { value: block } = blocks.next();
  if (block === undefined) return undefined;
  const covered = block.pieces.reduce((sum, { length }) => sum + length, 0);
  if (covered < block.end - block.start) buffer.fill(0);
  for (const { start, length, fileOffset } of block.pieces) {
    await read(buffer.subarray(start - block.start, start - block.start + length), fileOffset);
  }
  return { start: block.start, positions: block.positions, bytes: buffer };
}

function readerOf(handle: FileHandle, { file }: MappedFile): ReadInto {
  return async (into, fileOffset) => {
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await handle.read(into, done, into.length - done, fileOffset + done);
      if (bytesRead === 0) throw unsupported(file, "it became shorter while it was read");
      done += bytesRead;
    }
  };
}
