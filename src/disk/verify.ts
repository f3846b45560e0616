/** Checks disks completely: every chunk is read, decoded and compared with its digest. */
import type { CollectiveError } from "../errors.ts";
import { withCodecPool } from "./codec-pool.ts";
import { recordsByDigest, type ChunkRecord, type DiskIndex, type PackReference } from "./disk-index.ts";
import { placesOf, wantedChunks } from "./export-disk.ts";
import { fetchChunks, type WantedChunk } from "./fetch-chunks.ts";
import type { ChunkDigest, ObjectStore } from "./object-store.ts";

export interface VerifyReport {
  /** Distinct chunks that are what they should be. */
  readonly goodChunks: number;
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
  return checkChunks({
    wanted,
    records: recordsByDigest(index),
    packs: index.packs,
    store,
    onGood: (record, goodChunks) => {
      known.add(placeKey(record));
      onProgress?.(goodChunks);
    },
  });
}

function placeKey({ digest, pack, offset }: ChunkRecord): string {
  return `${digest} ${pack} ${offset}`;
}

/** Decodes the wanted chunks and checks their digests; `problems` has each pack or chunk once. */
export async function checkChunks(options: {
  readonly wanted: readonly WantedChunk[];
  readonly records: ReadonlyMap<ChunkDigest, ChunkRecord>;
  readonly packs: readonly PackReference[];
  readonly store: ObjectStore;
  readonly onGood?: (record: ChunkRecord, goodChunks: number) => void;
}): Promise<VerifyReport> {
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
