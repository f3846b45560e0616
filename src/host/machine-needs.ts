/**
 * What the start of a machine needs of its host beside libvirt and Open vSwitch: programs, firmware, room on the disk. Looked at before
 * anything is stopped: by a plan, which asks each host what it lacks, and by the host itself when it prepares an image.
 */
import { access, constants, statfs } from "node:fs/promises";
import type { VmDescription } from "../appliance/machine-image.ts";
import { CollectiveError } from "../errors.ts";
import { hasProgram } from "../io.ts";
import type { DiskSpace } from "./host.ts";
import { existingFolder, type HostFolders } from "./machine-paths.ts";

/** Debian's package ovmf. */
export const UEFI_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd";
export const UEFI_VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/** Below this a guest's first writes would fail. */
export const MIN_FREE_BYTES = 64 * 1024 * 1024;

interface Part {
  /** As hosts and messages call it. */
  readonly name: string;
  /** Debian's. */
  readonly packageName: string;
  readonly isThere: () => Promise<boolean>;
  readonly isNeeded: (description: VmDescription) => boolean;
  /** Why a machine needs it. */
  readonly use: string;
}

const PARTS: readonly Part[] = [
  {
    name: "qemu-img",
    packageName: "qemu-utils",
    isThere: () => hasProgram("qemu-img"),
    isNeeded: () => true,
    use: "makes its disks",
  },
  ...(["x86_64", "aarch64"] as const).map((arch) => ({
    name: `qemu-system-${arch}`,
    packageName: arch === "x86_64" ? "qemu-system-x86" : "qemu-system-arm",
    isThere: () => isExecutable(emulatorOf(arch)),
    isNeeded: (description: VmDescription) => description.arch === arch,
    use: "runs it",
  })),
  {
    name: "genisoimage",
    packageName: "genisoimage",
    isThere: () => hasProgram("genisoimage"),
    isNeeded: ({ parameters }) => parameters === "cloud-init",
    use: "makes the seed that its cloud-init reads",
  },
  {
    name: "UEFI firmware",
    packageName: "ovmf",
    isThere: hasUefiFirmware,
    isNeeded: ({ firmware }) => firmware === "uefi",
    use: "it starts with",
  },
];

/** Of QEMU for an architecture, as domains name it. */
export function emulatorOf(arch: string): string {
  return `/usr/bin/qemu-system-${arch}`;
}

export async function hasUefiFirmware(): Promise<boolean> {
  const found = await Promise.all([UEFI_CODE, UEFI_VARIABLES].map((file) => isAllowed(file, constants.R_OK)));
  return found.every(Boolean);
}

/** Names of what is not here, whether any machine needs it or not. Starts no program. */
export async function lackingParts(): Promise<readonly string[]> {
  const found = await Promise.all(PARTS.map(async (part) => ((await part.isThere()) ? [] : [part.name])));
  return found.flat();
}

/** Names of what a machine needs. */
export function neededParts(description: VmDescription): readonly string[] {
  return PARTS.filter((part) => part.isNeeded(description)).map(({ name }) => name);
}

/** `genisoimage (package genisoimage), which makes …`. */
export function describeParts(names: readonly string[]): string {
  return PARTS.filter(({ name }) => names.includes(name))
    .map(({ name, packageName, use }) => `${name} (package ${packageName}), which ${use}`)
    .join(", and no ");
}

/** @throws CollectiveError HOST_FIRMWARE_MISSING, HOST_PROGRAM_MISSING */
export async function requireParts(description: VmDescription): Promise<void> {
  for (const part of PARTS) {
    if (!part.isNeeded(description) || (await part.isThere())) continue;
    const hint = `install the package ${part.packageName}; \`cui host check\` shows what else is missing`;
    if (part.name === "UEFI firmware")
      throw new CollectiveError("HOST_FIRMWARE_MISSING", "this host has no UEFI firmware", { hint });
    throw new CollectiveError("HOST_PROGRAM_MISSING", `this host has no ${part.name}, which ${part.use}`, {
      data: { program: part.name },
      hint,
    });
  }
}

/** Of the file system with the machines' disks. */
export async function diskSpace({ directory }: Pick<HostFolders, "directory">): Promise<DiskSpace> {
  const { bsize, blocks, bavail } = await statfs(await existingFolder(directory));
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
}

/** @throws CollectiveError HOST_DISK_FULL */
export async function requireDiskSpace(folders: Pick<HostFolders, "directory">): Promise<void> {
  const { freeBytes } = await diskSpace(folders);
  if (freeBytes < MIN_FREE_BYTES) throw diskFullError(undefined, freeBytes);
}

export function diskFullError(cause: unknown, freeBytes?: number): CollectiveError {
  const free = freeBytes === undefined ? "" : `: ${Math.floor(freeBytes / 2 ** 20)} MiB are free`;
  return new CollectiveError("HOST_DISK_FULL", `the host's disk is full${free}`, {
    cause,
    ...(freeBytes === undefined ? {} : { data: { freeBytes } }),
    hint: "`cui attic list` and `cui attic purge`, or remove what else fills the host's /var/lib/collective",
  });
}

function isExecutable(file: string): Promise<boolean> {
  return isAllowed(file, constants.X_OK);
}

function isAllowed(file: string, mode: number): Promise<boolean> {
  return access(file, mode).then(
    () => true,
    () => false,
  );
}
