/** A mirror is only a copy: where it is damaged, or names objects in another way than its repository, it is made anew and fetched. */
import { randomUUID } from "node:crypto";
import { rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { CollectiveError, messageOf } from "../errors.ts";
import { isDamage } from "../git/damage.ts";
import { withFileLock } from "../file-lock.ts";
import type { Git } from "../git/git.ts";
import { objectFormatOf, type ObjectFormat } from "../git/object-format.ts";
import { makeUnfinished, mirrorLock } from "./mirror-cache.ts";

export interface RemakeOptions {
  /** Of the mirror. */
  readonly git: Git;
  /** What is wrong with it, for the message; undefined: only its format is another one. */
  readonly problem: string | undefined;
  /** Undefined: as it is. */
  readonly format: ObjectFormat | undefined;
  /** The mirror as its user met it (`mirrorId`): one that somebody else made since is left. Default: as it is now. */
  readonly seen?: string | undefined;
  /** Fetches everything into an empty mirror. */
  readonly fetch: (into: Git) => Promise<void>;
}

/**
 * Puts a whole mirror in the place of one; its Git LFS objects, which are verified when they are used, go along. Nothing changes when the
 * repository does not answer.
 * @throws CollectiveError REPOSITORY_DAMAGED when that mirror is of no use; as `fetch` where its format was the only fault
 */
export async function remakeMirror(options: RemakeOptions): Promise<void> {
  const { git, problem } = options;
  const seen = options.seen ?? (await mirrorId(git.folder));
  await withFileLock(mirrorLock(git), async () => {
    if ((await mirrorId(git.folder)) !== seen) return;
    const unfinished = await makeUnfinished(git, options.format ?? (await objectFormatOf(git)) ?? "sha1");
    try {
      await options.fetch(git.bare(unfinished));
      await replaceFolder(git.folder, unfinished);
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      // What was taken for our damage was the other side's.
      const isTheirs = error instanceof CollectiveError && isDamage(error.cause);
      throw problem === undefined || isTheirs ? error : notMended(git.folder, problem, error);
    }
  });
}

/** Another one after a mirror was made anew. */
export async function mirrorId(folder: string): Promise<string> {
  const found = await stat(folder, { bigint: true }).catch(() => undefined);
  return found === undefined ? "" : `${found.dev}:${found.ino}`;
}

async function replaceFolder(folder: string, unfinished: string): Promise<void> {
  const old = `${folder}.${randomUUID()}.old`;
  await rename(path.join(folder, "lfs"), path.join(unfinished, "lfs")).catch(() => undefined);
  await rename(folder, old);
  await rename(unfinished, folder);
  await rm(old, { recursive: true, force: true });
}

function notMended(folder: string, problem: string, cause: unknown): CollectiveError {
  const message = `the mirror ${folder} is damaged (${problem}), and it was not fetched anew: ${messageOf(cause)}`;
  return new CollectiveError("REPOSITORY_DAMAGED", message, {
    data: { folder, said: problem },
    hint: "try again when the repository answers; nothing but the mirror is damaged, and it may be removed",
    cause,
  });
}
