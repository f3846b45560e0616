/** Runs one compiled test file in a process of its own. */
import { spawn, type ChildProcess } from "node:child_process";
import { collectTap, type Collected } from "./collect.ts";
import { lastLines } from "./report.ts";
import type { Failure, FileResult, TestResult } from "./results.ts";

export interface RunFileOptions {
  /** `test/io.test.ts` */
  readonly file: string;
  /** `build/test/io.test.js` */
  readonly compiled: string;
  readonly env: NodeJS.ProcessEnv;
  /** After it tap ends the file and says which test is unfinished. */
  readonly timeoutMs: number;
  /** What tap has for that, before the process is killed; default 60 s. */
  readonly graceMs?: number;
}

const GRACE_MS = 60_000;
const PIPES_MS = 5000;
const KEPT_OUTPUT = 64 * 1024;

/** Never rejects: a file that does not start or end well has a failed test for that. */
export async function runFile(options: RunFileOptions): Promise<FileResult> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ["--enable-source-maps", options.compiled], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...options.env, TAP_TIMEOUT: String(options.timeoutMs / 1000) },
  });
  const tap = collectTap();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    tap.write(text);
  });
  let errors = "";
  child.stderr
    .setEncoding("utf8")
    .on("data", (text: string) => (errors = (errors + text).slice(-KEPT_OUTPUT)));
  const isLate = killInTime(child, options);
  const how = await endOf(child);
  const collected = await tap.end();
  const late = isLate() ? `it did not end after ${options.timeoutMs / 1000} s` : undefined;
  const tests = withFileFailure(collected, { late, how });
  return {
    file: options.file,
    ms: performance.now() - startedAt,
    tests,
    assertions: collected.assertions,
    output: (collected.extra + errors).slice(-KEPT_OUTPUT),
  };
}

/** How it ended, in words; undefined when it ended well. */
function endOf(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let how: string | undefined;
    child.on("error", (error) => {
      resolve(`it did not start: ${error.message}`);
    });
    child.on("exit", (code, signal) => {
      if (signal !== null) how = `it was ended by ${signal}`;
      else if (code !== 0) how = `it ended with exit code ${String(code)}`;
      // Who holds its pipes after it, a process it left behind, must not keep us waiting.
      setTimeout(() => {
        resolve(how);
      }, PIPES_MS).unref();
    });
    child.on("close", () => {
      resolve(how);
    });
  });
}

function killInTime(child: ChildProcess, { timeoutMs, graceMs = GRACE_MS }: RunFileOptions): () => boolean {
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeoutMs + graceMs);
  child.once("exit", () => {
    clearTimeout(timer);
  });
  return () => isLate;
}

/** Adds a failed test for the file itself where no other says that it failed, or it was killed. */
function withFileFailure(
  { tests, extra }: Collected,
  { late, how }: { readonly late: string | undefined; readonly how: string | undefined },
): readonly TestResult[] {
  const isTold = tests.some(({ state }) => state === "failed");
  const why = late ?? (isTold ? undefined : (how ?? (tests.length === 0 ? "it has no tests" : undefined)));
  if (why === undefined) return tests;
  const failure: Failure = { message: why, at: undefined, difference: lastLines(extra, 3) };
  return [...tests, { names: [], state: "failed", ms: undefined, failure }];
}
