/** Running programs in end-to-end tests: how they ended is data, not an exception. */
import { spawn } from "node:child_process";
import type { Writable } from "node:stream";

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
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
    typed?: readonly string[];
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
    child.on("close", (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
    if (options.typed === undefined) child.stdin?.end(options.input);
    else typeSlowly(child.stdin, options.typed);
  });
}

/** Types one piece a second, as a person at a terminal does. */
function typeSlowly(stdin: Writable | null, pieces: readonly string[]): void {
  pieces.forEach((piece, index) => setTimeout(() => stdin?.write(piece), 1000 * (index + 1)));
}
