/**
 * How git is called: every call goes through here, with hooks, submodules and `ext::` off, and without questions.
 *
 * Reading goes through one `git cat-file --batch-command` a repository (objects.ts), writing and remotes through `run`.
 */
import { run, runInherited, type Command } from "../io.ts";
import { tokenEnvironment } from "./tokens.ts";

const HOOKS_OFF = "core.hooksPath=/dev/null";

/** Settings that hold for every call, whatever the user's or the repository's configuration says. */
const SAFE_SETTINGS = [
  HOOKS_OFF,
  "core.fsmonitor=false",
  "protocol.allow=never",
  "protocol.file.allow=always",
  "protocol.https.allow=always",
  "protocol.http.allow=always",
  "protocol.ssh.allow=always",
  "protocol.ext.allow=never",
  "submodule.recurse=false",
  "fetch.recurseSubmodules=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "advice.detachedHead=false",
];

/** Git LFS as a filter, also where the user never ran `git lfs install`. */
const LFS_FILTER_SETTINGS = [
  "filter.lfs.process=git-lfs filter-process",
  "filter.lfs.clean=git-lfs clean -- %f",
  "filter.lfs.smudge=git-lfs smudge -- %f",
  "filter.lfs.required=true",
];

/** A hook that calls cui leaves these behind; they must not redirect us to another repository. */
const FOREIGN_REPOSITORY = [
  "GIT_DIR",
  "GIT_WORK_TREE",
  "GIT_INDEX_FILE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_COMMON_DIR",
  "GIT_NAMESPACE",
  "GIT_PREFIX",
  "GIT_QUARANTINE_PATH",
  "GIT_CEILING_DIRECTORIES",
];

export interface GitCall {
  /** The repository (a git folder or a work tree) or, for `init` and `ls-remote`, any folder. */
  readonly folder: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  readonly allowedExitCodes?: readonly number[];
  readonly timeoutMs?: number;
  /** Run the LFS clean and smudge filters (`add`, `checkout`). */
  readonly lfsFilters?: boolean;
  /** Leave `core.hooksPath` as it is configured: to ask where hooks are, and for git-lfs, which installs some. */
  readonly configuredHooks?: boolean;
}

/** Runs git; resolves to its standard output. */
export async function git(call: GitCall): Promise<string> {
  return run(gitCommand(call));
}

/** Runs git where a non-zero exit is an answer; resolves to output and status. */
export async function gitStatus(
  call: GitCall,
): Promise<{ readonly stdout: string; readonly exitCode: number }> {
  return run({
    ...gitCommand(call),
    allowedExitCodes: call.allowedExitCodes ?? [0, 1, 2, 128],
    parse: (stdout, exitCode) => ({ stdout, exitCode }),
  });
}

/** The command as data, for the caller that starts it itself. */
export function gitCommand(call: GitCall): Command {
  const safe = SAFE_SETTINGS.filter((setting) => call.configuredHooks !== true || setting !== HOOKS_OFF);
  const settings = call.lfsFilters === true ? [...safe, ...LFS_FILTER_SETTINGS] : safe;
  return {
    file: "git",
    args: ["-C", call.folder, ...settings.flatMap((setting) => ["-c", setting]), ...call.args],
    env: { ...gitEnvironment(), ...call.env },
    ...(call.input === undefined ? {} : { input: call.input }),
    ...(call.allowedExitCodes === undefined ? {} : { allowedExitCodes: call.allowedExitCodes }),
    ...(call.timeoutMs === undefined ? {} : { timeoutMs: call.timeoutMs }),
  };
}

/**
 * `git http-backend` for one bare repository: the one call with the repository's own hooks in force, and with the
 * environment that its hooks get.
 */
export function gitServerCommand(call: {
  readonly settings: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}): Command {
  return {
    file: "git",
    args: [...call.settings.flatMap((setting) => ["-c", setting]), "http-backend"],
    env: { ...withoutForeignRepository(), GIT_TERMINAL_PROMPT: "0", ...call.env },
  };
}

/**
 * `git lfs` as git itself would call it in a hook: on this process's terminal, with the environment of the hook. Resolves to its
 * exit code. @throws CollectiveError PROCESS_MISSING.
 */
export async function runGitLfs(call: {
  readonly folder: string;
  readonly args: readonly string[];
  readonly input: string;
}): Promise<number> {
  return runInherited({ file: "git", args: ["lfs", ...call.args], cwd: call.folder, input: call.input });
}

function withoutForeignRepository(): Record<string, undefined> {
  return Object.fromEntries(FOREIGN_REPOSITORY.map((name) => [name, undefined]));
}

function gitEnvironment(): Record<string, string | undefined> {
  return {
    ...withoutForeignRepository(),
    ...tokenEnvironment(),
    GIT_TERMINAL_PROMPT: "0",
    GIT_ALLOW_PROTOCOL: "file:http:https:ssh",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_LITERAL_PATHSPECS: "1",
    LC_ALL: "C",
  };
}
