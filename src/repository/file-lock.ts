/**
 * A lock on a file that the kernel holds (`flock`), so that no owner can be stale: it is gone with the process that held it,
 * however that ended. It works between processes, users and namespaces.
 */
import { run, startProgram, type Command } from "../io.ts";

/** Runs `work` while holding the lock on `file` (created when absent); waits for whoever holds it, until `signal` is aborted. */
export async function withFileLock<Result>(
  file: string,
  work: () => Promise<Result>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Result> {
  const holder = startProgram({
    ...options,
    file: "flock",
    // `echo` says that the lock is ours; `cat` holds it until our end of its input closes.
    args: ["--exclusive", "--no-fork", file, "sh", "-c", "echo && exec cat"],
  });
  const locked = new Promise<void>((resolve) =>
    holder.stdout.once("data", () => {
      resolve();
    }),
  );
  const failed = holder.ended.then((error) => {
    if (error !== undefined) throw error;
  });
  await Promise.race([locked, failed]);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await holder.ended;
  }
}

/**
 * Runs `command` under the lock, which costs one `exec`; resolves to false, and runs nothing, when somebody holds it.
 * @throws as run
 */
export async function runIfUnlocked(file: string, command: Command): Promise<boolean> {
  return run({
    ...command,
    file: "flock",
    args: [
      ...["--exclusive", "--nonblock", "--conflict-exit-code", String(HELD)],
      ...["--no-fork", file, command.file, ...command.args],
    ],
    allowedExitCodes: [0, HELD],
    parse: (_, exitCode) => exitCode === 0,
  });
}

/** An exit code git does not use. */
const HELD = 213;
