/**
 * The one kind of lock between processes: a file that the kernel locks (`flock`) for as long as this process keeps it open. It is gone
 * with the process, however that ends, so nobody waits for the dead. The file says who holds it (lock-owner.ts).
 * @see docs/decisions/0006-one-file-lock.md
 */
import { CollectiveError } from "./errors.ts";
import { run, startProgram, type Command } from "./io.ts";
import { lockFileUnusable, openLockFile, type LockFile } from "./lock-file.ts";
import { nameOwner } from "./lock-owner.ts";

export interface FileLockOptions {
  /** Created when absent, in a folder that is there. Refused when it is a symbolic link, or not cui's. */
  readonly file: string;
  /** What is done under the lock, for those who wait: `cui publish`. Never a secret. */
  readonly purpose: string;
  /** Aborting it ends the wait; it does not end the lock. */
  readonly signal?: AbortSignal | undefined;
  /** The longest wait; 0: none. Default: as long as it takes. */
  readonly waitMs?: number | undefined;
  /** Told once, after a second, for whom we wait. */
  readonly onWait?: ((message: string) => void) | undefined;
  /** The file goes with the lock: where people keep files of their own. Then every user of the lock must say so. */
  readonly isRemoved?: boolean;
  /** Of the file, when it is made; as everywhere, the umask takes from it. Whoever may read it may lock it. Default 0666. */
  readonly mode?: number;
}

export interface FileLock {
  /** A second time it does nothing. */
  release(): void;
}

/**
 * Runs `work` while this process holds the lock.
 * @throws CollectiveError FILE_LOCK_HELD when the longest wait is over, FILE_LOCK_UNUSABLE, PROCESS_MISSING; the reason of `signal`
 */
export async function withFileLock<Result>(
  options: FileLockOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  const lock = await takeFileLock(options);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/**
 * Runs `command` under the lock; resolves to false, and runs nothing, when somebody holds it.
 * @throws as run, and as withFileLock
 */
export async function runIfUnlocked(
  options: Omit<FileLockOptions, "waitMs" | "onWait">,
  command: Command,
): Promise<boolean> {
  let lock: FileLock;
  try {
    lock = await takeFileLock({ ...options, waitMs: 0 });
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "FILE_LOCK_HELD") return false;
    throw error;
  }
  await run(command).finally(() => {
    lock.release();
  });
  return true;
}

/** For a lock that outlives a function. @throws as withFileLock */
export async function takeFileLock(options: FileLockOptions): Promise<FileLock> {
  const { file, purpose, isRemoved = false, mode = 0o666 } = options;
  const tell = once(options.onWait);
  const until = performance.now() + (options.waitMs ?? Number.POSITIVE_INFINITY);
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const lockFile = openLockFile(file, mode);
    try {
      await waitFor(lockFile, { ...options, tell, leftMs: until - performance.now() });
      if (lockFile.isStillThere()) {
        lockFile.writeOwner(purpose);
        return heldLock(lockFile, isRemoved);
      }
    } catch (error) {
      lockFile.close();
      throw error;
    }
    lockFile.close();
  }
  throw lockFileUnusable(file, `it was replaced ${MOST_ATTEMPTS} times while it was being locked`);
}

function heldLock(lockFile: LockFile, isRemoved: boolean): FileLock {
  let isReleased = false;
  return {
    release: () => {
      if (isReleased) return;
      isReleased = true;
      lockFile.clear(isRemoved);
      lockFile.close();
    },
  };
}

/** Whoever waited tries again when the owner removed the file: as often as there were owners before. */
const MOST_ATTEMPTS = 250;
const SILENT_MS = 1000;
/** The status with which `flock` says that somebody holds the lock. */
const HELD = 213;

interface WaitOptions extends Pick<FileLockOptions, "file" | "signal"> {
  readonly tell: (message: string) => void;
  readonly leftMs: number;
}

/** The program locks the file as it is open here (its descriptor 3) and ends; the lock stays with who keeps it open: this process. */
async function waitFor(lockFile: LockFile, { file, signal, tell, leftMs }: WaitOptions): Promise<void> {
  signal?.throwIfAborted();
  const program = startProgram({
    file: "flock",
    args: [...limitArguments(leftMs), "--exclusive", "3"],
    env: { LC_ALL: "C" }, // it reads numbers as the locale writes them
    openFiles: [lockFile.descriptor],
  });
  const stop = (): void => {
    program.kill();
  };
  signal?.addEventListener("abort", stop);
  const timer = setTimeout(() => {
    tell(`waiting for ${nameOwner(lockFile.readOwner())}, which holds ${file}`);
  }, SILENT_MS);
  const error = await program.ended;
  clearTimeout(timer);
  signal?.removeEventListener("abort", stop);
  signal?.throwIfAborted();
  if (error?.data["exitCode"] === HELD) throw held(lockFile, file);
  if (error !== undefined) throw error;
}

function limitArguments(leftMs: number): string[] {
  if (leftMs === Number.POSITIVE_INFINITY) return [];
  const seconds = (Math.max(leftMs, 0) / 1000).toFixed(3); // 0: it does not wait
  return ["--timeout", seconds, "--conflict-exit-code", String(HELD)];
}

function held(lockFile: LockFile, file: string): CollectiveError {
  const owner = lockFile.readOwner();
  return new CollectiveError("FILE_LOCK_HELD", `${nameOwner(owner)} holds ${file}`, {
    data: { file, owner: owner ?? null },
    hint: "wait until it has ended, or end it, and run the command again",
  });
}

function once(onWait: FileLockOptions["onWait"]): (message: string) => void {
  let isTold = false;
  return (message) => {
    if (!isTold) onWait?.(message);
    isTold = true;
  };
}
