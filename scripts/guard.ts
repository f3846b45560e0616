/**
 * Cleans up after a run, of the tests or of the quickstart, however that ends: a process of its own that the run holds by a
 * pipe. When the pipe closes it ends every process of the run and removes the run's files.
 *
 *     node guard.ts <grace in milliseconds> <variable> <folder> [<other file or folder to remove> …]    < pipe
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isMain } from "./is-main.ts";

export interface GuardOptions {
  /** Every process of the run, the guard aside, has this variable in its environment, with the folder as its value. */
  readonly variable: string;
  /** Absolute; the run's files lie in it. */
  readonly folder: string;
  /** Further files and folders to remove; absolute. */
  readonly others?: readonly string[];
  /** How long processes may take to end by themselves; default none. */
  readonly graceMs?: number;
}

export interface Guard {
  /** Cleans up now; resolves when that is done. */
  end(): Promise<void>;
}

/** The guard does not keep this process alive. */
export function startGuard({ variable, folder, others = [], graceMs = 0 }: GuardOptions): Guard {
  const args = [import.meta.filename, String(graceMs), variable, folder, ...others];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "inherit", "inherit"], detached: true });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => {
      resolve();
    });
  });
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  return {
    end: () => {
      child.ref();
      child.stdin.end();
      return ended;
    },
  };
}

export interface RunProcess {
  readonly pid: number;
  readonly command: string;
}

/** Processes of a run, this one aside. */
export function processesOf({ variable, folder }: Pick<GuardOptions, "variable" | "folder">): RunProcess[] {
  const mark = `${variable}=${folder}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => `\0${readProc(pid, "environ")}\0`.includes(`\0${mark}\0`))
    .map((pid) => ({ pid: Number(pid), command: readProc(pid, "cmdline").replaceAll("\0", " ").trim() }))
    .filter(({ command }) => command !== "");
}

/** Of the whole clean-up: a machine may be slow, but a process that cannot be killed must not keep this one for ever. */
const LIMIT_MS = 10 * 60_000;

async function main([graceMs = "", variable = "", folder = "", ...others]: readonly string[]): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
  await new Promise<void>((resolve) => {
    for (const event of ["end", "error"]) process.stdin.on(event, resolve);
    process.stdin.resume();
  });
  const graceUntil = Date.now() + Number(graceMs);
  while (Date.now() < graceUntil && processesOf({ variable, folder }).length > 0) await sleep(100);
  const deadline = Date.now() + LIMIT_MS;
  while (Date.now() < deadline) {
    const left = processesOf({ variable, folder });
    for (const { pid } of left) kill(pid);
    // Only when nobody is left to make it again is what was removed gone for good.
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

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(path.join("/proc", pid, file), "utf8");
  } catch {
    return "";
  }
}

if (isMain(import.meta.url)) await main(process.argv.slice(2));
