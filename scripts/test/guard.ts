/**
 * Cleans up after `npm test`, however that ends: a process of its own that main.ts holds by a pipe. When the pipe closes it
 * ends every process of the run (they carry the run's folder in their environment) and removes the run's files.
 *
 *     node guard.ts <folder> [<other file or folder to remove> …]    < pipe
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Every process of a run, the guard aside, has this in its environment: the folder that is also its TMPDIR. */
export const RUN_VARIABLE = "CUI_TEST_RUN";
/** What ends with its owner, labs above all, needs a moment. */
const GRACE_MS = 60_000;

export interface RunProcess {
  readonly pid: number;
  readonly command: string;
}

/** Processes of the run, this one aside. */
function processesOf(folder: string): RunProcess[] {
  const mark = `${RUN_VARIABLE}=${folder}\0`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => `${readProc(pid, "environ")}\0`.includes(mark))
    .map((pid) => ({ pid: Number(pid), command: readProc(pid, "cmdline").replaceAll("\0", " ").trim() }))
    .filter(({ command }) => command !== "");
}

/** Waits for the run's processes to end by themselves; resolves to those that did not. */
export async function awaitProcesses(folder: string, timeoutMs = GRACE_MS): Promise<RunProcess[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const left = processesOf(folder);
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(100);
  }
}

/** True while no process between this one and the npm that started it has ended, npm included. */
export function watchNpm(): () => boolean {
  if (process.env["npm_lifecycle_event"] === undefined) return () => true;
  const above = untilNpm();
  return () => untilNpm().join() === above.join();
}

/** The ids of the processes above this one: a shell, perhaps an older Node, npm. */
function untilNpm(): string[] {
  const ids: string[] = [];
  for (let pid = parentOf("self"); pid !== "" && ids.length < 4; pid = parentOf(pid)) {
    ids.push(pid);
    if (/^npm\b/.test(readProc(pid, "cmdline"))) break;
  }
  return ids;
}

async function main([folder = "", ...others]: readonly string[]): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
  await new Promise<void>((resolve) => {
    for (const event of ["end", "error"]) process.stdin.on(event, resolve);
    process.stdin.resume();
  });
  for (let round = 0; round < 100; round += 1) {
    const left = processesOf(folder);
    for (const { pid } of left) kill(pid);
    if (removeAll([folder, ...others]) && left.length === 0) return;
    await sleep(100);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it ended first
  }
}

/** False while something still writes there. */
function removeAll(files: readonly string[]): boolean {
  try {
    for (const file of files) rmSync(file, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

function parentOf(pid: string): string {
  return /^PPid:\t(\d+)$/m.exec(readProc(pid, "status"))?.[1] ?? "";
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

if (import.meta.main) await main(process.argv.slice(2).map((file) => path.resolve(file)));
