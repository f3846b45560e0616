/** The Git LFS pointers among the files of a commit, and which of their objects are not in a store. */
import { stat } from "node:fs/promises";
import type { PathStore } from "../disk/path-store.ts";
import type { ListedFile } from "../git/commit-listing.ts";
import type { GitObjects } from "../git/objects.ts";
import { MAX_POINTER_BYTES, parseLfsPointer, type LfsPointer } from "./pointer.ts";

/** No pointer is smaller. */
const MIN_POINTER_BYTES = 100;

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

/** Objects that all of the stores lack, or have in another size. */
export async function missingObjects(
  pointers: readonly PointerFile[],
  stores: readonly PathStore[],
): Promise<readonly PointerFile[]> {
  const found = await Promise.all(
    pointers.map(async (pointer) => {
      for (const store of stores) {
        const file = await stat(store.pathOf(pointer.oid)).catch(() => undefined);
        if (file?.isFile() === true && file.size === pointer.sizeBytes) return [];
      }
      return [pointer];
    }),
  );
  return found.flat();
}
