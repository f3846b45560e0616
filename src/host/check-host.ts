/** What a production host lacks: each thing a host manager uses, looked at by using it. */
import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { CollectiveError } from "../errors.ts";
import { run } from "../io.ts";
import { findAccelerator, type Accelerator } from "./accelerator.ts";
import { diskSpace, hasUefiFirmware, MIN_FREE_BYTES, UEFI_CODE } from "./machine-needs.ts";
import { openLibvirt } from "./libvirt.ts";
import { describeBridge } from "./open-vswitch.ts";
import { checkInMemory } from "./secret-files.ts";
import { canConnect } from "./unix-socket.ts";
import type { HostFolders } from "./machine-paths.ts";
import { checkFolders } from "./check-folders.ts";
import type { HostCheck } from "./host-check.ts";

export interface CheckHostOptions {
  readonly libvirtUri: string;
  readonly bridge: string;
  readonly socket: string;
  readonly secretsDirectory: string;
  /** Default `/var/lib/collective`. */
  readonly directory?: string;
  /** Default `/run/collective`. */
  readonly runDirectory?: string;
  readonly acceleratorCache: string;
}

const DEFAULT_FOLDERS = { directory: "/var/lib/collective", runDirectory: "/run/collective" };

/** Changes nothing on the host. */
export async function checkHost(options: CheckHostOptions): Promise<readonly HostCheck[]> {
  return Promise.all([
    checkProgram({ program: "qemu-system-x86_64", args: ["--version"], packageName: "qemu-system-x86" }),
    checkProgram({ program: "qemu-img", args: ["--version"], packageName: "qemu-utils" }),
    checkProgram({ program: "virsh", args: ["--version"], packageName: "libvirt-clients" }),
    checkProgram({ program: "ovs-vsctl", args: ["--version"], packageName: "openvswitch-switch" }),
    checkSeedProgram(),
    checkFirmware(),
    checkLibvirt(options.libvirtUri),
    checkBridge(options.bridge),
    checkAccelerator(options.acceleratorCache),
    checkMemory(),
    checkDisk({ ...DEFAULT_FOLDERS, ...options }),
    checkSecrets(options.secretsDirectory),
    checkFolders(options.libvirtUri, { ...DEFAULT_FOLDERS, ...options }),
    checkSocket(options.socket),
  ]);
}

async function checkProgram(what: {
  readonly program: string;
  readonly args: readonly string[];
  readonly packageName: string;
}): Promise<HostCheck> {
  const name = what.program;
  try {
    const output = await run({ file: what.program, args: what.args, timeoutMs: 60_000 });
    return { name, result: "ok", detail: output.split("\n")[0] ?? "" };
  } catch (error) {
    return missing(name, error, `install the package ${what.packageName}`);
  }
}

async function checkSeedProgram(): Promise<HostCheck> {
  const check = await checkProgram({
    program: "genisoimage",
    args: ["--version"],
    packageName: "genisoimage",
  });
  return check.result === "ok"
    ? check
    : { ...check, result: "note", detail: `${check.detail}; only appliances that use cloud-init need it` };
}

async function checkFirmware(): Promise<HostCheck> {
  return (await hasUefiFirmware())
    ? { name: "UEFI firmware", result: "ok", detail: UEFI_CODE }
    : {
        name: "UEFI firmware",
        result: "note",
        detail: "missing; only appliances with firmware: uefi need it",
        hint: "install the package ovmf",
      };
}

async function checkLibvirt(uri: string): Promise<HostCheck> {
  try {
    return { name: "libvirt", result: "ok", detail: `${await openLibvirt(uri).version()} at ${uri}` };
  } catch (error) {
    return missing("libvirt", error, "install the package libvirt-daemon-system and start libvirtd");
  }
}

async function checkBridge(bridge: string): Promise<HostCheck> {
  try {
    const { userspace } = await describeBridge({ bridge });
    return {
      name: "bridge",
      result: "ok",
      detail: `${bridge}, ${userspace ? "userspace (slow)" : "kernel"} datapath`,
    };
  } catch (error) {
    return missing("bridge", error, "install the package openvswitch-switch");
  }
}

async function checkAccelerator(cacheFile: string): Promise<HostCheck> {
  const accelerator: Accelerator = await findAccelerator(cacheFile).catch(() => "tcg" as const);
  return accelerator === "kvm"
    ? { name: "KVM", result: "ok", detail: "a probe booted under it" }
    : {
        name: "KVM",
        result: "note",
        detail: "no probe boots under it: machines run about ten times slower",
        hint: "switch virtualisation on in the firmware, or nested virtualisation below",
      };
}

async function checkMemory(): Promise<HostCheck> {
  const text = await readFile("/proc/meminfo", "utf8");
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024;
  const detail = `${Math.round(totalmem() / 2 ** 20)} MiB, ${Math.round(available)} MiB of it available`;
  return { name: "memory", result: "ok", detail };
}

async function checkDisk(folders: Pick<HostFolders, "directory">): Promise<HostCheck> {
  const { totalBytes, freeBytes } = await diskSpace(folders);
  const [total, free] = [totalBytes, freeBytes].map((bytes) => `${Math.floor(bytes / 2 ** 20)} MiB`);
  const detail = `${total ?? ""}, ${free ?? ""} of it free for ${folders.directory}`;
  return freeBytes >= MIN_FREE_BYTES
    ? { name: "disk", result: "ok", detail }
    : { name: "disk", result: "missing", detail, hint: "make room: no machine starts without it" };
}

async function checkSecrets(directory: string): Promise<HostCheck> {
  try {
    await checkInMemory(directory);
    return { name: "memory-backed folder", result: "ok", detail: directory };
  } catch (error) {
    return missing("memory-backed folder", error, "mount a tmpfs");
  }
}

async function checkSocket(socket: string): Promise<HostCheck> {
  return (await canConnect(socket))
    ? { name: "host manager", result: "ok", detail: `listens on ${socket}` }
    : {
        name: "host manager",
        result: "missing",
        detail: `nothing listens on ${socket}`,
        hint: "run: cui host serve",
      };
}

function missing(name: string, error: unknown, hint: string): HostCheck {
  if (!(error instanceof CollectiveError)) throw error;
  return {
    name,
    result: "missing",
    detail: error.message,
    hint: error.code.startsWith("HOST_") ? (error.hint ?? hint) : hint,
  };
}
