/** Fetching into a mirror, once for all processes that ask at the same time; what a crash left in it is mended on the way. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { CollectiveError, messageOf } from "../errors.ts";
import { runIfUnlocked, withFileLock } from "../file-lock.ts";
import { run, stderrOf, type Command } from "../io.ts";
import { damageIn } from "../git/damage.ts";
import type { Git } from "../git/git.ts";
import { explainLock, overDeadLocks } from "../git/lock-files.ts";
import { runWithProgress } from "../git/progress.ts";
import { deleteRef } from "../git/refs.ts";
import { localFolder, type RepositoryUrl } from "../git/url.ts";
import { DEFAULT_BRANCH_REF, exists, mirrorLock, UNBORN_BRANCH } from "./mirror-cache.ts";
import type { ObjectFormat } from "../git/object-format.ts";
import { remakeMirror } from "./remake-mirror.ts";

/** How long a fetch that begins now may take; 0 or less: none is begun. */
export type FetchTimeout = (() => number) | undefined;

/**
 * Brings branches and version tags up to date. Processes that ask at the same time share one fetch: who waited for the
 * lock while another fetched does not fetch again.
 * @throws CollectiveError REPOSITORY_MISSING, REPOSITORY_UNREACHABLE, REPOSITORY_LOCKED, REPOSITORY_DAMAGED.
 */
export async function fetchMirror(
  git: Git,
  remote: RepositoryUrl,
  fetchTimeoutMs?: FetchTimeout,
): Promise<void> {
  const timeoutMs = fetchTimeoutMs?.();
  if (timeoutMs !== undefined && timeoutMs <= 0) throw unreachable(remote.url, "there was no time left");
  const local = localFolder(remote);
  if (local !== undefined && !(await exists(local))) throw repositoryMissing(remote.url);
  const lock = mirrorLock(git);
  try {
    await overDeadLocks({ folder: git.folder, exclusively: (work) => withFileLock(lock, work) }, () =>
      fetchShared(git, remote, timeoutMs),
    );
  } catch (error) {
    if (isOfThisMachine(error)) throw error;
    const format = otherFormat(error);
    const problem = damageIn(stderrOf(error));
    if (format === undefined && problem === undefined) throw unreachable(remote.url, error);
    await remakeMirror({
      ...{ git, problem, format },
      fetch: (into) => fetchInto(into, remote, timeoutMs),
    });
  }
}

async function fetchShared(git: Git, remote: RepositoryUrl, timeoutMs: number | undefined): Promise<void> {
  const { folder } = git;
  const askedAt = Date.now();
  const lock = mirrorLock(git);
  const everything = fetchCommand(git, remote, { refspecs: EVERYTHING, timeoutMs });
  // The first fetch is a clone, and may take long; those after it bring little. One with a limit is watched by nobody.
  const isWatched =
    git.onProgress !== undefined && timeoutMs === undefined && !(await exists(stampFile(folder)));
  try {
    if (!isWatched && (await runIfUnlocked(lock, everything))) {
      await stampFetch(folder, askedAt);
      return;
    }
    await withFileLock(lock, async () => {
      const last = Number(await readFile(stampFile(folder), "utf8").catch(() => "0"));
      if (last >= askedAt && last <= Date.now()) return;
      const startedAt = Date.now();
      await (isWatched ? runWatched(git, remote, everything) : run(everything));
      await stampFetch(folder, startedAt);
    });
  } catch (error) {
    if (!isWithoutHead(error)) throw await explainLock(error, folder);
    await withFileLock(lock, () => fetchWithoutHead(git, remote, timeoutMs));
  }
}

async function runWatched(git: Git, { url }: RepositoryUrl, command: Command): Promise<void> {
  const args = command.args.flatMap((arg) => (arg === "--quiet" ? [arg, "--progress"] : [arg]));
  try {
    await runWithProgress({ ...command, args }, (progress) => git.onProgress?.(url, progress));
  } finally {
    git.onProgress?.(url, undefined);
  }
}

/** Under the mirror's lock. @throws CollectiveError REPOSITORY_UNREACHABLE. */
export async function fetchInto(
  git: Git,
  remote: RepositoryUrl,
  timeoutMs: number | undefined,
): Promise<void> {
  try {
    await run(fetchCommand(git, remote, { refspecs: EVERYTHING, timeoutMs }));
  } catch (error) {
    if (!isWithoutHead(error)) throw unreachable(remote.url, error);
    await fetchWithoutHead(git, remote, timeoutMs).catch((other: unknown) => {
      throw unreachable(remote.url, other);
    });
  }
}

/** An empty repository, or one whose HEAD names a branch that does not exist. */
async function fetchWithoutHead(
  git: Git,
  remote: RepositoryUrl,
  timeoutMs: number | undefined,
): Promise<void> {
  await deleteRef(git, DEFAULT_BRANCH_REF);
  await run(fetchCommand(git, remote, { refspecs: BRANCHES_AND_VERSIONS, timeoutMs })).catch(
    async (error: unknown) => {
      throw await explainLock(error, git.folder);
    },
  );
}

const BRANCHES_AND_VERSIONS = [
  "+refs/heads/*:refs/heads/*",
  `^${UNBORN_BRANCH}`,
  "+refs/tags/v*:refs/tags/v*",
];
const EVERYTHING = [...BRANCHES_AND_VERSIONS, `+HEAD:${DEFAULT_BRANCH_REF}`];

function fetchCommand(
  git: Git,
  remote: RepositoryUrl,
  { refspecs, timeoutMs }: { readonly refspecs: readonly string[]; readonly timeoutMs: number | undefined },
): Command {
  return git.command({
    args: [
      ...["-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--prune", "--force"],
      ...["--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance", "--"],
      ...[remote.url, ...refspecs],
    ],
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

/** When the last fetch began: who asked before that need not fetch again. */
async function stampFetch(folder: string, startedAt: number): Promise<void> {
  await writeFile(stampFile(folder), String(startedAt));
}

function stampFile(folder: string): string {
  return path.join(folder, "cui-fetch-started");
}

/** Nothing the remote could help. */
function isOfThisMachine(error: unknown): boolean {
  return (
    error instanceof CollectiveError &&
    ["FILE_LOCK_UNUSABLE", "PROCESS_MISSING", "REPOSITORY_LOCKED"].includes(error.code)
  );
}

/** git's messages are in English because every call sets LC_ALL=C. */
function isWithoutHead(error: unknown): boolean {
  return stderrOf(error).includes("couldn't find remote ref HEAD");
}

/** How the remote names its objects, where that is not the mirror's way. */
function otherFormat(error: unknown): ObjectFormat | undefined {
  const stderr = stderrOf(error);
  const named = /mismatched algorithms: client \w+; server (sha1|sha256)/.exec(stderr)?.[1];
  if (named !== undefined) return named as ObjectFormat;
  // Of the older protocol; a mirror begins with the other format.
  return stderr.includes("does not support this repository's object format") ? "sha256" : undefined;
}

function repositoryMissing(url: string): CollectiveError {
  return new CollectiveError("REPOSITORY_MISSING", `there is no repository at ${url}`, {
    data: { url },
    hint: "check the path; `cui create <repository>` makes a new one",
  });
}

function unreachable(url: string, error: unknown): CollectiveError {
  const said = stderrOf(error)
    .split("\n")
    .find((line) => /^(fatal|error|remote|ssh):/.test(line));
  const isLate = error instanceof CollectiveError && error.code === "PROCESS_TIMED_OUT";
  const message = isLate ? "it did not answer in time" : (said ?? messageOf(error));
  return new CollectiveError("REPOSITORY_UNREACHABLE", `cannot fetch from ${url}: ${message}`, {
    data: { url },
    hint: `try \`git ls-remote ${/[^\w@%+=:,./~-]/.test(url) ? `'${url}'` : url}\``,
    cause: error,
  });
}
