/**
 * How git is called: every call goes through a `Git`, with hooks, submodules and `ext::` off, and without questions.
 *
 * Reading goes through one `git cat-file --batch-command` a repository (objects.ts), writing and remotes through `run`.
 */
import { run, runInherited, type Command } from "../io.ts";
import { explainLock } from "./lock-files.ts";
import type { TransferProgress } from "./progress.ts";
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
const NO_FOREIGN_REPOSITORY: Environment = {
  GIT_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
  GIT_OBJECT_DIRECTORY: undefined,
  GIT_ALTERNATE_OBJECT_DIRECTORIES: undefined,
  GIT_COMMON_DIR: undefined,
  GIT_NAMESPACE: undefined,
  GIT_PREFIX: undefined,
  GIT_QUARANTINE_PATH: undefined,
  GIT_CEILING_DIRECTORIES: undefined,
};

/** What every call sets, whatever the program's environment says. */
const SAFE_ENVIRONMENT: Environment = {
  ...NO_FOREIGN_REPOSITORY,
  GIT_TERMINAL_PROMPT: "0",
  GIT_ALLOW_PROTOCOL: "file:http:https:ssh",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_LITERAL_PATHSPECS: "1",
  LC_ALL: "C",
};

/** The variables of a program's environment. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A repository, with what every call of git there shares. It is made once, where a verb, a job, a hook or a host begins, and
 * handed down.
 */
export interface Git {
  /** The repository (a git folder or a work tree) or, for `init` and `ls-remote`, any folder. */
  readonly folder: string;
  /** The environment of the program: proxies, certificates, identities, tokens. */
  readonly env: Environment;
  /** Aborting it ends the calls that are under way. */
  readonly signal: AbortSignal | undefined;
  /** Told how far a long transfer is, for a person who waits for it; `undefined` at its end. */
  readonly onProgress: OnTransfer | undefined;
  /** Runs git; resolves to its standard output. */
  run(call: GitCall): Promise<string>;
  /** Runs git where a non-zero exit is an answer (0, 1, 2 and 128 unless the call says others); resolves to output and status. */
  status(call: GitCall): Promise<{ readonly stdout: string; readonly exitCode: number }>;
  /** The command as data, for the caller that starts it itself. */
  command(call: GitCall): Command;
  /** Whether the folder is a bare repository that is named to git, not looked for. */
  readonly isBare: boolean;
  /** The same for another folder, where git looks for the repository by itself (unless it was named before). */
  at(folder: string): Git;
  /**
   * The same for a bare repository (or a `.git`) that we know of: named, so that `safe.bareRepository=explicit` of the user, who wants none
   * to be found by chance, does not keep us from our own.
   */
  bare(folder: string): Git;
  /** The same with more variables: an index of its own, where a push keeps its objects until they are accepted. */
  with(env: Environment): Git;
  /** The same, ended by this signal as well. */
  until(signal: AbortSignal): Git;
}

export type OnTransfer = (url: string, progress: TransferProgress | undefined) => void;

export interface GitCall {
  readonly args: readonly string[];
  readonly env?: Environment;
  readonly input?: string | Uint8Array;
  readonly allowedExitCodes?: readonly number[];
  readonly timeoutMs?: number;
  /** Run the LFS clean and smudge filters (`add`, `checkout`). */
  readonly lfsFilters?: boolean;
  /** Leave `core.hooksPath` as it is configured: to ask where hooks are, and for git-lfs, which installs some. */
  readonly configuredHooks?: boolean;
}

export function openGit(options: {
  readonly folder: string;
  readonly env: Environment;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnTransfer | undefined;
}): Git {
  const { folder, env, signal, onProgress } = options;
  return gitOf({ folder, env, signal, onProgress, added: {}, bareFolder: undefined });
}

interface Shared {
  readonly folder: string;
  readonly env: Environment;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: OnTransfer | undefined;
  /** Of `env`, what was added to the program's. */
  readonly added: Environment;
  /** A bare repository that was named. */
  readonly bareFolder: string | undefined;
}

function gitOf(shared: Shared): Git {
  const { folder, env, signal, onProgress, added } = shared;
  const isBare = folder === shared.bareFolder;
  const callEnv = { ...env, ...SAFE_ENVIRONMENT, ...added, ...tokenEnvironment(env) };
  const explained = <Result>(ending: Promise<Result>): Promise<Result> =>
    ending.catch(async (error: unknown) => {
      throw await explainLock(error, folder);
    });
  const command: Git["command"] = (call) => commandOf({ folder, signal, callEnv, isBare }, call);
  return {
    folder,
    isBare,
    env,
    signal,
    onProgress,
    command,
    run: (call) => explained(run(command(call))),
    status: (call) =>
      explained(
        run({
          ...command(call),
          allowedExitCodes: call.allowedExitCodes ?? [0, 1, 2, 128],
          parse: (stdout, exitCode) => ({ stdout, exitCode }),
        }),
      ),
    at: (other) => gitOf({ ...shared, folder: other }),
    bare: (other) => gitOf({ ...shared, folder: other, bareFolder: other }),
    until: (other) =>
      gitOf({ ...shared, signal: signal === undefined ? other : AbortSignal.any([signal, other]) }),
    with: (more) => gitOf({ ...shared, env: { ...env, ...more }, added: { ...added, ...more } }),
  };
}

function commandOf(
  {
    folder,
    signal,
    callEnv,
    isBare,
  }: { folder: string; signal: AbortSignal | undefined; callEnv: Environment; isBare: boolean },
  call: GitCall,
): Command {
  const safe = SAFE_SETTINGS.filter((setting) => call.configuredHooks !== true || setting !== HOOKS_OFF);
  const settings = call.lfsFilters === true ? [...safe, ...LFS_FILTER_SETTINGS] : safe;
  return {
    file: "git",
    args: [
      "-C",
      folder,
      ...(isBare ? ["--git-dir=."] : []),
      ...settings.flatMap((setting) => ["-c", setting]),
      ...call.args,
    ],
    env: { ...callEnv, ...call.env },
    ...(signal === undefined ? {} : { signal }),
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
  readonly env: Environment;
}): Command {
  return {
    file: "git",
    args: [...call.settings.flatMap((setting) => ["-c", setting]), "http-backend"],
    env: { ...NO_FOREIGN_REPOSITORY, GIT_TERMINAL_PROMPT: "0", ...call.env },
  };
}

/**
 * `git lfs` as git itself would call it in a hook: on this process's terminal, with the environment of the hook. Resolves to its
 * exit code. @throws CollectiveError PROCESS_MISSING.
 */
export async function runGitLfs(
  { folder, env }: Git,
  call: { readonly args: readonly string[]; readonly input: string },
): Promise<number> {
  return runInherited({ file: "git", args: ["lfs", ...call.args], cwd: folder, env, input: call.input });
}
