/** The root CVL file with its lock: from the working tree, or from a commit of the repository around it. */
import { lstat, readFile } from "node:fs/promises";
import path from "node:path";
import { decodeText } from "../cvl/parse/decode-text.ts";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { CollectiveError } from "../errors.ts";
import { openCommitFolder, type CommitFolder } from "../git/commit-folder.ts";
import type { Git } from "../git/git.ts";
import { workTreeTop } from "../git/folder.ts";
import type { RootFile } from "./loaded-appliance.ts";
import { LOCK_FILE, MAX_LOCK_BYTES } from "./lock.ts";
import { isRefusedUrl, resolveUrl } from "../git/url.ts";

export interface RootFileOptions {
  readonly file: string;
  readonly cwd: string;
  readonly rev?: string | undefined;
}

/** @throws CollectiveError REPOSITORY_FILE_MISSING, REPOSITORY_FILE_TOO_LARGE, REPOSITORY_REVISION_MISSING. */
export async function readRootFile(git: Git, { file, cwd, rev }: RootFileOptions): Promise<RootFile> {
  const absolute = path.resolve(cwd, file);
  return rev === undefined ? readWorkingFile(absolute, cwd) : readCommittedFile(git, { absolute, cwd, rev });
}

/**
 * What relative URLs in a working tree's files are relative to: the URL of `origin`, so that they mean the same before
 * and after publishing; without one the top of the work tree, without that the folder itself. A folder that the
 * repository around it ignores is no part of it.
 */
export async function baseUrlOf(git: Git): Promise<string> {
  const top = await workTreeTop(git);
  if (top === undefined || (await isIgnored(git))) return git.folder;
  return originUrl(git.at(top));
}

/** The URL of the repository's `origin`; without one its own path. */
export async function originUrl(git: Git): Promise<string> {
  const { folder: top } = git;
  const { stdout, exitCode } = await git.status({
    args: ["config", "--get", "remote.origin.url"],
  });
  if (exitCode !== 0) return top;
  const origin = resolveUrl(stdout.trim(), top);
  return isRefusedUrl(origin) ? top : origin.url;
}

async function isIgnored(git: Git): Promise<boolean> {
  // check-ignore knows no literal pathspecs; an absolute path has no magic in it.
  const env = { GIT_LITERAL_PATHSPECS: undefined };
  return (await git.status({ env, args: ["check-ignore", "--quiet", "--", git.folder] })).exitCode === 0;
}

async function readWorkingFile(absolute: string, cwd: string): Promise<RootFile> {
  const displayName = path.relative(cwd, absolute);
  const lockPath = path.join(path.dirname(absolute), LOCK_FILE);
  const bytes = await readBounded(absolute, MAX_FILE_CHARACTERS);
  if (bytes === undefined) throw fileMissing(displayName);
  const { text, diagnostics } = decodeText(bytes, displayName);
  return {
    diagnostics,
    source: {
      source: { url: path.dirname(absolute), version: null, commit: null },
      file: path.basename(absolute),
      displayName,
      text,
    },
    lockPath,
    lockText: (await readBounded(lockPath, MAX_LOCK_BYTES))?.toString("utf8"),
  };
}

export interface CommittedRoot {
  /** Path below the folder. */
  readonly file: string;
  readonly displayName: string;
  readonly lockPath: string;
  readonly maxBytes?: number;
}

/** A root file of a commit, with the lock beside it. @throws as `readRootFile`. */
export async function readCommittedRoot(folder: CommitFolder, root: CommittedRoot): Promise<RootFile> {
  const { file, displayName, lockPath } = root;
  const maxBytes = Math.min(root.maxBytes ?? MAX_FILE_CHARACTERS, MAX_FILE_CHARACTERS);
  const bytes = await folder.readFile(file, { maxBytes });
  const { text, diagnostics } = decodeText(bytes, displayName);
  const lockFile = path.posix.join(path.posix.dirname(file), LOCK_FILE);
  const lock = await folder.readFileIfThere(lockFile, { maxBytes: MAX_LOCK_BYTES });
  return {
    diagnostics,
    source: {
      source: { url: folder.top, version: null, commit: folder.commit },
      file: folder.pathOf(file),
      displayName,
      text,
    },
    lockPath,
    lockText: lock?.toString("utf8"),
  };
}

async function readCommittedFile(
  git: Git,
  { absolute, cwd, rev }: { absolute: string; cwd: string; rev: string },
): Promise<RootFile> {
  const directory = path.dirname(absolute);
  const folder = await openCommitFolder({ git: git.at(directory), rev });
  try {
    return await readCommittedRoot(folder, {
      file: path.basename(absolute),
      displayName: `${rev}:${path.relative(cwd, absolute)}`,
      lockPath: path.join(directory, LOCK_FILE),
    });
  } finally {
    await folder.close();
  }
}

/** A plain file of the working tree; undefined when it is not there. @throws CollectiveError REPOSITORY_FILE_REFUSED, REPOSITORY_FILE_TOO_LARGE. */
export async function readBounded(file: string, maxBytes: number): Promise<Buffer | undefined> {
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined) return undefined;
  if (!found.isFile()) {
    throw new CollectiveError("REPOSITORY_FILE_REFUSED", `${file} is no plain file`, {
      hint: "symlinks are not followed: give the path of the file itself",
    });
  }
  if (found.size > maxBytes) {
    throw new CollectiveError(
      "REPOSITORY_FILE_TOO_LARGE",
      `${file} has ${found.size} bytes; at most ${maxBytes} are read`,
    );
  }
  return readFile(file);
}

function fileMissing(file: string): CollectiveError {
  return new CollectiveError("REPOSITORY_FILE_MISSING", `there is no file ${file}`, {
    data: { path: file },
    hint: "give the path of a CVL file",
  });
}
