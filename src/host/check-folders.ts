/** Whether QEMU's user can walk to what a host manager gives it: disks, sockets, parameters. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { openLibvirt, type QemuUser } from "./libvirt.ts";
import { imagesFolder, type HostFolders } from "./machine-paths.ts";
import type { HostCheck } from "./host-check.ts";

const NAME = "folders";
const MOST_NAMED = 5;

/** Looks at what is there already; what is absent is made so that it can be passed. */
export async function checkFolders(libvirtUri: string, folders: HostFolders): Promise<HostCheck> {
  const user = await openLibvirt(libvirtUri)
    .qemuUser()
    .catch(() => undefined);
  if (user === undefined) {
    return { name: NAME, result: "note", detail: "not looked at: libvirt does not say as whom QEMU runs" };
  }
  if (user.uid === 0) return { name: NAME, result: "ok", detail: "QEMU runs as root" };
  const blocked: string[] = [];
  for (const folder of await neededFolders(folders)) {
    if (!(await canPass(user, folder))) blocked.push(folder);
  }
  const who = `QEMU's user (uid ${user.uid}, gid ${user.gid})`;
  if (blocked.length === 0) return { name: NAME, result: "ok", detail: `${who} can pass them` };
  const more = blocked.length > MOST_NAMED ? ` and ${blocked.length - MOST_NAMED} more` : "";
  const named = blocked.slice(0, MOST_NAMED);
  return {
    name: NAME,
    result: "missing",
    detail: `${who} cannot enter ${named.join(", ")}${more}`,
    hint: `chmod o+x ${named.join(" ")}`,
  };
}

/** Each with the folders above it, sorted from the top. */
async function neededFolders(folders: HostFolders): Promise<readonly string[]> {
  const networks = path.join(folders.directory, "networks");
  const machines = (await inside(networks)).map((network) => path.join(network, "machines"));
  const ends = [
    ...[imagesFolder(folders), networks, folders.runDirectory, folders.secretsDirectory],
    ...machines,
    ...(await Promise.all([...machines, folders.runDirectory, folders.secretsDirectory].map(inside))).flat(),
  ];
  const needed = new Set<string>();
  for (const end of ends) {
    for (let at = path.resolve(end); at !== path.dirname(at); at = path.dirname(at)) needed.add(at);
  }
  return [...needed].sort();
}

async function inside(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
}

async function canPass({ uid, gid }: QemuUser, folder: string): Promise<boolean> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) return true;
  if (found.uid === uid) return (found.mode & 0o100) !== 0;
  return (found.mode & (found.gid === gid ? 0o010 : 0o001)) !== 0;
}
