/** Where a run of the tests keeps its files: in memory where there is plenty, for they make and remove files by the hundred thousand. */
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, statfsSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const MEMORY = "/dev/shm";

export interface Needs {
  /** Of the file system; a run takes a fifth of it. */
  readonly roomBytes: number;
  /** Of the machine's memory, beside the guests, of which few run at a time. */
  readonly memoryBytes: number;
}

const NEEDS: Needs = { roomBytes: 4 * 2 ** 30, memoryBytes: 8 * 2 ** 30 };

/** Makes the folder; whoever set TMPDIR chose its place. */
export function makeRunFolder(): string {
  const parent = process.env["TMPDIR"] === undefined && isFit(MEMORY, NEEDS) ? MEMORY : os.tmpdir();
  return mkdtempSync(path.join(parent, "ct-"));
}

/** Whether files may lie in a file system in memory, named by the folder on which it is mounted. */
export function isFit(folder: string, { roomBytes, memoryBytes }: Needs): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    if (bavail * bsize < roomBytes || os.freemem() < memoryBytes) return false;
    return mayExecute(folder) && isLikeDisk(folder);
  } catch {
    return false;
  }
}

function mayExecute(folder: string): boolean {
  const mount = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .findLast(([, where]) => where === folder);
  return mount !== undefined && !(mount[3] ?? "").split(",").includes("noexec");
}

/** Linux before 6.6 cannot open what lies in memory past the page cache, as QEMU may want to. */
function isLikeDisk(folder: string): boolean {
  const probe = mkdtempSync(path.join(folder, "ct-"));
  try {
    const file = path.join(probe, "probe");
    closeSync(openSync(file, constants.O_CREAT | constants.O_WRONLY | constants.O_DIRECT));
    return true;
  } finally {
    rmSync(probe, { recursive: true });
  }
}
