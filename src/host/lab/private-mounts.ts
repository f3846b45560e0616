/** Gives a lab's namespaces their own /run, /sys and service folders, so that services in it find nothing of the machine. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { run } from "../../io.ts";
import { inNamespaces } from "./namespaces.ts";
import { inside } from "./open-vswitch-process.ts";

/** Loopback up, and no IPv6 addresses that would make interfaces talk by themselves. */
export async function prepareNetworkNamespace(pid: number): Promise<void> {
  const file = "/proc/sys/net/ipv6/conf/default/disable_ipv6"; // absent in a kernel without IPv6
  await run(inNamespaces(pid, { file: "tee", args: [file], input: "1", allowedExitCodes: [0, 1] }));
  await inside(pid, "ip", ["link", "set", "lo", "up"]);
}

/** An empty /run in memory, without the machine's sockets (D-Bus, libvirt, …), with these folders in it. */
export async function makePrivateRun(pid: number, folders: readonly string[]): Promise<void> {
  await inside(pid, "mount", ["-t", "tmpfs", "-o", "mode=0755,size=256m", "collective-run", "/run"]);
  await inside(pid, "mkdir", ["-m", "0700", ...folders.map((folder) => path.join("/run", folder))]);
}

/** The interfaces of this network namespace in /sys, and no control groups: libvirt would make groups of the machine's. */
export async function makePrivateSys(pid: number): Promise<void> {
  await inside(pid, "umount", ["--lazy", "--recursive", "/sys"]);
  await inside(pid, "mount", ["-t", "sysfs", "sysfs", "/sys"]);
}

/** Puts `directory/<name>` in the place of each path. */
export async function bindPrivate(
  pid: number,
  directory: string,
  folders: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, target] of Object.entries(folders)) {
    await mkdir(path.join(directory, name), { recursive: true });
    await inside(pid, "mount", ["--bind", path.join(directory, name), target]);
  }
}
