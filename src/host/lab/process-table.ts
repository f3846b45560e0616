/** Reads /proc: which process is whose child, and whether a process is still the one that was meant. */
import { readdir, readFile } from "node:fs/promises";

export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  /** In clock ticks since boot: with the pid it names a process for good. */
  readonly startTime: string;
  readonly args: readonly string[];
}

/** Undefined when there is no such process, or when it is a zombie. */
export async function readProcess(pid: number): Promise<ProcessEntry | undefined> {
  try {
    const [stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
    ]);
    // The name in parentheses may hold anything; the fields after the last one are numbers.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, parentPid] = fields;
    const startTime = fields[19];
    if (state === undefined || state === "Z" || state === "X" || startTime === undefined) return undefined;
    return { pid, parentPid: Number(parentPid), startTime, args: commandLine.split("\0").slice(0, -1) };
  } catch {
    return undefined; // it ended while we looked
  }
}

export async function childrenOf(pid: number): Promise<readonly ProcessEntry[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const entries = await Promise.all(pids.map(readProcess));
  return entries.filter((entry) => entry?.parentPid === pid) as ProcessEntry[];
}

export async function isRunning(identity: { pid: number; startTime: string }): Promise<boolean> {
  return (await readProcess(identity.pid))?.startTime === identity.startTime;
}
