/** Ends a lab: its first process is killed, the kernel ends all others, the reaper removes the folder. */
import { rm } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../../errors.ts";
import { labStatus, type ProcessIdentity } from "./lab-state.ts";
import { isRunning } from "./process-table.ts";

const END_TIMEOUT_MS = 150_000;

/** Resolves when no process and no file is left. @throws CollectiveError LAB_NOT_FOUND or LAB_FAILED. */
export async function labDown(directory: string): Promise<void> {
  const state = await labStatus(path.resolve(directory));
  await kill(state.init);
  for (const deadline = Date.now() + END_TIMEOUT_MS; await isRunning(state.reaper);) {
    if (Date.now() > deadline) {
      throw new CollectiveError("LAB_FAILED", `the lab in ${directory} did not end`, {
        hint: `process ${state.reaper.pid} waits for the end of process ${state.init.pid}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await rm(state.directory, { recursive: true, force: true }); // left by a lab of before a reboot
}

async function kill(identity: ProcessIdentity): Promise<void> {
  if (!(await isRunning(identity))) return;
  try {
    process.kill(identity.pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
