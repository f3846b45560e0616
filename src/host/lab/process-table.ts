/** Reads /proc: which process is whose child, and whether a process is still the one that was meant. */
import { readdir, readFile } from "node:fs/promises";
import { readProcessStat, type ProcessStat } from "../../process-identity.ts";

export interface ProcessEntry extends ProcessStat {
  readonly pid: number;
  readonly args: readonly string[];
}

/** Undefined when there is no such process, or when it is a zombie. */
async function readProcess(pid: number): Promise<ProcessEntry | undefined> {
  const stat = readProcessStat(pid);
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => undefined);
  if (stat === undefined || commandLine === undefined) return undefined; // it ended while we looked
  return { pid, ...stat, args: commandLine.split("\0").slice(0, -1) };
}

export async function childrenOf(pid: number): Promise<readonly ProcessEntry[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const entries = await Promise.all(pids.map(readProcess));
  return entries.filter((entry) => entry?.parentPid === pid) as ProcessEntry[];
}

export async function isRunning(identity: { pid: number; startTime: string }): Promise<boolean> {
  return (await readProcess(identity.pid))?.startTime === identity.startTime;
}
