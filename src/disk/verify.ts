/** Checks packs and disks completely: every chunk is read, decoded and compared with its digest. */
import type { CollectiveError } from "../errors.ts";
import { followBases } from "./base-chains.ts";
import { withCodecPool } from "./codec-pool.ts";
import { recordsByDigest, type ChunkRecord, type DiskIndex, type PackReference } from "./disk-index.ts";
import { placesOf, wantedChunks } from "./export-disk.ts";
import { fetchChunks, type WantedChunk } from "./fetch-chunks.ts";
import type { ChunkDigest, ObjectReader, ObjectStore, Oid } from "./object-store.ts";
import { corruptPack, readPackEntries } from "./pack-format.ts";

export interface VerifyReport {
  /** Distinct chunks that are what they should be. */
  readonly goodChunks: number;
  /** Chunks that could not be checked because a base is in another pack. */
  readonly uncheckedChunks: number;
  /** DISK_PACK_MISSING and DISK_PACK_CORRUPT once a pack, DISK_CHUNK_CORRUPT once a chunk. */
  readonly problems: readonly CollectiveError[];
}

export interface VerifyOptions {
  /** What was found good is added, and what is in it is not checked again: for several disks that share packs. */
  readonly checked?: Set<string>;
  readonly onProgress?: (goodChunks: number) => void;
}

/** Checks every chunk of a disk, and every base, against the packs in `store`. */
export async function verifyDisk(
  index: DiskIndex,
  store: ObjectStore,
  { checked: known = new Set(), onProgress }: VerifyOptions = {},
): Promise<VerifyReport> {
  const wanted = [
    ...wantedChunks(index, placesOf(index)),
    ...index.bases.map((record) => ({ record, plainBytes: undefined })),
  ].filter(({ record }) => !known.has(placeKey(record)));
  const checked = await checkChunks({
    wanted,
    records: recordsByDigest(index),
    packs: index.packs,
    store,
    onGood: (record, goodChunks) => {
      known.add(placeKey(record));
      onProgress?.(goodChunks);
    },
  });
  return { ...checked, uncheckedChunks: 0 };
}

/**
 * Reads the footer of the pack `oid` and checks all its chunks; no index is needed. A delta is checked when its bases are
 * in the same pack.
 * @throws CollectiveError DISK_PACK_CORRUPT, DISK_FORMAT_UNSUPPORTED when the pack's own table cannot be read
 */
export async function verifyPack(oid: Oid, reader: ObjectReader): Promise<VerifyReport> {
  const fail = (message: string): CollectiveError => corruptPack(message, { pack: oid });
  const records = new Map<ChunkDigest, ChunkRecord>();
  const plainBytes = new Map<ChunkDigest, number>();
  for (const entry of await readPackEntries(reader)) {
    const { digest, offset, storedBytes, codec, bases } = entry;
    if (records.has(digest)) throw fail(`its table lists chunk ${digest} twice`);
    records.set(digest, { digest, pack: oid, offset, storedBytes, codec, bases });
    plainBytes.set(digest, entry.plainBytes);
  }
  const wanted = [...records.values()]
    .filter((record) => followBases(record, (digest) => records.get(digest), fail).missing.length === 0)
    .map((record) => ({ record, plainBytes: plainBytes.get(record.digest) }));
  const store = { open: () => Promise.resolve({ ...reader, close: () => Promise.resolve() }) };
  const packs = [{ oid, sizeBytes: reader.sizeBytes }];
  const checked = await checkChunks({ wanted, records, packs, store });
  return { ...checked, uncheckedChunks: records.size - wanted.length };
}

function placeKey({ digest, pack, offset }: ChunkRecord): string {
  return `${digest} ${pack} ${offset}`;
}

async function checkChunks(options: {
  readonly wanted: readonly WantedChunk[];
  readonly records: ReadonlyMap<ChunkDigest, ChunkRecord>;
  readonly packs: readonly PackReference[];
  readonly store: ObjectStore;
  readonly onGood?: (record: ChunkRecord, goodChunks: number) => void;
}): Promise<Omit<VerifyReport, "uncheckedChunks">> {
  const { onGood, ...rest } = options;
  const problems = new Map<string, CollectiveError>();
  let goodChunks = 0;
  await withCodecPool((pool) =>
    fetchChunks({
      ...rest,
      pool,
      onChunk: ({ record }) => {
        goodChunks += 1;
        onGood?.(record, goodChunks);
        return Promise.resolve();
      },
      onProblem: (problem) => {
        const { pack, chunk } = problem.data;
        problems.set(`${problem.code} ${String(pack)} ${String(chunk)}`, problem);
      },
    }),
  );
  return { goodChunks, problems: [...problems.values()] };
}
