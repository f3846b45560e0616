/** `npm test` may end while the tests run: killed, npm does not tell them. */
import { readFileSync } from "node:fs";

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
