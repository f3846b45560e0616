/**
 * The one module that runs programs, and the few file operations that must be atomic.
 * A command is data: an argv array, never a shell string.
 */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { randomUUID } from "node:crypto";
import { access, constants as fileModes, open, rename, rm } from "node:fs/promises";
import { constants } from "node:os";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { execa } from "execa";
import { CollectiveError } from "./errors.ts";
import { openProcessTree, type ProcessTree } from "./process-tree.ts";

/** What to run. `parse` turns what the program printed into the result; without it that is the text on standard output. */
export interface Command<Result = string> {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Added to the environment, which is otherwise inherited. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  /** Default 10 minutes. */
  readonly timeoutMs?: number;
  /** Aborting it ends the program with all that it started (SIGTERM, then SIGKILL after 5 s). */
  readonly signal?: AbortSignal;
  /** Exit codes that are no failure; default 0 alone. */
  readonly allowedExitCodes?: readonly number[];
  readonly parse?: (stdout: string, exitCode: number, stderr: string) => Result;
}

const DEFAULT_TIMEOUT_MS = 600_000;

/** Whether a program of that name would be found; it is not started. */
export async function hasProgram(name: string): Promise<boolean> {
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "");
  const found = await Promise.allSettled(
    folders.map((folder) => access(path.join(folder, name), fileModes.X_OK)),
  );
  return found.some(({ status }) => status === "fulfilled");
}

/**
 * Runs one program to its end.
 * @throws CollectiveError PROCESS_MISSING, PROCESS_TIMED_OUT or PROCESS_FAILED; the message has the program's last error line.
 */
export async function run<Result = string>(command: Command<Result>): Promise<Result> {
  const { exitCode, stdout, stderr } = await runRaw(command);
  return command.parse === undefined ? (stdout as Result) : command.parse(stdout, exitCode, stderr);
}

async function runRaw(
  command: Command<unknown>,
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const tree = openProcessTree();
  if (command.signal?.aborted === true) throw processError(command, ABORTED);
  const program = execa(command.file, [...command.args], {
    reject: false,
    stripFinalNewline: false,
    cleanup: false,
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    env: { ...command.env, ...tree.env },
    ...(command.input === undefined ? { stdin: "ignore" as const } : { input: command.input }),
    maxBuffer: 256 * 1024 * 1024,
  });
  tree.watch(program.pid);
  const limits = limit(program, tree, command);
  const result = await program.finally(() => {
    limits.lift();
    tree.unwatch();
  });
  const allowed = command.allowedExitCodes ?? [0];
  const endedBy = limits.endedBy();
  if (endedBy === undefined && result.exitCode !== undefined && allowed.includes(result.exitCode)) {
    return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }
  // How it took our signal says nothing: git exits as it likes when its helper is ended first.
  throw processError(command, endedBy === undefined ? result : { ...endedBy, stderr: result.stderr });
}

type Ending = Omit<ProgramResult, "stderr">;
const ABORTED = { timedOut: false, signal: "SIGTERM", stderr: "" } as const;
const TIMED_OUT = { timedOut: true } as const;
const KILL_AFTER_MS = 5000;
/** Then the pipes are closed on our side, whoever holds the other. */
const LEAVE_AFTER_MS = 7000;

/** Ends the whole tree when the time is over or the signal comes, and sees to it that the caller does not wait for ever. */
function limit(
  program: { readonly stdout: Readable | null; readonly stderr: Readable | null },
  tree: ProcessTree,
  { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: Command<unknown>,
): { endedBy(): Ending | undefined; lift(): void } {
  let endedBy: Ending | undefined;
  const timers: NodeJS.Timeout[] = [];
  const endAs = (ending: Ending): void => {
    if (endedBy !== undefined) return;
    endedBy = ending;
    tree.end("SIGTERM");
    timers.push(
      setTimeout(() => {
        tree.end("SIGKILL");
      }, KILL_AFTER_MS),
      setTimeout(() => {
        program.stdout?.destroy();
        program.stderr?.destroy();
      }, LEAVE_AFTER_MS),
    );
  };
  const onAbort = (): void => {
    endAs(ABORTED);
  };
  timers.push(
    setTimeout(() => {
      endAs(TIMED_OUT);
    }, timeoutMs),
  );
  signal?.addEventListener("abort", onAbort);
  return {
    endedBy: () => endedBy,
    lift: () => {
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

/**
 * Runs a program on this process's own terminal or pipes and resolves to its exit code (128 + n when signal n ended it). With
 * `input` that is its standard input.
 * @throws CollectiveError PROCESS_MISSING.
 */
export async function runInherited(
  command: Pick<Command, "file" | "args" | "cwd" | "env" | "input">,
): Promise<number> {
  const tree = openProcessTree();
  const program = execa(command.file, [...command.args], {
    reject: false,
    cleanup: false,
    stdout: "inherit",
    stderr: "inherit",
    ...(command.input === undefined ? { stdin: "inherit" as const } : { input: command.input }),
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    env: { ...command.env, ...tree.env },
  });
  tree.watch(program.pid);
  const result = await program.finally(() => {
    tree.unwatch();
  });
  if (result.code === "ENOENT")
    throw processError(command, { code: result.code, timedOut: false, stderr: "" });
  return result.exitCode ?? 128 + (result.signal === undefined ? 0 : constants.signals[result.signal]);
}

/** A program that may outlive this process. */
export interface BackgroundProgram {
  readonly pid: number;
  /** Ends for the program when it is ended here, or when this process ends in whatever way; undefined unless asked for. */
  readonly stdin: Writable | undefined;
  /** Resolves to the exit code, null after a signal. Never rejects. */
  readonly ended: Promise<number | null>;
  /** Neither the program nor a pipe to it keeps this process alive any longer. */
  unref(): void;
}

/**
 * Starts a program in a session of its own, its output appended to `logFile`; this process may end before it does.
 * @throws CollectiveError PROCESS_MISSING or PROCESS_FAILED when it cannot be started.
 */
export async function startBackground(
  command: Pick<Command, "file" | "args" | "cwd" | "env"> & {
    readonly logFile: string;
    readonly stdin: "pipe" | "ignore";
  },
): Promise<BackgroundProgram> {
  const log = await open(command.logFile, "a", 0o600);
  try {
    const child = spawn(command.file, [...command.args], {
      detached: true,
      stdio: [command.stdin, log.fd, log.fd],
      env: { ...process.env, ...command.env },
      ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    await new Promise<void>((resolve, reject) => {
      child.on("spawn", resolve);
      child.on("error", (error: NodeJS.ErrnoException) => {
        reject(
          processError(command, { code: error.code, timedOut: false, stderr: error.message, cause: error }),
        );
      });
    });
    child.stdin?.on("error", () => undefined); // it ended first: `ended` says so
    const unref = (): void => {
      child.unref();
      // Node's type hides that the stream is a socket.
      (child.stdin as (Writable & { unref(): void }) | null)?.unref();
    };
    return { pid: child.pid ?? 0, stdin: child.stdin ?? undefined, ended, unref };
  } finally {
    await log.close();
  }
}

interface ProgramResult {
  readonly code?: string | undefined;
  readonly timedOut: boolean;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly stderr: string;
  readonly cause?: unknown;
}

/** The error of `run`, for whoever had to start a program in another way. */
export function processError(command: Command<unknown>, result: ProgramResult): CollectiveError {
  const name = path.basename(command.file);
  const data = {
    file: command.file,
    exitCode: result.exitCode,
    signal: result.signal,
    stderr: result.stderr.slice(-4000),
  };
  if (result.code === "ENOENT") {
    return new CollectiveError("PROCESS_MISSING", `the program ${name} is not installed`, {
      data,
      hint: `install ${name} and try again`,
    });
  }
  if (result.timedOut) {
    return new CollectiveError("PROCESS_TIMED_OUT", `${name} did not end in time`, { data });
  }
  if (result.code !== undefined && result.exitCode === undefined && result.signal === undefined) {
    const reason = result.stderr.trim() === "" ? result.code : result.stderr.trim();
    return new CollectiveError("PROCESS_FAILED", `${name} cannot be started: ${reason}`, {
      data,
      hint: "check the permissions of the program, and how many processes and files are allowed (ulimit -a)",
      cause: result.cause,
    });
  }
  const lastLine = result.stderr.trim().split("\n").at(-1) ?? "";
  const how =
    result.exitCode === undefined
      ? `ended by ${result.signal ?? "a signal"}`
      : `exit code ${result.exitCode}`;
  return new CollectiveError(
    "PROCESS_FAILED",
    `${name} failed (${how})${lastLine === "" ? "" : `: ${lastLine}`}`,
    {
      data,
      cause: result.cause,
    },
  );
}

/** The end of what a failed program printed on standard error; empty for any other error. */
export function stderrOf(error: unknown): string {
  const stderr = error instanceof CollectiveError ? error.data["stderr"] : undefined;
  return typeof stderr === "string" ? stderr : "";
}

/** A program that is talked to while it runs. */
export interface RunningProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves when it has ended: to undefined after exit code 0, else to the error `run` would throw. Never rejects. */
  readonly ended: Promise<CollectiveError | undefined>;
  /** SIGTERM unless another signal is named; no-op when it has ended. */
  kill(signal?: NodeJS.Signals): void;
}

/**
 * Starts a program and returns at once; `input`, `timeoutMs` and `parse` of the command are not used. It gets `openFiles`, which
 * are descriptors of this process, as its own 3, 4 …
 */
export function startProgram(
  command: Command<unknown> & { readonly openFiles?: readonly number[] },
): RunningProgram {
  const tree = openProcessTree();
  const child = spawn(command.file, [...command.args], {
    stdio: ["pipe", "pipe", "pipe", ...(command.openFiles ?? [])],
    env: { ...process.env, ...command.env, ...tree.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
  }) as ChildProcessWithoutNullStreams;
  tree.watch(child.pid);
  const onAbort = (): void => {
    tree.end("SIGTERM");
  };
  if (command.signal?.aborted === true) onAbort();
  command.signal?.addEventListener("abort", onAbort);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-4000)));
  child.stdin.on("error", () => undefined); // the program ended first: `ended` says why
  const ended = new Promise<CollectiveError | undefined>((resolve) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) tree.unwatch();
      resolve(processError(command, { code: error.code, timedOut: false, stderr, cause: error }));
    });
    child.on("close", (exitCode, signal) => {
      tree.unwatch();
      command.signal?.removeEventListener("abort", onAbort);
      const allowed = command.allowedExitCodes ?? [0];
      const result = {
        timedOut: false,
        exitCode: exitCode ?? undefined,
        signal: signal ?? undefined,
        stderr,
      };
      resolve(exitCode !== null && allowed.includes(exitCode) ? undefined : processError(command, result));
    });
  });
  const kill = (signal: NodeJS.Signals = "SIGTERM"): void => {
    tree.end(signal);
  };
  return { stdin: child.stdin, stdout: child.stdout, ended, kill };
}

/** Replaces `file` as a whole: a reader, or a crash, sees the old content or the new, never a part. */
export async function writeFileAtomically(
  file: string,
  content: string | Uint8Array,
  options: {
    mode?: number;
    /** Gives the file that becomes `file` what it needs beside its content. */
    prepare?: (temporary: string) => Promise<void>;
  } = {},
): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file).slice(0, 40)}.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, "wx", options.mode ?? 0o644);
    try {
      await options.prepare?.(temporary);
      if (options.mode !== undefined) await handle.chmod(options.mode); // whatever the umask, and after a change of owner
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw underName(error, temporary, file);
  }
}

/** What the file system says of the temporary file is told of the file that was meant. */
function underName(error: unknown, temporary: string, file: string): unknown {
  if (error instanceof Error && "path" in error && error.path === temporary)
    Object.assign(error, { path: file, dest: undefined });
  return error;
}
