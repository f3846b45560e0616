/** The index of a work tree: a linked one has its own, beside its own HEAD. */
import { link, rename, rm, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Git } from "./git.ts";
import { lockedBy } from "./lock-files.ts";

/** Absolute; the file need not be there. */
export async function indexFileOf(git: Git): Promise<string> {
  const args = ["rev-parse", "--path-format=absolute", "--git-path", "index"];
  return (await git.run({ args })).replace(/\n$/, "");
}

/** @throws CollectiveError REPOSITORY_LOCKED where git would refuse to change the index as well. */
export async function requireUnlocked(index: string): Promise<void> {
  const lock = `${index}.lock`;
  const found = await stat(lock).catch(() => undefined);
  if (found !== undefined) throw await lockedBy(lock);
}

const TRIES = 50;
const PAUSE_MS = 100;

/**
 * Puts `file`, which lies in the same folder, in the place of an index, as git itself does it: under `index.lock`, for which it
 * waits a few seconds. The file is gone afterwards.
 * @throws CollectiveError REPOSITORY_LOCKED
 */
export async function replaceIndex(index: string, file: string): Promise<void> {
  const lock = `${index}.lock`;
  for (let tries = 1; !(await takeLock(file, lock)); tries += 1) {
    if (tries === TRIES) throw await lockedBy(lock);
    await sleep(PAUSE_MS);
  }
  await rm(file, { force: true });
  await rename(lock, index);
}

/** The lock is the new content under git's name for it; a link is made, or there is one already. */
async function takeLock(file: string, lock: string): Promise<boolean> {
  try {
    await link(file, lock);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    throw error;
  }
}
