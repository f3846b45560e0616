/** Bare repositories that the project makes for itself, where nobody's settings but their own have a say. */
import { mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { run } from "../io.ts";

/** The caller's git settings and an enclosing repository have no say. */
const ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_DEFAULT_HASH: undefined,
  GIT_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
};

const SETTINGS = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsync=all"];

export interface OwnGitCall<Result> {
  readonly directory: string;
  readonly args: readonly string[];
  readonly input?: string;
  /** Exit codes that are an answer; default 0 alone. */
  readonly allowedExitCodes?: readonly number[];
  readonly parse: (stdout: string, exitCode: number, stderr: string) => Result;
}

/** Runs git there; what it writes is on the disk when it has ended. @throws CollectiveError as `run`. */
export function ownGit<Result>(call: OwnGitCall<Result>): Promise<Result> {
  return run({
    file: "git",
    args: [`--git-dir=${call.directory}`, ...SETTINGS, ...call.args],
    env: ENVIRONMENT,
    input: call.input ?? "",
    allowedExitCodes: call.allowedExitCodes ?? [0],
    parse: call.parse,
  });
}

/** Made beside its place and renamed, so that of two processes that begin at once both find one whole repository. */
export async function ensureOwnRepository(directory: string): Promise<void> {
  if (await stat(path.join(directory, "HEAD")).catch(() => undefined)) return;
  await mkdir(path.dirname(directory), { recursive: true });
  const made = await mkdtemp(`${directory}.`);
  try {
    await run({
      file: "git",
      args: ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", made],
      env: ENVIRONMENT,
    });
    await rename(made, directory);
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
