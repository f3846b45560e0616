/**
 * A program with all that it started: `git fetch` waits for its `git-remote-https`, which waits for a server, and ending git alone would
 * leave the helper behind, with our pipe in its hand. They are found by a variable of their environment, which whoever is started
 * inherits, and as children of those found.
 *
 * No process group is made for them: it would have no terminal, where ssh asks for a passphrase. What made itself a session of its
 * own (an agent, a master connection of ssh) means to outlive its caller, and is left alone.
 */
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { readProcessStat } from "./process-identity.ts";

const MARK = "CUI_CALL";
/** Between asking and killing, when this process is about to end: git takes its lock files away. */
const LAST_GRACE_MS = 2000;
const POLL_MS = 10;

export interface ProcessTree {
  /** For the environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  /** From now on the tree ends with this process, unless that is killed. Without a pid its environment alone tells who is in it. */
  watch(pid: number | undefined): void;
  /** Sends a signal to all of it. */
  end(signal: NodeJS.Signals): void;
  /** The program has ended. */
  unwatch(): void;
}

export function openProcessTree(): ProcessTree {
  const mark = `${MARK}=${randomUUID()}`;
  let root: number | undefined;
  const end = (signal: NodeJS.Signals): void => {
    signalAll(membersOf(root, mark), signal);
  };
  const watched: Watched = {
    end,
    isEmpty: () => membersOf(root, mark).length === 0,
  };
  return {
    env: { [MARK]: mark.slice(MARK.length + 1) },
    watch: (pid) => {
      root = pid;
      addWatched(watched);
    },
    end,
    unwatch: () => {
      removeWatched(watched);
    },
  };
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended meanwhile, or is another user's.
    }
  }
}

/** All of our session that bear the mark, and their children and children's children. */
function membersOf(root: number | undefined, mark: string): readonly number[] {
  const session = readProcessStat(process.pid)?.session;
  const parents = new Map<number, number>();
  const members = new Set<number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isSafeInteger(pid) || pid === process.pid) continue;
    const found = readProcessStat(pid);
    if (found === undefined || found.session !== session) continue;
    parents.set(pid, found.parentPid);
    if (pid === root || hasMark(pid, mark)) members.add(pid);
  }
  for (let before = -1; before !== members.size;) {
    before = members.size;
    for (const [pid, parent] of parents) if (members.has(parent)) members.add(pid);
  }
  return [...members];
}

function hasMark(pid: number, mark: string): boolean {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`.includes(`\0${mark}\0`);
  } catch {
    return false; // it ended, or hides its environment: then its parent tells
  }
}

interface Watched {
  end(signal: NodeJS.Signals): void;
  isEmpty(): boolean;
}

/** Of this process, which has one end. */
const running = new Set<Watched>();
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function addWatched(watched: Watched): void {
  if (running.size === 0) {
    // First, since a listener of `once` is gone when those behind it run.
    for (const signal of SIGNALS) process.prependListener(signal, endBySignal);
    process.on("exit", endAll);
  }
  running.add(watched);
}

function removeWatched(watched: Watched): void {
  if (!running.delete(watched) || running.size > 0) return;
  for (const signal of SIGNALS) process.off(signal, endBySignal);
  process.off("exit", endAll);
}

/** Where somebody else listens to the signal, that one says what becomes of the programs. */
function endBySignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  endAll();
  for (const watched of [...running]) removeWatched(watched);
  process.kill(process.pid, signal);
}

/**
 * Nothing else happens in this process any more, so it may wait. Asked again and again: what was being started while the
 * processes were listed is in the next list.
 */
function endAll(): void {
  if (endsWithin(LAST_GRACE_MS, "SIGTERM")) return;
  endsWithin(LAST_GRACE_MS, "SIGKILL");
}

function endsWithin(ms: number, signal: NodeJS.Signals): boolean {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (const until = Date.now() + ms; Date.now() < until;) {
    for (const watched of running) watched.end(signal);
    if ([...running].every((watched) => watched.isEmpty())) return true;
    Atomics.wait(pause, 0, 0, POLL_MS);
  }
  return false;
}
