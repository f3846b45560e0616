/**
 * Reads chunks from packs in large ranges, decodes and verifies them in the worker threads, hands each plain chunk out once.
 * Nothing is handed out whose SHA-256 is not its digest.
 */
import { CollectiveError } from "../errors.ts";
import type { DecodeItem } from "./codec-messages.ts";
import type { CodecPool } from "./codec-pool.ts";
import type { ChunkRecord, PackReference } from "./disk-index.ts";
import { CHUNK_BYTES, DICTIONARY_PREFIX_BYTES } from "./format.ts";
import type { ChunkDigest, ObjectReader, ObjectStore, Oid } from "./object-store.ts";
import { corruptPack } from "./pack-format.ts";

/** A chunk to fetch; `plainBytes` is undefined where any length up to a chunk's is right (bases). */
export interface WantedChunk {
  readonly record: ChunkRecord;
  readonly plainBytes: number | undefined;
}

export interface FetchOptions {
  readonly wanted: readonly WantedChunk[];
  /** Where the bases of wanted chunks are found. */
  readonly records: ReadonlyMap<ChunkDigest, ChunkRecord>;
  readonly packs: readonly PackReference[];
  readonly store: ObjectStore;
  readonly pool: CodecPool;
  /** Plain bytes of a chunk that lies here already, verified; asked for bases before the store is. */
  readonly local?: (digest: ChunkDigest) => Promise<Uint8Array | undefined>;
  /** Gets each chunk once, in any order, several at a time; `plain` is overwritten after the promise is settled. */
  readonly onChunk: (chunk: WantedChunk, plain: Uint8Array) => Promise<void>;
  /** Called instead of throwing for a pack or chunk that is not what it should be. */
  readonly onProblem?: (problem: CollectiveError) => void;
}

const MAX_GAP_BYTES = 256 * 1024;
const MAX_RANGE_BYTES = 4 * 1024 * 1024;
const MAX_RANGE_CHUNKS = 16;
const CACHED_BASES = 256;

/**
 * Fetches all wanted chunks.
 * @returns the bytes read from packs
 * @throws CollectiveError DISK_PACK_MISSING, DISK_PACK_CORRUPT, DISK_CHUNK_CORRUPT naming chunk and pack, unless `onProblem` takes it
 */
export async function fetchChunks(options: FetchOptions): Promise<number> {
  const session = new Session(options);
  try {
    return await session.run();
  } finally {
    await session.close();
  }
}

/** A chunk, or its stored bytes, is not what the index says. */
function corruptChunk(record: ChunkRecord, problem: string): CollectiveError {
  return new CollectiveError(
    "DISK_CHUNK_CORRUPT",
    `chunk ${record.digest} in pack ${record.pack} at byte ${record.offset} is corrupt: ${problem}`,
    {
      data: { chunk: record.digest, pack: record.pack, offset: record.offset },
      hint: "delete this object from the local store and fetch it again (git lfs fetch)",
    },
  );
}

interface Range {
  readonly pack: Oid;
  readonly offset: number;
  readonly length: number;
  readonly chunks: readonly WantedChunk[];
}

class Session {
  readonly #options: FetchOptions;
  readonly #sizes: ReadonlyMap<Oid, number>;
  readonly #readers = new Map<Oid, Promise<ObjectReader>>();
  /** Plain bases, the least recently used first. */
  readonly #bases = new Map<ChunkDigest, Promise<Uint8Array>>();
  /** Buffers for a whole range of plain chunks, used again and again. */
  readonly #outputs: ArrayBuffer[] = [];
  #fetchedBytes = 0;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#sizes = new Map(options.packs.map(({ oid, sizeBytes }) => [oid, sizeBytes]));
  }

  async run(): Promise<number> {
    const { wanted, pool } = this.#options;
    const plain = wanted.filter(({ record }) => record.codec !== "delta");
    const deltas = wanted.filter(({ record }) => record.codec === "delta").sort(byPlace);
    await eachInFlight(rangesOf(plain), pool.jobsInFlight, (range) =>
      this.#guard(() => this.#fetchRange(range)),
    );
    await eachInFlight(deltas, pool.jobsInFlight, (chunk) => this.#guard(() => this.#fetchDelta(chunk)));
    return this.#fetchedBytes;
  }

  async close(): Promise<void> {
    for (const opening of this.#readers.values()) {
      await opening.then(
        (reader) => reader.close(),
        () => undefined,
      );
    }
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { onProblem } = this.#options;
      if (onProblem === undefined || !(error instanceof CollectiveError) || !isDataError(error)) throw error;
      onProblem(error);
    }
  }

  async #fetchRange({ pack, offset, length, chunks }: Range): Promise<void> {
    const bytes = await this.#read(pack, offset, length);
    const items = chunks.map(({ record, plainBytes }) => itemOf(record, record.offset - offset, plainBytes));
    const output = this.#outputs.pop() ?? new ArrayBuffer(MAX_RANGE_CHUNKS * CHUNK_BYTES);
    const { buffer, chunks: decoded } = await this.#options.pool.decode(ownBuffer(bytes), output, items);
    for (const [at, chunk] of chunks.entries()) {
      const outcome = decoded[at];
      const problem = outcome === undefined ? "it was not decoded" : outcome.problem;
      await this.#guard(async () => {
        if (problem !== undefined) throw corruptChunk(chunk.record, problem);
        const plain = new Uint8Array(buffer, at * CHUNK_BYTES, outcome?.plainBytes);
        await this.#options.onChunk(chunk, plain);
      });
    }
    this.#outputs.push(buffer);
  }

  async #fetchDelta(chunk: WantedChunk): Promise<void> {
    await this.#options.onChunk(chunk, await this.#decodeOne(chunk.record, chunk.plainBytes));
  }

  async #decodeOne(record: ChunkRecord, plainBytes: number | undefined): Promise<Uint8Array> {
    const dictionary = record.codec === "delta" ? await this.#dictionaryOf(record) : undefined;
    const bytes = await this.#read(record.pack, record.offset, record.storedBytes);
    const item = { ...itemOf(record, 0, plainBytes), ...(dictionary === undefined ? {} : { dictionary }) };
    const { buffer, chunks } = await this.#options.pool.decode(
      ownBuffer(bytes),
      new ArrayBuffer(CHUNK_BYTES),
      [item],
    );
    const [outcome] = chunks;
    if (outcome?.plainBytes === undefined) {
      throw corruptChunk(record, outcome?.problem ?? "it was not decoded");
    }
    return new Uint8Array(buffer, 0, outcome.plainBytes);
  }

  async #dictionaryOf(record: ChunkRecord): Promise<Uint8Array> {
    const bases: Uint8Array[] = [];
    for (const base of record.bases) bases.push(await this.#plainBase(base));
    return Buffer.concat([Buffer.alloc(DICTIONARY_PREFIX_BYTES), ...bases]);
  }

  #plainBase(digest: ChunkDigest): Promise<Uint8Array> {
    const known = this.#bases.get(digest);
    if (known !== undefined) this.#bases.delete(digest);
    const plain = known ?? this.#loadBase(digest);
    plain.catch(() => undefined);
    this.#bases.set(digest, plain);
    const [oldest] = this.#bases.keys();
    if (this.#bases.size > CACHED_BASES && oldest !== undefined) this.#bases.delete(oldest);
    return plain;
  }

  async #loadBase(digest: ChunkDigest): Promise<Uint8Array> {
    const local = await this.#options.local?.(digest);
    if (local !== undefined) return local;
    const record = this.#options.records.get(digest);
    if (record === undefined) throw new Error(`base chunk ${digest} is in no record of a checked index`);
    return await this.#decodeOne(record, undefined);
  }

  async #read(pack: Oid, offset: number, length: number): Promise<Uint8Array> {
    const reader = await this.#reader(pack);
    const bytes = await reader.read(offset, length);
    this.#fetchedBytes += length;
    return bytes;
  }

  #reader(pack: Oid): Promise<ObjectReader> {
    const opening = this.#readers.get(pack) ?? this.#open(pack);
    this.#readers.set(pack, opening);
    return opening;
  }

  async #open(pack: Oid): Promise<ObjectReader> {
    const reader = await this.#options.store.open(pack);
    const expected = this.#sizes.get(pack);
    if (reader.sizeBytes === expected) return reader;
    await reader.close();
    throw corruptPack(`it has ${reader.sizeBytes} bytes, the index says ${expected ?? "nothing"}`, { pack });
  }
}

function isDataError(error: CollectiveError): boolean {
  return ["DISK_PACK_MISSING", "DISK_PACK_CORRUPT", "DISK_CHUNK_CORRUPT"].includes(error.code);
}

function itemOf(record: ChunkRecord, offset: number, plainBytes: number | undefined): DecodeItem {
  const { storedBytes, codec, digest } = record;
  return { offset, storedBytes, codec, digest, plainBytes };
}

/** A buffer that may be moved to a worker: the bytes' own when they fill it. */
function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
    ? bytes.buffer
    : new Uint8Array(bytes).buffer;
}

function byPlace({ record: a }: WantedChunk, { record: b }: WantedChunk): number {
  return a.pack === b.pack ? a.offset - b.offset : a.pack < b.pack ? -1 : 1;
}

/** Chunks that lie near each other in a pack are read together. */
function* rangesOf(wanted: readonly WantedChunk[]): Generator<Range> {
  let chunks: WantedChunk[] = [];
  let start = 0;
  let end = 0;
  let pack: Oid | undefined;
  for (const chunk of [...wanted].sort(byPlace)) {
    const { record } = chunk;
    const joins =
      record.pack === pack &&
      record.offset - end <= MAX_GAP_BYTES &&
      record.offset + record.storedBytes - start <= MAX_RANGE_BYTES &&
      chunks.length < MAX_RANGE_CHUNKS;
    if (!joins) {
      if (pack !== undefined) yield { pack, offset: start, length: end - start, chunks };
      chunks = [];
      start = record.offset;
      pack = record.pack;
    }
    chunks.push(chunk);
    end = record.offset + record.storedBytes;
  }
  if (pack !== undefined) yield { pack, offset: start, length: end - start, chunks };
}

/** Runs `work` on each item, at most `limit` at a time; the first failure ends it when all that runs has ended. */
async function eachInFlight<Item>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for (const item of items) {
    if (failures.length > 0) break;
    const task: Promise<void> = work(item)
      .catch((error: unknown) => {
        failures.push(error);
      })
      .finally(() => running.delete(task));
    running.add(task);
    if (running.size >= limit) await Promise.race(running);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
