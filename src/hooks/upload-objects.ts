/** git-lfs uploads a push's objects in a pre-push hook of its own; where that one is not what was kept, it is called here. */
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { isRunnable } from "./kept-hook.ts";
import { runGitLfs, type Git } from "../git/git.ts";
import { readRegularFile } from "../regular-file.ts";

export interface UploadOptions {
  /** The hook that was there before, which may be git-lfs's. */
  readonly kept: string | undefined;
  /** With the environment of the hook. */
  readonly git: Git;
  /** `<remote> <url>` */
  readonly args: readonly string[];
  /** What git told the hook. */
  readonly input: string;
}

/** @throws CollectiveError HOOK_REFUSED when git-lfs cannot upload, PROCESS_MISSING without git. */
export async function uploadObjects({ kept, git, args, input }: UploadOptions): Promise<void> {
  if (await callsGitLfs(kept, git.folder)) return;
  const exitCode = await runGitLfs(git, { args: ["pre-push", ...args], input });
  if (exitCode === 0) return;
  throw new CollectiveError("HOOK_REFUSED", `git-lfs did not upload the objects (exit code ${exitCode})`, {
    hint: "read what it says above; git-lfs must be installed (apt-get install git-lfs)",
  });
}

async function callsGitLfs(kept: string | undefined, folder: string): Promise<boolean> {
  if (kept === undefined || !(await isRunnable(path.resolve(folder, kept)))) return false;
  const text = await readRegularFile(path.resolve(folder, kept)).then(String, () => "");
  return /\bgit[ -]lfs\b[^\n]*\bpre-push\b/.test(text);
}
