/** The folder of bare mirrors in the user's cache: names, creation and fetching, safe between processes. */
import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { CollectiveError, messageOf } from "../errors.ts";
import { runIfUnlocked, withFileLock } from "../file-lock.ts";
import { run, type Command, stderrOf } from "../io.ts";
import { git, gitCommand } from "../git/git.ts";
import { runWithProgress, type TransferProgress } from "../git/progress.ts";
import { localFolder, type RepositoryUrl } from "../git/url.ts";

/** `$XDG_CACHE_HOME/cui`, by default `~/.cache/cui`. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const base = env["XDG_CACHE_HOME"];
  return path.join(
    base === undefined || !path.isAbsolute(base) ? path.join(homedir(), ".cache") : base,
    "cui",
  );
}

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
export async function ensureMirror(folder: string): Promise<void> {
  if (await exists(path.join(folder, "HEAD"))) return;
  await mkdir(path.dirname(folder), { recursive: true });
  await withFileLock({ file: lockFile(folder), purpose: "making a mirror" }, async () => {
    if (await exists(path.join(folder, "HEAD"))) return;
    const unfinished = `${folder}.new`;
    await rm(unfinished, { recursive: true, force: true });
    await git({
      folder: path.dirname(folder),
      args: ["init", "--quiet", "--bare", "--template=", "--", unfinished],
    });
    await writeFile(path.join(unfinished, "HEAD"), `ref: ${UNBORN_BRANCH}\n`);
    await rename(unfinished, folder);
  });
}

/** What a fetch gets from the caller of `openMirror`. */
export interface FetchHow {
  readonly signal?: AbortSignal | undefined;
  readonly fetchEnv?: Readonly<Record<string, string>> | undefined;
  readonly fetchTimeoutMs?: () => number;
  /** Told while a fetch goes on, for a person who waits for it. */
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
}

/**
 * Brings branches and version tags up to date. Processes that ask at the same time share one fetch: who waited for the
 * lock while another fetched does not fetch again.
 * @throws CollectiveError REPOSITORY_MISSING, REPOSITORY_UNREACHABLE.
 */
export async function fetchMirror(folder: string, remote: RepositoryUrl, how: FetchHow = {}): Promise<void> {
  const timeoutMs = how.fetchTimeoutMs?.();
  if (timeoutMs !== undefined && timeoutMs <= 0) throw unreachable(remote.url, "there was no time left");
  const local = localFolder(remote);
  if (local !== undefined && !(await exists(local))) throw repositoryMissing(remote.url);
  const askedAt = Date.now();
  const stop = how.signal === undefined ? {} : { signal: how.signal };
  const refspecs = [...BRANCHES_AND_VERSIONS, `+HEAD:${DEFAULT_BRANCH_REF}`];
  const lock = { file: lockFile(folder), purpose: FETCHING, ...stop };
  const everything = { ...bounded(fetchCommand(folder, remote, { refspecs, ...how }), timeoutMs), ...stop };
  try {
    if (how.onProgress === undefined && (await runIfUnlocked(lock, everything))) {
      await stampFetch(folder, askedAt);
      return;
    }
    await withFileLock(lock, async () => {
      const last = Number(await readFile(stampFile(folder), "utf8").catch(() => "0"));
      if (last >= askedAt && last <= Date.now()) return;
      const startedAt = Date.now();
      await runFetch(everything, how);
      await stampFetch(folder, startedAt);
    });
  } catch (error) {
    if (isOfThisMachine(error)) throw error;
    if (!isWithoutHead(error)) throw unreachable(remote.url, error);
    await fetchWithoutHead(folder, remote, how);
  }
}

async function runFetch(command: Command, { onProgress }: FetchHow): Promise<void> {
  if (onProgress === undefined) await run(command);
  else await runWithProgress(command, onProgress);
}

const FETCHING = "fetching into a mirror";

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

function fetchCommand(
  folder: string,
  remote: RepositoryUrl,
  { refspecs, fetchEnv = {}, onProgress }: FetchHow & { readonly refspecs: readonly string[] },
): Command {
  return gitCommand({
    folder,
    env: fetchEnv,
    args: [
      ...["-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--prune", "--force"],
      ...(onProgress === undefined ? [] : ["--progress"]),
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
async function fetchWithoutHead(folder: string, remote: RepositoryUrl, how: FetchHow): Promise<void> {
  const stop = how.signal === undefined ? {} : { signal: how.signal };
  const fetchRest = async (): Promise<void> => {
    await git({ folder, args: ["update-ref", "-d", DEFAULT_BRANCH_REF] });
    const rest = { ...fetchCommand(folder, remote, { refspecs: BRANCHES_AND_VERSIONS, ...how }), ...stop };
    await runFetch(rest, how).catch((error: unknown) => {
      throw unreachable(remote.url, error);
    });
  };
  await withFileLock({ file: lockFile(folder), purpose: FETCHING, ...stop }, fetchRest);
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
