/**
 * git's own lock files (`index.lock`, `packed-refs.lock`, `<ref>.lock`, `config.lock`, …): git that is killed leaves them, and every later one
 * refuses to work. They name nobody, so whether the owner is dead is found out by looking at what runs.
 */
import { readdir, readFile, readlink, rm, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { stderrOf } from "../io.ts";

const NAMED = /Unable to create '([^'\n]+\.lock)': File exists/;
const CONFIG = /could not lock config file (.+): File exists/;

/** The failure of a git that met a lock file as a REPOSITORY_LOCKED; any other failure as it is. */
export async function explainLock(error: unknown, folder: string): Promise<unknown> {
  const named = lockIn(stderrOf(error));
  return named === undefined ? error : lockedBy(await findUpwards(folder, named), error);
}

/** The lock file that git says it met, as git names it. */
export function lockIn(stderr: string): string | undefined {
  const config = CONFIG.exec(stderr)?.[1];
  return NAMED.exec(stderr)?.[1] ?? (config === undefined ? undefined : `${config}.lock`);
}

/** What the user is told of a lock file in the way. */
export async function lockedBy(file: string, cause?: unknown): Promise<CollectiveError> {
  const found = await stat(file).catch(() => undefined);
  const since = found?.mtime.toISOString();
  const when = since === undefined ? "was there a moment ago" : `is there since ${since}`;
  return new CollectiveError(
    "REPOSITORY_LOCKED",
    `the lock file ${file} ${when}: another git works there, or one that was killed left it`,
    {
      data: { file, since: since ?? null },
      hint: `wait until that git has ended; when none runs there, remove the file: rm '${file}'`,
      cause,
    },
  );
}

/**
 * Runs `work`, which writes a repository of the project's own; a lock file that it meets is removed when its owner is dead for certain, and
 * `work` runs once more. `exclusively` keeps other processes of ours from doing the same.
 * @throws CollectiveError REPOSITORY_LOCKED when a git is at work there, or nobody can tell; and as `work`
 */
export async function overDeadLocks<Result>(
  { folder, exclusively }: { readonly folder: string; readonly exclusively: Exclusively },
  work: () => Promise<Result>,
): Promise<Result> {
  const removed = new Set<string>();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const file = error instanceof CollectiveError ? error.data["file"] : undefined;
      if (!(error instanceof CollectiveError) || error.code !== "REPOSITORY_LOCKED") throw error;
      if (typeof file !== "string" || removed.has(file)) throw error;
      if (!(await exclusively(() => removeWhenDead(file, folder)))) throw error;
      removed.add(file);
    }
  }
}

export type Exclusively = <Result>(work: () => Promise<Result>) => Promise<Result>;

/**
 * Takes a lock file out of a repository of the project's own when its owner is dead for certain. Resolves to true when it is gone.
 */
export async function removeWhenDead(file: string, folder: string): Promise<boolean> {
  const before = await stat(file).catch(() => undefined);
  if (before === undefined) return true;
  const isOurs = before.uid === process.getuid?.() || process.getuid?.() === 0;
  if (!isOurs || !(await isLocal(folder)) || (await isUsed(file, folder))) return false;
  const now = await stat(file).catch(() => undefined);
  if (now !== undefined && (now.ino !== before.ino || now.mtimeMs !== before.mtimeMs)) return false;
  await rm(file, { force: true });
  return true;
}

/** NFS, SMB, CIFS, AFS, Ceph, 9P, FUSE: git on another machine may have made the file. */
const SHARED_FILE_SYSTEMS = [0x6969, 0xfe534d42, 0xff534d42, 0x5346414f, 0x00c36400, 0x01021997, 0x65735546];

async function isLocal(folder: string): Promise<boolean> {
  const { type } = await statfs(folder);
  return !SHARED_FILE_SYSTEMS.includes(type >>> 0);
}

/** Whether a process on this machine works in the repository, names it, or has the file open. One that only reads objects counts for none. */
async function isUsed(file: string, folder: string): Promise<boolean> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const args = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (args.includes("\0cat-file\0")) continue;
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (args.includes(folder) || cwd === folder || cwd.startsWith(`${folder}/`)) return true;
    if (await hasOpen(pid, file)) return true;
  }
  return false;
}

async function hasOpen(pid: string, file: string): Promise<boolean> {
  for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    if ((await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "")) === file) return true;
  }
  return false;
}

/** git names some files by the folder it went to: the top of the work tree. */
async function findUpwards(folder: string, file: string): Promise<string> {
  for (let at = folder; ; at = path.dirname(at)) {
    const candidate = path.resolve(at, file);
    if ((await stat(candidate).catch(() => undefined)) !== undefined) return candidate;
    if (at === path.dirname(at)) return path.resolve(folder, file);
  }
}
