/** A commit of what the folder holds, made aside: no branch, no tag and no index of the user's changes. */
import { randomUUID } from "node:crypto";
import { copyFile, lstat, stat, utimes } from "node:fs/promises";
import path from "node:path";
import type { Git } from "../git/git.ts";
import { indexFileOf, requireUnlocked } from "../git/index-file.ts";
import { configFlag, configValue } from "../git/config.ts";
import { treeOf } from "../git/history.ts";
import { openGitObjects } from "../git/objects.ts";
import { MAX_POINTER_BYTES, parseLfsPointer } from "../lfs/pointer.ts";

export interface BuiltCommit {
  readonly commit: string;
  readonly tree: string;
  /** The git index that belongs to it; the caller puts it in place or removes it. */
  readonly indexFile: string;
}

export interface BuildCommitOptions {
  readonly git: Git;
  readonly parent: string | undefined;
  readonly message: string;
  /** Files that are kept in Git LFS, also where git tracked them plainly before. */
  readonly inLfs: readonly string[];
  /** What the version cannot do without, as far as it is there: it goes in also where the user's own patterns ignore it. */
  readonly needed: readonly string[];
  /** Disk images that must not be in it, also where git tracked them before. */
  readonly keptOut: readonly string[];
}

/** The parent itself when the folder is just what it holds. @throws CollectiveError REPOSITORY_LOCKED */
export async function buildCommit({
  git,
  parent,
  message,
  inLfs,
  needed,
  keptOut,
}: BuildCommitOptions): Promise<BuiltCommit> {
  const index = await indexFileOf(git);
  await requireUnlocked(index);
  const indexFile = path.join(path.dirname(index), `cui-index-${randomUUID()}`);
  const aside = git.with({ GIT_INDEX_FILE: indexFile });
  await copyIndex(index, indexFile);
  await aside.run({ args: ["add", "--all", "--", "."], lfsFilters: true });
  const present = await presentFiles(git.folder, needed);
  if (present.length > 0) {
    await aside.run({ args: ["add", "--force", "--sparse", "--", ...present], lfsFilters: true });
  }
  const plain = await plainFiles(aside, inLfs);
  if (plain.length > 0) await aside.run({ args: ["add", "--renormalize", "--", ...plain], lfsFilters: true });
  if (keptOut.length > 0) {
    await aside.run({ args: ["rm", "--cached", "--quiet", "--ignore-unmatch", "--", ...keptOut] });
  }
  const tree = (await aside.run({ args: ["write-tree"] })).trim();
  const parentTree = parent === undefined ? undefined : await treeOf(git, parent);
  if (parent !== undefined && parentTree === tree) return { commit: parent, tree, indexFile };
  const signed = (await configFlag(git, "commit.gpgSign")) === true ? ["-S"] : [];
  const parents = parent === undefined ? [] : ["-p", parent];
  const commit = await git.run({
    env: await identity(git),
    args: ["commit-tree", ...signed, ...parents, "-F", "-", tree],
    input: `${message}\n`,
  });
  return { commit: commit.trim(), tree, indexFile };
}

async function presentFiles(folder: string, files: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    files.map(async (file) => {
      const info = await lstat(path.join(folder, file)).catch(() => undefined);
      return info === undefined ? [] : [file];
    }),
  );
  return found.flat();
}

/** Those that the index holds as they are: a file that did not change is not filtered anew when its attributes did. */
async function plainFiles(git: Git, files: readonly string[]): Promise<readonly string[]> {
  if (files.length === 0) return [];
  const listed = await git.run({ args: ["ls-files", "--stage", "-z", "--", ...files] });
  const objects = openGitObjects(git);
  try {
    const plain: string[] = [];
    for (const line of listed.split("\0")) {
      const [head = "", file] = line.split("\t");
      const oid = head.split(" ")[1];
      if (oid === undefined || file === undefined) continue;
      const info = await objects.info(oid);
      const blob = (info?.sizeBytes ?? 0) > MAX_POINTER_BYTES ? undefined : await objects.contents(oid);
      if (blob === undefined || parseLfsPointer(blob.content) === undefined) plain.push(file);
    }
    return plain;
  } finally {
    await objects.close();
  }
}

/**
 * The user's index knows which files did not change; without one every file is read. Its own time goes with it: git reads a
 * file again whose time is not before the index's (a file that changes twice within a second), and a copy is always later.
 * @see git's racy-git.txt
 */
async function copyIndex(from: string, to: string): Promise<void> {
  const before = await stat(from).catch(() => undefined);
  if (before === undefined) return;
  await copyFile(from, to);
  const seconds = Math.floor(before.mtimeMs / 1000);
  await utimes(to, seconds, seconds);
}

/** Who never told git their name can publish all the same. */
async function identity(git: Git): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const [who, setting] of [
    ["AUTHOR", "author"],
    ["COMMITTER", "committer"],
  ] as const) {
    const email = git.env[`GIT_${who}_EMAIL`] ?? git.env["EMAIL"];
    const isKnown =
      email !== undefined ||
      (await configValue(git, "user.email")) !== undefined ||
      (await configValue(git, `${setting}.email`)) !== undefined;
    if (isKnown) continue;
    env[`GIT_${who}_NAME`] = "Collective";
    env[`GIT_${who}_EMAIL`] = "collective@localhost";
  }
  return env;
}
