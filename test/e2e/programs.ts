/** Running programs in end-to-end tests: how they ended is data, not an exception. */
import { spawn } from "node:child_process";

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
  options: { cwd?: string; env?: Readonly<Record<string, string>>; input?: string } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr?.on("data", (data: Buffer) => (stderr += data.toString()));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
    child.stdin?.end(options.input);
  });
}
