/**
 * Which process is meant: a pid is used again, a pid with its start time and its boot is not. The files of /proc are in memory; reading
 * one takes less time than handing the work to a thread, so all this is synchronous.
 */
import { readFileSync } from "node:fs";

export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot: field 22 of /proc/<pid>/stat. */
  readonly startTime: string;
  /** Another one after every boot. */
  readonly bootId: string;
}

/** This process. */
export function identifySelf(): ProcessIdentity {
  const startTime = readProcessStat(process.pid)?.startTime ?? "";
  return { pid: process.pid, startTime, bootId: readBootId() };
}

/** Whether the very process still runs on this machine, as far as it can be seen from here. */
export function isAlive({ pid, startTime, bootId }: ProcessIdentity): boolean {
  return bootId === readBootId() && readProcessStat(pid)?.startTime === startTime;
}

export interface ProcessStat {
  readonly parentPid: number;
  readonly session: number;
  readonly startTime: string;
}

/** Undefined when there is no such process, or when it is a zombie. */
export function readProcessStat(pid: number): ProcessStat | undefined {
  const text = readText(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything; the fields after the last one are numbers.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, parentPid, , session] = fields;
  const startTime = fields[19];
  if (state === "Z" || state === "X" || startTime === undefined) return undefined;
  return { parentPid: Number(parentPid), session: Number(session), startTime };
}

function readBootId(): string {
  return readText("/proc/sys/kernel/random/boot_id").trim();
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // it ended while we looked, or is hidden from us
  }
}
