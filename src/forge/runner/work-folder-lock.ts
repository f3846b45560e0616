/** One runner at a time works in a work folder. */
import path from "node:path";
import { withFileLock } from "../../file-lock.ts";
import type { Log } from "./run-log.ts";

/**
 * Waits for another runner, and says so. Resolves to undefined, with nothing done, when `signal` was aborted while it waited; what
 * is being done comes to its end.
 */
export async function inWorkFolder<Result>(
  { dir, log, signal }: { readonly dir: string; readonly log: Log; readonly signal: AbortSignal },
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    const lock = { file: path.join(dir, "lock"), purpose: "cui runner", signal, onWait: log };
    return await withFileLock(lock, work);
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined;
    throw error;
  }
}
