/** What an index needs from a store, told from indexes alone. */
import { recordsByDigest, type ChunkRecord, type DiskIndex } from "./disk-index.ts";
import type { ChunkDigest, Oid } from "./object-store.ts";

/** The packs that hold a chunk of this disk, or a base of one, by ascending oid. */
export function listPacks(index: DiskIndex): Oid[] {
  return index.packs.map(({ oid }) => oid);
}

/** Stored bytes of the chunks, bases included, that must be read from packs to make `wanted` on a host that has the disks `have`. */
export function bytesToFetch(wanted: DiskIndex, have: readonly DiskIndex[]): number {
  const local = new Set<ChunkDigest>();
  for (const index of have) for (const { record } of index.chunks) local.add(record.digest);
  let bytes = 0;
  for (const record of neededRecords(wanted, local)) bytes += record.storedBytes;
  return bytes;
}

/** The records to read when the plain chunks in `local` are at hand: wanted chunks, and their bases as far as needed. */
function neededRecords(wanted: DiskIndex, local: ReadonlySet<ChunkDigest>): Set<ChunkRecord> {
  const records = recordsByDigest(wanted);
  const needed = new Set<ChunkRecord>();
  const queue = wanted.chunks.map(({ record }) => record.digest);
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    const record = records.get(digest);
    if (record === undefined || local.has(digest) || needed.has(record)) continue;
    needed.add(record);
    queue.push(...record.bases);
  }
  return needed;
}
