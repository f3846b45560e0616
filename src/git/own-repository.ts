/** Bare repositories that the project makes for itself, where nobody's settings but their own have a say. */
import { mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { run } from "../io.ts";
import { isCommitId } from "./commit-id.ts";

/** The caller's git settings and an enclosing repository have no say. */
const ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_DEFAULT_HASH: undefined,
  GIT_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
  // Its messages are read.
  LC_ALL: "C",
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

/**
 * What a branch is at; null without one. Git puts the branch's file in place as a whole, and what it says goes before all else;
 * where there is none, git is asked, which takes a file that a crash left empty for a branch that was never made.
 * @throws CollectiveError REPOSITORY_DAMAGED, PROCESS_FAILED.
 */
export async function readOwnBranch(directory: string, branch: string): Promise<string | null> {
  const file = path.join(directory, branch);
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text !== undefined) {
    if (isCommitId(text.trim())) return text.trim();
    throw new CollectiveError("REPOSITORY_DAMAGED", `${file} names no commit: a crash may have cut it`, {
      data: { file },
      hint: `\`git -C ${directory} fsck --lost-found\` lists the newest commits: write the id of the right one into the file`,
    });
  }
  return ownGit({
    directory,
    args: ["rev-parse", "--verify", "--quiet", branch],
    allowedExitCodes: [0, 1],
    parse: (stdout, exitCode) => (exitCode === 0 ? stdout.trim() : null),
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
      args: [
        "init",
        "--quiet",
        "--bare",
        "--template=",
        "--object-format=sha1",
        "--initial-branch=main",
        "--",
        made,
      ],
      env: ENVIRONMENT,
    });
    await rename(made, directory);
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
