/** Turns a disk image into an index and the packs with the chunks that no known index has. */
import * as crypto from "node:crypto";
import { mkdir } from "node:fs/promises";
import { withCodecPool, type CodecPool } from "./codec-pool.ts";
import { openDiskImage, type DiskImage } from "./image/disk-image.ts";
import { recordsByDigest, type ChunkRecord, type DiskIndex, type PackReference } from "./disk-index.ts";
import { CHUNK_BYTES } from "./format.ts";
import type { ChunkDigest, Oid } from "./object-store.ts";
import { createPackWriter, type PackWriter, type WrittenPack } from "./pack-writer.ts";
import { wrapWriteErrors } from "./write-errors.ts";

export interface WriteOptions {
  /** An image in a format that qemu-img reads and that stands alone. */
  readonly image: string;
  /** The version this one follows: its chunks are not stored again. */
  readonly previous?: DiskIndex;
  /** More indexes whose packs are at hand, such as older versions. Of several places of a chunk the first counts. */
  readonly known?: readonly DiskIndex[];
  /** Where finished packs are put as `<oid>.pack`; made when absent. Temporary files lie there meanwhile. */
  readonly packDirectory: string;
  /** For tests and small stores; default and upper limit 256 MiB. */
  readonly maxPackBytes?: number;
  readonly onProgress?: (progress: WriteProgress) => void;
}

export interface WriteProgress {
  /** How far on the disk. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Plain bytes of new chunks so far. */
  readonly newBytes: number;
}

export interface WrittenDisk {
  readonly index: DiskIndex;
  /** New packs in the order they were written; none when every chunk was known. */
  readonly packs: readonly WrittenPack[];
  /** Size of the new packs together. */
  readonly addedBytes: number;
}

/**
 * Writes index and packs of a disk. The same image, known indexes and zstd give the same bytes. Takes some tens of MiB of
 * memory and two small records for each chunk; what it wrote is deleted when it fails.
 * @throws CollectiveError DISK_IMAGE_MISSING, DISK_IMAGE_UNSUPPORTED, DISK_TOO_LARGE, DISK_WRITE_FAILED
 */
export async function writeProgramDisk(options: WriteOptions): Promise<WrittenDisk> {
  return await wrapWriteErrors(options.packDirectory, async () => {
    await mkdir(options.packDirectory, { recursive: true });
    const image = await openDiskImage(options.image, options.packDirectory);
    const writer = createPackWriter({
      folder: options.packDirectory,
      ...(options.maxPackBytes === undefined ? {} : { maxPackBytes: options.maxPackBytes }),
    });
    try {
      return await withCodecPool((pool) => writeImage({ image, writer, pool, options }));
    } catch (error) {
      await writer.discard();
      throw error;
    } finally {
      await image.close();
    }
  });
}

interface Work {
  readonly image: DiskImage;
  readonly writer: PackWriter;
  readonly pool: CodecPool;
  readonly options: WriteOptions;
}

async function writeImage({ image, writer, pool, options }: Work): Promise<WrittenDisk> {
  const knownIndexes = [
    ...(options.previous === undefined ? [] : [options.previous]),
    ...(options.known ?? []),
  ];
  const records = knownRecords(knownIndexes);
  const queue = new CompressionQueue(pool, writer);
  const placed: { position: number; digest: ChunkDigest }[] = [];
  const queued = new Set<ChunkDigest>();
  let reported = 0;
  let newBytes = 0;
  for await (const { position, bytes } of image.chunks()) {
    const digest = crypto.hash("sha256", bytes, "hex") as ChunkDigest;
    placed.push({ position, digest });
    if (!records.has(digest) && !queued.has(digest)) {
      queued.add(digest);
      newBytes += bytes.length;
      await queue.add(digest, bytes);
    }
    if (position - reported >= PROGRESS_CHUNKS) {
      reported = position;
      options.onProgress?.({ doneBytes: position * CHUNK_BYTES, totalBytes: image.sizeBytes, newBytes });
    }
  }
  await queue.drain();
  const written = await writer.finish();
  for (const record of written.records) records.set(record.digest, record);
  options.onProgress?.({ doneBytes: image.sizeBytes, totalBytes: image.sizeBytes, newBytes });
  const sizes = packSizes(knownIndexes, written.packs);
  return {
    index: assembleIndex({ sizeBytes: image.sizeBytes, placed, records, sizes }),
    packs: written.packs,
    addedBytes: written.packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

const PROGRESS_CHUNKS = 256;
function knownRecords(indexes: readonly DiskIndex[]): Map<ChunkDigest, ChunkRecord> {
  const records = new Map<ChunkDigest, ChunkRecord>();
  for (const index of indexes) {
    for (const [digest, record] of recordsByDigest(index)) {
      if (!records.has(digest)) records.set(digest, record);
    }
  }
  return records;
}

function packSizes(indexes: readonly DiskIndex[], packs: readonly PackReference[]): ReadonlyMap<Oid, number> {
  return new Map(
    [...indexes.flatMap((index) => index.packs), ...packs].map(({ oid, sizeBytes }) => [oid, sizeBytes]),
  );
}

interface Assembly {
  readonly sizeBytes: number;
  readonly placed: readonly { readonly position: number; readonly digest: ChunkDigest }[];
  readonly records: ReadonlyMap<ChunkDigest, ChunkRecord>;
  readonly sizes: ReadonlyMap<Oid, number>;
}

function assembleIndex({ sizeBytes, placed, records, sizes }: Assembly): DiskIndex {
  const recordOf = (digest: ChunkDigest): ChunkRecord => {
    const record = records.get(digest);
    if (record === undefined) throw new Error(`chunk ${digest} was neither known nor written`);
    return record;
  };
  const chunks = placed.map(({ position, digest }) => ({ position, record: recordOf(digest) }));
  const onDisk = new Set(placed.map(({ digest }) => digest));
  const needed = new Map<ChunkDigest, ChunkRecord>();
  const queue = chunks.flatMap(({ record }) => record.bases);
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    if (onDisk.has(digest) || needed.has(digest)) continue;
    needed.set(digest, recordOf(digest));
    queue.push(...recordOf(digest).bases);
  }
  const bases = [...needed.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const oids = new Set([...chunks.map(({ record }) => record.pack), ...bases.map(({ pack }) => pack)]);
  const packs = [...oids].sort().map((oid) => ({ oid, sizeBytes: sizes.get(oid) ?? 0 }));
  return { sizeBytes, packs, chunks, bases, trace: [] };
}

const BATCH_CHUNKS = 16;

/** New chunks on their way to the pack: compressed by the workers in any order, appended in the order they were added. */
class CompressionQueue {
  readonly #pool: CodecPool;
  readonly #writer: PackWriter;
  readonly #appending: Promise<void>[] = [];
  #tail: Promise<void> = Promise.resolve();
  readonly #free: ArrayBuffer[] = [];
  #bytes = new Uint8Array(BATCH_CHUNKS * CHUNK_BYTES);
  #filled = 0;
  #digests: ChunkDigest[] = [];
  #lengths: number[] = [];

  constructor(pool: CodecPool, writer: PackWriter) {
    this.#pool = pool;
    this.#writer = writer;
  }

  async add(digest: ChunkDigest, plain: Uint8Array): Promise<void> {
    this.#bytes.set(plain, this.#filled);
    this.#filled += plain.length;
    this.#digests.push(digest);
    this.#lengths.push(plain.length);
    if (this.#digests.length === BATCH_CHUNKS) await this.#submit();
  }

  async drain(): Promise<void> {
    if (this.#digests.length > 0) await this.#submit();
    await this.#tail;
  }

  async #submit(): Promise<void> {
    const digests = this.#digests;
    const lengths = this.#lengths;
    const compressing = this.#pool.compress(this.#bytes.buffer, lengths);
    const before = this.#tail;
    this.#tail = (async () => {
      const [{ buffer, stored }] = await Promise.all([compressing, before]);
      const entries = stored.map((part, at) => ({
        ...part,
        digest: digests[at] as ChunkDigest,
        plainBytes: lengths[at] ?? 0,
        bases: [],
      }));
      const storedBytes = stored.reduce((sum, part) => sum + part.storedBytes, 0);
      await this.#writer.append(entries, new Uint8Array(buffer, 0, storedBytes));
      this.#free.push(buffer);
    })();
    this.#tail.catch(() => undefined);
    this.#appending.push(this.#tail);
    this.#bytes = new Uint8Array(this.#free.pop() ?? new ArrayBuffer(BATCH_CHUNKS * CHUNK_BYTES));
    this.#filled = 0;
    this.#digests = [];
    this.#lengths = [];
    if (this.#appending.length > this.#pool.jobsInFlight) await this.#appending.shift();
  }
}
