/** The folder of bare mirrors in the user's cache: names, creation and fetching, safe between processes. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { CollectiveError, messageOf } from "../errors.ts";
import { runIfUnlocked, withFileLock } from "../file-lock.ts";
import { run, type Command, stderrOf } from "../io.ts";
import type { Git } from "../git/git.ts";
import { localFolder, type RepositoryUrl } from "../git/url.ts";
import { runWithProgress } from "../git/progress.ts";
import { deleteRef } from "../git/refs.ts";

/** The remote's `HEAD` commit, whatever its branch is called: where `withdrawn.yaml` is read. */
export const DEFAULT_BRANCH_REF = "refs/cui/default";

/** Where the mirror of a URL lies; the readable part is for people, the digest decides. */
export function mirrorFolder(url: string, cache: string): string {
  const readable = url
    .replace(/[^A-Za-z0-9]+/g, "-")
    .slice(-60)
    .replace(/^-/, "");
  const digest = createHash("sha256").update(url).digest("hex").slice(0, 16);
  return path.join(cache, "mirrors", `${readable}-${digest}.git`);
}

/** Creates the mirror when it is absent: complete under its name, or not there. */
export async function ensureMirror(git: Git): Promise<void> {
  const { folder } = git;
  if (await exists(path.join(folder, "HEAD"))) return;
  await mkdir(path.dirname(folder), { recursive: true });
  await withFileLock({ file: lockFile(folder), purpose: "making a mirror" }, async () => {
    if (await exists(path.join(folder, "HEAD"))) return;
    const unfinished = `${folder}.new`;
    await rm(unfinished, { recursive: true, force: true });
    await git.at(path.dirname(folder)).run({
      args: ["init", "--quiet", "--bare", "--template=", "--", unfinished],
    });
    await writeFile(path.join(unfinished, "HEAD"), `ref: ${UNBORN_BRANCH}\n`);
    await rename(unfinished, folder);
  });
}

/** How long a fetch that begins now may take; 0 or less: none is begun. */
export type FetchTimeout = (() => number) | undefined;

/**
 * Brings branches and version tags up to date. Processes that ask at the same time share one fetch: who waited for the
 * lock while another fetched does not fetch again.
 * @throws CollectiveError REPOSITORY_MISSING, REPOSITORY_UNREACHABLE.
 */
export async function fetchMirror(
  git: Git,
  remote: RepositoryUrl,
  fetchTimeoutMs?: FetchTimeout,
): Promise<void> {
  const { folder, signal } = git;
  const timeoutMs = fetchTimeoutMs?.();
  if (timeoutMs !== undefined && timeoutMs <= 0) throw unreachable(remote.url, "there was no time left");
  const local = localFolder(remote);
  if (local !== undefined && !(await exists(local))) throw repositoryMissing(remote.url);
  const askedAt = Date.now();
  const refspecs = [...BRANCHES_AND_VERSIONS, `+HEAD:${DEFAULT_BRANCH_REF}`];
  const lock = fetchLock(folder, signal);
  const everything = bounded(fetchCommand(git, remote, refspecs), timeoutMs);
  // The first fetch is a clone, and may take long; those after it bring little.
  const isWatched = git.onProgress !== undefined && !(await exists(stampFile(folder)));
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
    if (isOfThisMachine(error)) throw error;
    if (!isWithoutHead(error)) throw unreachable(remote.url, error);
    await fetchWithoutHead(git, remote);
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

/** Nothing the remote could help. */
function isOfThisMachine(error: unknown): boolean {
  return error instanceof CollectiveError && ["FILE_LOCK_UNUSABLE", "PROCESS_MISSING"].includes(error.code);
}

/**
 * HEAD of a mirror, never fetched: nothing of the repository (its `.lfsconfig`, say) is taken for the mirror's own settings.
 */
const UNBORN_BRANCH = "refs/heads/cui-mirror-without-head";
const BRANCHES_AND_VERSIONS = [
  "+refs/heads/*:refs/heads/*",
  `^${UNBORN_BRANCH}`,
  "+refs/tags/v*:refs/tags/v*",
];

function fetchCommand(git: Git, remote: RepositoryUrl, refspecs: readonly string[]): Command {
  return git.command({
    args: [
      ...["-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--prune", "--force"],
      ...["--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance", "--"],
      ...[remote.url, ...refspecs],
    ],
  });
}

/**
 * Ends the whole group of processes in time. Ending git alone is not enough: the helper that waits for a silent server would keep
 * our end of its output open.
 */
function bounded(command: Command, timeoutMs: number | undefined): Command {
  if (timeoutMs === undefined) return command;
  const seconds = (timeoutMs / 1000).toFixed(3);
  return { ...command, file: "timeout", args: ["--kill-after=2", seconds, command.file, ...command.args] };
}

/** An empty repository, or one whose HEAD names a branch that does not exist. */
async function fetchWithoutHead(git: Git, remote: RepositoryUrl): Promise<void> {
  await withFileLock(fetchLock(git.folder, git.signal), async () => {
    await deleteRef(git, DEFAULT_BRANCH_REF);
    await run(fetchCommand(git, remote, BRANCHES_AND_VERSIONS)).catch((error: unknown) => {
      throw unreachable(remote.url, error);
    });
  });
}

function fetchLock(folder: string, signal: AbortSignal | undefined): Parameters<typeof withFileLock>[0] {
  return {
    file: lockFile(folder),
    purpose: "fetching into a mirror",
    ...(signal === undefined ? {} : { signal }),
  };
}

/** When the last fetch began: who asked before that need not fetch again. */
async function stampFetch(folder: string, startedAt: number): Promise<void> {
  await writeFile(stampFile(folder), String(startedAt));
}

function stampFile(folder: string): string {
  return path.join(folder, "cui-fetch-started");
}

/** git's messages are in English because every call sets LC_ALL=C. */
function isWithoutHead(error: unknown): boolean {
  return stderrOf(error).includes("couldn't find remote ref HEAD");
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
  const isLate = error instanceof CollectiveError && error.data["exitCode"] === TIMED_OUT;
  const message = isLate ? "it did not answer in time" : (said ?? messageOf(error));
  return new CollectiveError("REPOSITORY_UNREACHABLE", `cannot fetch from ${url}: ${message}`, {
    data: { url },
    hint: `try \`git ls-remote ${url}\``,
    cause: error,
  });
}

/** Of `timeout`; git ends with 128 or 1. */
const TIMED_OUT = 124;

function lockFile(folder: string): string {
  return `${folder}.lock`;
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
