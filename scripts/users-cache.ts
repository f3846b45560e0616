/** The part of the user's cache that what runs with a cache of its own still shares: what costs a download or a minute. */
import { mkdir, symlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

/** Makes `cache`, an XDG_CACHE_HOME, with Debian's packages and what was found out about QEMU on this machine. */
export async function shareUsersCache(cache: string): Promise<void> {
  const users = path.join(process.env["XDG_CACHE_HOME"] ?? path.join(os.homedir(), ".cache"), "cui");
  await mkdir(path.join(cache, "cui"), { recursive: true });
  for (const name of ["debs", "trees", "lists", "libvirt"]) {
    await mkdir(path.join(users, name), { recursive: true });
    await symlink(path.join(users, name), path.join(cache, "cui", name));
  }
  // Replaced, not followed, when it is written.
  await symlink(path.join(users, "accelerator.json"), path.join(cache, "cui/accelerator.json"));
}
