/** Git LFS objects as files: `lfs/objects/aa/bb/<oid>` under a git folder, every one verified when it came in. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import type { Oid } from "../disk/object-store.ts";
import { pathStore, type PathStore } from "../disk/path-store.ts";
import { CollectiveError } from "../errors.ts";

/** The objects under `gitFolder` (a bare repository, or `.git`). */
export function lfsStore(gitFolder: string): PathStore {
  return pathStore(path.join(gitFolder, "lfs/objects"));
}

export interface CopyObjectsOptions {
  readonly oids: readonly Oid[];
  /** The first that has an object gives it. */
  readonly from: readonly PathStore[];
  readonly to: PathStore;
  /** The repository they come from, named in errors. */
  readonly where: string;
}

/**
 * Copies objects that `to` lacks; each appears there whole and verified, or not at all. Returns the bytes copied.
 * @throws CollectiveError REPOSITORY_OBJECT_MISSING, DISK_PACK_CORRUPT.
 */
export async function copyObjects({ oids, from, to, where }: CopyObjectsOptions): Promise<number> {
  let bytes = 0;
  for (const oid of oids) {
    if (await to.has(oid)) continue;
    const source = await firstWith(oid, from);
    if (source === undefined) throw objectMissing(oid, where);
    await to.add(oid, source.pathOf(oid));
    const reader = await to.open(oid);
    bytes += reader.sizeBytes;
    await reader.close();
  }
  return bytes;
}

async function firstWith(oid: Oid, stores: readonly PathStore[]): Promise<PathStore | undefined> {
  for (const store of stores) if (await store.has(oid)) return store;
  return undefined;
}

/** SHA-256 of a file and its size. */
export async function hashFile(file: string): Promise<{ readonly oid: Oid; readonly sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    hash.update(piece);
    sizeBytes += piece.length;
  }
  return { oid: hash.digest("hex") as Oid, sizeBytes };
}

export function objectMissing(oid: Oid, where: string): CollectiveError {
  return new CollectiveError("REPOSITORY_OBJECT_MISSING", `${where} lacks the Git LFS object ${oid}`, {
    data: { oid },
    hint: "its publisher can send it with `git lfs push --all`",
  });
}
