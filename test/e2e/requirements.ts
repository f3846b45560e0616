/** Why the end-to-end tests cannot run here, as one printed reason; undefined when they can. */
import { accessSync, constants } from "node:fs";
import path from "node:path";

const PROGRAMS = [
  "git-lfs",
  "libvirtd",
  "virsh",
  "ovs-vswitchd",
  "qemu-system-x86_64",
  "qemu-img",
  "ip",
  "mke2fs",
  "tcpdump",
];

export function missingForEndToEnd(): string | undefined {
  if (process.getuid?.() !== 0) return "labs of hypervisor hosts need root";
  const absent = PROGRAMS.filter((program) => !isInstalled(program));
  return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
}

function isInstalled(program: string): boolean {
  return [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"].some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
