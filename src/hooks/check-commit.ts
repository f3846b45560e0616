/** What one commit of a push must satisfy: as the tip of a branch, and more when it is a version. */
import type { PathStore } from "../disk/path-store.ts";
import { listCommit } from "./commit-listing.ts";
import { checkPacks, missingObjects, readPointers, type PointerFile } from "./lfs-content.ts";
import type { CheckedPush, ReceivedPush } from "./received-push.ts";
import type { Problem } from "./problem.ts";
import { limitSetting } from "./receive-limits.ts";
import { shortRef } from "./ref-updates.ts";

export interface CheckCommitOptions {
  readonly push: ReceivedPush;
  readonly ref: string;
  /** Undefined for the tip of a branch. */
  readonly version: number | undefined;
  readonly commit: string;
  /** The repository's Git LFS objects. */
  readonly store: PathStore;
  readonly importsRequired: boolean;
  readonly pathsBelow: string | undefined;
}

/** Files and Git LFS objects of every tip; of a version its packs and its CVL as well. */
export async function checkCommit(options: CheckCommitOptions): Promise<CheckedPush> {
  const { push, ref, version, commit, store } = options;
  const { folder, env, objects, limits, mirrors } = push;
  const where = shortRef(ref);
  const files = await listCommit({ folder, env, commit, maxFiles: limits.files });
  if (files === undefined) {
    return { problems: [tooManyFiles(where, limits.files)], warnings: [] };
  }
  const pointers = await readPointers(objects, files);
  const problems = (await missingObjects(pointers, store)).map((pointer) => objectMissing(where, pointer));
  if (version === undefined) return { problems, warnings: [] };
  const packs = await checkPacks(objects, files, pointers);
  problems.push(
    ...packs.map(({ where: index, message, hint }) => ({ where, message: `${index}: ${message}`, hint })),
  );
  const { importsRequired, pathsBelow } = options;
  // Most pushes bring no version: they need not wait until the language is loaded.
  const { evaluateVersion } = await import("./evaluate-version.ts");
  const evaluated = await evaluateVersion({
    ...{ mirrors, folder, objects, version, commit, files, pathsBelow, importsRequired },
  });
  return { problems: [...problems, ...evaluated.problems], warnings: evaluated.warnings };
}

function objectMissing(where: string, { oid, path }: PointerFile): Problem {
  return {
    where,
    message: `the Git LFS object of ${path} (${oid.slice(0, 12)}…) is not here, or not whole`,
    hint: "`git lfs push --all origin` sends them; then push again",
  };
}

function tooManyFiles(where: string, limit: number): Problem {
  return {
    where,
    message: `it has more than ${limit} files`,
    hint: `keep only the appliance in its repository, or raise ${limitSetting("files")}`,
  };
}
