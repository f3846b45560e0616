/**
 * A clone, fetch or push whose progress is shown, through simple-git. It starts git itself, so what holds for every other call is
 * handed to it or done here: our settings and environment reach git unabridged, every exit but 0 is a failure, and the error is
 * the one of `run`.
 */
import { messageOf } from "../errors.ts";
import { processError, type Command } from "../io.ts";
import { openProcessTree } from "../process-tree.ts";

export interface TransferProgress {
  /** `remote` is the other side's preparation. */
  readonly stage: "remote" | "receiving" | "resolving" | "writing";
  /** 0 to 100, of the stage. */
  readonly percent: number;
}

/** Default of how long git may say nothing. */
const SILENCE_MS = 600_000;

/**
 * Runs a command of a `Git` with `--progress` among its arguments.
 * Its `timeoutMs` is how long it may print nothing, not how long it may take; it has no input, and no exit code but 0 is allowed.
 * @throws CollectiveError PROCESS_MISSING, PROCESS_TIMED_OUT, PROCESS_FAILED.
 */
export async function runWithProgress(
  command: Command,
  onProgress: (progress: TransferProgress) => void,
): Promise<void> {
  // Loaded only here: without a terminal nothing of it is needed.
  const { simpleGit } = await import("simple-git");
  const tree = openProcessTree();
  const env = { ...environmentOf(command), ...tree.env };
  const onAbort = (): void => {
    tree.end("SIGTERM");
  };
  let exit: { readonly exitCode: number | null; readonly stderr: string } | undefined;
  const library = simpleGit({
    binary: command.file,
    timeout: { block: command.timeoutMs ?? SILENCE_MS },
    ...(command.signal === undefined ? {} : { abort: command.signal }),
    progress: ({ stage, progress }) => {
      const known = STAGES.get(stage);
      if (known !== undefined) onProgress({ stage: known, percent: progress });
    },
    // Its own rule takes an exit without a word, and the end by a signal, for success.
    errors: (error, { exitCode, stdErr }) => {
      exit = {
        exitCode: exitCode,
        stderr: withoutProgress(Buffer.concat(stdErr).toString()),
      };
      return error ?? (exitCode === 0 ? undefined : new Error(`git ended with ${String(exitCode)}`));
    },
    unsafe: OURS_TO_CHECK,
    allowEnvironment: Object.keys(env),
  });
  tree.watch(undefined);
  command.signal?.addEventListener("abort", onAbort);
  try {
    await library.env(env).raw([...command.args]);
  } catch (error) {
    // simple-git ends git alone, when it has said nothing for too long.
    tree.end("SIGTERM");
    throw failure(command, error, exit);
  } finally {
    tree.unwatch();
    command.signal?.removeEventListener("abort", onAbort);
  }
}

const STAGES: ReadonlyMap<string, TransferProgress["stage"]> = new Map([
  ["remote:", "remote"],
  ["receiving", "receiving"],
  ["resolving", "resolving"],
  ["writing", "writing"],
]);

/** What simple-git refuses unless it is told otherwise, and what our settings, tokens and the user's environment are made of. */
const OURS_TO_CHECK = {
  allowAbbreviatedOptions: true,
  allowUnsafeAskPass: true,
  allowUnsafeConfigEnvCount: true,
  allowUnsafeConfigPaths: true,
  allowUnsafeCredentialHelper: true,
  allowUnsafeDiffExternal: true,
  allowUnsafeEditor: true,
  allowUnsafeExec: true,
  allowUnsafeFsMonitor: true,
  allowUnsafeGitProxy: true,
  allowUnsafeHooksPath: true,
  allowUnsafePager: true,
  allowUnsafeProtocolOverride: true,
  allowUnsafeSshCommand: true,
  allowUnsafeTemplateDir: true,
  allowUnsafeUrlRewrite: true,
};

function environmentOf(command: Command): Record<string, string> {
  const all = Object.entries(command.env ?? {});
  return Object.fromEntries(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** Lines of progress, which are no errors though some begin with `remote:`. */
const PROGRESS_LINE =
  /\r|^(remote: )?(Enumerating|Counting|Compressing|Receiving|Writing|Unpacking) objects:|^(remote: )?(Resolving deltas:|Total \d)/;

function withoutProgress(stderr: string): string {
  return stderr
    .split("\n")
    .filter((line) => !PROGRESS_LINE.test(line))
    .join("\n");
}

function failure(
  command: Command,
  error: unknown,
  exit: { readonly exitCode: number | null; readonly stderr: string } | undefined,
): Error {
  const stderr = exit?.stderr ?? "";
  return processError(command, {
    timedOut: messageOf(error).includes("block timeout reached"),
    exitCode: exit?.exitCode ?? undefined,
    stderr: exit === undefined ? messageOf(error) : stderr,
    cause: error,
    ...(stderr.includes(`spawn ${command.file} ENOENT`) ? { code: "ENOENT" } : {}),
  });
}
