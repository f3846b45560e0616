// Cleans up after `npm test`, however that ends: a process of its own that test.mjs holds by a pipe. When the pipe closes it
// ends every process of the run (they carry the run's folder in their environment) and removes the run's files.
//
//   node test-guard.mjs <folder> [<other file or folder to remove> …]    < pipe
import { readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Every process of a run, the guard aside, has this in its environment: the folder that is also its TMPDIR. */
export const RUN_VARIABLE = "CUI_TEST_RUN";
/** What ends with its owner, labs above all, needs a moment. */
const GRACE_MS = 8000;

/** Processes of the run, but `ownPid`'s. */
export function processesOf(folder, ownPid = process.pid) {
  const mark = `${RUN_VARIABLE}=${folder}\0`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== ownPid)
    .filter((pid) => `${readProc(pid, "environ")}\0`.includes(mark))
    .map((pid) => ({ pid: Number(pid), command: readProc(pid, "cmdline").replaceAll("\0", " ").trim() }))
    .filter(({ command }) => command !== "");
}

/** Waits for the run's processes to end by themselves; resolves to those that did not. */
export async function awaitProcesses(folder, timeoutMs = GRACE_MS) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const left = processesOf(folder);
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(100);
  }
}

/** True while no process above this one that npm started it through has ended. */
export function watchNpm() {
  if (process.env.npm_lifecycle_event === undefined) return () => true;
  const parent = process.ppid;
  const grandparent = parentOf(parent);
  return () => process.ppid === parent && parentOf(parent) === grandparent;
}

async function main([folder, ...others]) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
  await new Promise((resolve) => process.stdin.on("end", resolve).on("error", resolve).resume());
  for (let round = 0; round < 100; round += 1) {
    const left = processesOf(folder);
    for (const { pid } of left) kill(pid);
    if (removeAll([folder, ...others]) && left.length === 0) return;
    await sleep(100);
  }
}

function kill(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it ended first
  }
}

/** False while something still writes there. */
function removeAll(files) {
  try {
    for (const file of files) rmSync(file, { recursive: true, force: true });
    return true;
  } catch {
    return false;
  }
}

function parentOf(pid) {
  return /^PPid:\t(\d+)$/m.exec(readProc(pid, "status"))?.[1];
}

function readProc(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await main(process.argv.slice(2).map((file) => path.resolve(file)));
