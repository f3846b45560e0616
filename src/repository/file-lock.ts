/**
 * A lock on a file that the kernel holds (`flock`), so that no owner can be stale: it is gone with the process that held it,
 * however that ended. It works between processes, users and namespaces.
 */
import { startProgram } from "../io.ts";

/** Runs `work` while holding the lock on `file` (created when absent); waits for whoever holds it. */
export async function withFileLock<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  const holder = startProgram({
    file: "flock",
    // `echo` says that the lock is ours; `cat` holds it until our end of its input closes.
    args: ["--exclusive", "--no-fork", file, "sh", "-c", "echo && exec cat"],
  });
  const locked = new Promise<void>((resolve) => holder.stdout.once("data", () => { resolve(); }));
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
