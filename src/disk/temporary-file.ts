/** Names for files that are not whole yet, and what becomes of those a killed process left behind. */
import { randomUUID } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";

/** The process that writes it is part of the name. */
const NAME = /^\.cui-(\d{1,10})-[0-9a-f-]{36}\.tmp$/;

/** A live process keeps writing; the margin is for one that cannot be seen from here (a container). */
const STALE_AFTER_MS = 60_000;

/** A name in `folder` nobody has, on the same file system as what it is to become. Removes what dead processes left there. */
export async function temporaryFile(folder: string): Promise<string> {
  await removeStale(folder);
  return path.join(folder, `.cui-${process.pid}-${randomUUID()}.tmp`);
}

async function removeStale(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const pid = Number(NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const file = path.join(folder, name);
    const changedAt = (await stat(file).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - changedAt > STALE_AFTER_MS) await rm(file, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}
