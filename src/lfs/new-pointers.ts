/** The Git LFS objects that commits need which a repository does not have yet. */
import type { Git } from "../git/git.ts";
import { openGitObjects } from "../git/objects.ts";
import { MAX_POINTER_BYTES, parseLfsPointer, type LfsPointer } from "./pointer.ts";

export interface NewPointersOptions {
  readonly git: Git;
  readonly commit: string;
  /** Ids in this repository that the other one has. */
  readonly known: readonly string[];
}

/** The pointers in everything that `commit` reaches and `known` do not, each object once. */
export async function listNewPointers({
  git,
  commit,
  known,
}: NewPointersOptions): Promise<readonly LfsPointer[]> {
  const listed = await git.run({
    args: ["rev-list", "--objects", "--no-object-names", "--stdin"],
    input: [commit, ...known.map((id) => `^${id}`)].map((line) => `${line}\n`).join(""),
  });
  const objects = openGitObjects(git);
  try {
    const pointers = new Map<string, LfsPointer>();
    const names = listed.split("\n").filter((name) => name !== "");
    for (const info of await Promise.all(names.map((name) => objects.info(name)))) {
      if (info?.type !== "blob" || info.sizeBytes > MAX_POINTER_BYTES) continue;
      const pointer = parseLfsPointer((await objects.contents(info.oid))?.content ?? new Uint8Array());
      if (pointer !== undefined) pointers.set(pointer.oid, pointer);
    }
    return [...pointers.values()];
  } finally {
    await objects.close();
  }
}
