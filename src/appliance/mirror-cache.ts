/** The folder of bare mirrors in the user's cache: names and creation, safe between processes. */
import { createHash } from "node:crypto";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { withFileLock } from "../file-lock.ts";
import type { Git } from "../git/git.ts";
import { mirrorKey } from "../git/repository-identity.ts";
import type { ObjectFormat } from "../git/object-format.ts";

/** The remote's `HEAD` commit, whatever its branch is called: where `withdrawn.yaml` is read. */
export const DEFAULT_BRANCH_REF = "refs/cui/default";

/** Where the mirror of a normalised URL lies; the readable part is for people, the digest decides. */
export function mirrorFolder(url: string, cache: string): string {
  const key = mirrorKey(url);
  const readable = key
    .replace(/[^A-Za-z0-9]+/g, "-")
    .slice(-60)
    .replace(/^-/, "");
  const digest = createHash("sha256").update(key).digest("hex").slice(0, 16);
  return path.join(cache, "mirrors", `${readable}-${digest}.git`);
}

/** Creates the mirror when it is absent: complete under its name, or not there. */
export async function ensureMirror(git: Git): Promise<void> {
  const { folder } = git;
  if (await exists(path.join(folder, "HEAD"))) return;
  await mkdir(path.dirname(folder), { recursive: true });
  await withFileLock({ file: lockFile(folder), purpose: "making a mirror" }, async () => {
    if (await exists(path.join(folder, "HEAD"))) return;
    const unfinished = await makeUnfinished(git, "sha1");
    // What a crash left of one; its Git LFS objects are verified when they are used.
    await rename(path.join(folder, "lfs"), path.join(unfinished, "lfs")).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  });
}

/** An empty mirror beside the place of `git`'s, under the mirror's lock; it gets its name when it is whole. */
export async function makeUnfinished(git: Git, format: ObjectFormat): Promise<string> {
  const { folder } = git;
  const unfinished = `${folder}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await git.at(path.dirname(folder)).run({
    args: ["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, "--", unfinished],
  });
  await writeFile(path.join(unfinished, "HEAD"), `ref: ${UNBORN_BRANCH}\n`);
  return unfinished;
}

/**
 * HEAD of a mirror, never fetched: nothing of the repository (its `.lfsconfig`, say) is taken for the mirror's own settings.
 */
export const UNBORN_BRANCH = "refs/heads/cui-mirror-without-head";

/** What keeps other processes from writing a mirror. */
export function mirrorLock({ folder, signal }: Git): Parameters<typeof withFileLock>[0] {
  return {
    file: lockFile(folder),
    purpose: "fetching into a mirror",
    ...(signal === undefined ? {} : { signal }),
  };
}

function lockFile(folder: string): string {
  return `${folder}.lock`;
}

export async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
