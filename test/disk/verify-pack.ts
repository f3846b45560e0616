/** Checks a pack by itself, without any index. */
import { followBases } from "../../src/disk/base-chains.ts";
import type { ChunkRecord } from "../../src/disk/disk-index.ts";
import type { ChunkDigest, ObjectReader, Oid } from "../../src/disk/object-store.ts";
import { corruptPack, readPackEntries } from "../../src/disk/pack-format.ts";
import { checkChunks, type VerifyReport } from "../../src/disk/verify.ts";
import type { CollectiveError } from "../../src/errors.ts";

export interface PackReport extends VerifyReport {
  /** Chunks that could not be checked because a base is in another pack. */
  readonly uncheckedChunks: number;
}

/**
 * Reads the footer of the pack `oid` and checks all its chunks; no index is needed. A delta is checked when its bases are
 * in the same pack.
 * @throws CollectiveError DISK_PACK_CORRUPT, DISK_FORMAT_UNSUPPORTED when the pack's own table cannot be read
 */
export async function verifyPack(oid: Oid, reader: ObjectReader): Promise<PackReport> {
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
