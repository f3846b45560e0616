/** Running programs in end-to-end tests: how they ended is data, not an exception. */
import { spawn, type ChildProcess } from "node:child_process";

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A piece of what is typed at a terminal. */
export interface Typed {
  readonly text: string;
  /** What must be printed before the next piece. */
  readonly until?: RegExp;
  /** Typed once a second as long as that does not come. */
  readonly again?: boolean;
}

export class CuiFailure extends Error {
  constructor(args: readonly string[], { code, signal, stdout, stderr }: Outcome) {
    super(`cui ${args.join(" ")} ended with ${String(code ?? signal)}\n${stdout}\n${stderr}`);
  }
}

export function runProgram(
  file: string,
  args: readonly string[],
  options: {
    cwd?: string;
    env?: Readonly<Record<string, string>>;
    input?: string;
    typed?: readonly Typed[];
    /** Looked at all the time; the program is ended with SIGKILL when it holds. */
    killedWhen?: () => boolean;
  } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.input === undefined && options.typed === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr?.on("data", (data: Buffer) => (stderr += data.toString()));
    child.on("error", reject);
    const watch = setInterval(() => {
      if (options.killedWhen?.() === true) child.kill("SIGKILL");
    }, 10);
    child.on("close", (code, signal) => {
      clearInterval(watch);
      resolve({ code, signal, stdout, stderr });
    });
    if (options.typed === undefined) child.stdin?.end(options.input);
    else void typeAll(child, options.typed, () => stdout);
  });
}

/** Types one piece after the other, as a person at a terminal does. */
async function typeAll(child: ChildProcess, pieces: readonly Typed[], stdout: () => string): Promise<void> {
  for (const { text, until, again = false } of pieces) {
    const from = stdout().length;
    for (let tries = 0; child.exitCode === null && child.signalCode === null; tries += 1) {
      if (tries === 0 || (again && tries % 20 === 0)) child.stdin?.write(text);
      if (until?.test(stdout().slice(from)) ?? true) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
