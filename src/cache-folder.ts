/** Where a user's caches are: mirrors, images that were found out about, compiled code. */
import { homedir } from "node:os";
import path from "node:path";

/** `$XDG_CACHE_HOME/cui`, by default `~/.cache/cui`. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>>): string {
  const base = env["XDG_CACHE_HOME"] ?? "";
  return path.join(path.isAbsolute(base) ? base : path.join(homedir(), ".cache"), "cui");
}
