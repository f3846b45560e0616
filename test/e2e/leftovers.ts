/** What a lab may leave behind: processes, mounts, interfaces, files. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { runProgram } from "./programs.ts";

/** Interfaces of this network namespace, Open vSwitch's and libvirt's included. */
export async function interfaceNames(): Promise<string[]> {
  const { stdout } = await runProgram("ip", ["-o", "link", "show"]);
  const names = stdout.split("\n").flatMap((line) => line.split(":")[1]?.trim() ?? []);
  return [...new Set([...names, ...Object.keys(networkInterfaces())])].sort();
}

/** Everything that still knows `folder`: empty when nothing is left. */
export async function leftovers(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    for (const file of ["cmdline", "environ", "mountinfo"]) {
      const text = await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
      if (text.includes(folder)) found.push(`process ${pid}: ${file}`);
    }
  }
  if ((await readFile("/proc/self/mountinfo", "utf8")).includes(folder)) found.push("a mount");
  if (existsSync(folder)) found.push(`the folder ${folder}`);
  return found;
}

/** Waits until nothing is left, at most `timeoutMs`; resolves to what is. */
export async function awaitNoLeftovers(folder: string, timeoutMs: number): Promise<string[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await leftovers(folder);
    if (found.length === 0 || Date.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
