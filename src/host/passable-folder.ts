/** Folders that QEMU, which may run as another user, walks through: it may pass them, not list them. */
import { chmod, mkdir, stat } from "node:fs/promises";
import path from "node:path";

const PASSABLE = 0o711;

/**
 * Makes `folder` where it is absent. Every folder from `top` down to it, which are the host manager's own, and every folder that had to
 * be made above `top`, can be passed afterwards, whatever the umask is and was.
 */
export async function makePassable(folder: string, top: string = folder): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: PASSABLE });
  const first = made !== undefined && made.length < top.length ? made : top;
  for (let at = folder; at.length >= first.length && at !== path.dirname(at); at = path.dirname(at)) {
    const { mode } = await stat(at);
    if ((mode & PASSABLE) !== PASSABLE) await chmod(at, (mode & 0o7777) | PASSABLE);
  }
}
