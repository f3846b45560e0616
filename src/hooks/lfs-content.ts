/** The Git LFS objects a commit needs: that its pointers' objects are there, and its indexes' packs have pointers. */
import { stat } from "node:fs/promises";
import { decodeHeader } from "../disk/index-header.ts";
import type { PathStore } from "../disk/path-store.ts";
import { CollectiveError } from "../errors.ts";
import type { GitObjects } from "../git/objects.ts";
import { MAX_POINTER_BYTES, parseLfsPointer, type LfsPointer } from "../lfs/pointer.ts";
import { PACKS_FOLDER } from "../publish/write-program-disks.ts";
import type { ListedFile } from "./commit-listing.ts";
import type { Problem } from "./problem.ts";

/** No pointer is smaller. */
const MIN_POINTER_BYTES = 100;
const MAX_HEADER_BYTES = 4 * 1024 * 1024;

export interface PointerFile extends LfsPointer {
  readonly path: string;
}

/** The pointers among listed files. */
export async function readPointers(
  objects: GitObjects,
  files: readonly ListedFile[],
): Promise<readonly PointerFile[]> {
  const small = files.filter(
    ({ kind, sizeBytes }) =>
      kind === "file" && sizeBytes >= MIN_POINTER_BYTES && sizeBytes <= MAX_POINTER_BYTES,
  );
  const found = await Promise.all(
    small.map(async ({ oid, path }) => {
      const blob = await objects.contents(oid);
      const pointer = blob === undefined ? undefined : parseLfsPointer(blob.content);
      return pointer === undefined ? [] : [{ ...pointer, path }];
    }),
  );
  return found.flat();
}

/** Objects that `store` lacks, or has in another size. */
export async function missingObjects(
  pointers: readonly PointerFile[],
  store: PathStore,
): Promise<readonly PointerFile[]> {
  const found = await Promise.all(
    pointers.map(async (pointer) => {
      const file = await stat(store.pathOf(pointer.oid)).catch(() => undefined);
      return file?.isFile() === true && file.size === pointer.sizeBytes ? [] : [pointer];
    }),
  );
  return found.flat();
}

/** Every pack an index names must lie beside it as a Git LFS pointer; every index must begin with a readable header. */
export async function checkPacks(
  objects: GitObjects,
  files: readonly ListedFile[],
  pointers: readonly PointerFile[],
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const byPath = new Map(pointers.map((pointer) => [pointer.path, pointer]));
  for (const { path, oid, sizeBytes } of files) {
    if (!/^disks\/[^/]+\.index\/header$/.test(path)) continue;
    const index = path.slice(0, -"/header".length);
    try {
      const blob = sizeBytes > MAX_HEADER_BYTES ? undefined : await objects.contents(oid);
      for (const pack of decodeHeader(blob?.content ?? Buffer.alloc(0)).packs) {
        const pointer = byPath.get(`${PACKS_FOLDER}/${pack.oid}.pack`);
        if (pointer?.oid === pack.oid && pointer.sizeBytes === pack.sizeBytes) continue;
        problems.push(packMissing(index, pack.oid));
      }
    } catch (error) {
      if (!(error instanceof CollectiveError)) throw error;
      problems.push({ where: index, message: error.message, hint: error.hint });
    }
  }
  return problems;
}

function packMissing(index: string, oid: string): Problem {
  return {
    where: index,
    message: `its pack ${oid.slice(0, 12)}… is not in ${PACKS_FOLDER} as a Git LFS pointer`,
    hint: "`cui disk add`, then `git add disks` and commit again; packs go through git-lfs",
  };
}
