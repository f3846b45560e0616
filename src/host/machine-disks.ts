/** A machine's disks on the host: overlays that take the writes over program disks, data disks that are kept. */
import { open, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Stats } from "node:fs";
import { CollectiveError, messageOf } from "../errors.ts";
import { namesIn } from "../folder-names.ts";
import { openRegularFile } from "../regular-file.ts";
import { run, stderrOf } from "../io.ts";
import { atticFolders, devicesIn, machineFolders, type DiskFolder } from "./disk-folders.ts";
import type { DataDiskReport, DataDiskRequest, DataDiskSpec, MachineId, MachineSpec } from "./host.ts";
import {
  bootFilePath,
  dataDiskFile,
  imagePath,
  imagesFolder,
  machinePaths,
  type HostFolders,
} from "./machine-paths.ts";
import { diskFullError } from "./machine-needs.ts";
import { makePassable } from "./passable-folder.ts";
import { machineName } from "../network/paths.ts";

const QCOW2_MAGIC = 0x514649fb;

/** @throws CollectiveError HOST_IMAGE_MISSING when the image was not prepared here. */
export async function checkImageFiles(folders: HostFolders, { image, id }: MachineSpec): Promise<void> {
  const files = [
    ...image.programDisks.map(({ indexDigest }) => imagePath(folders, indexDigest)),
    ...[image.kernel, image.initrd].flatMap((file) =>
      file === undefined ? [] : [bootFilePath(folders, file.oid)],
    ),
  ];
  for (const file of files) {
    if (await exists(file)) continue;
    throw new CollectiveError(
      "HOST_IMAGE_MISSING",
      `the image of ${machineName(id.component)} is not on this host`,
      {
        data: { file, source: image.source },
        hint: "cui start and cui update fetch it first; a host's images may have been removed by hand",
      },
    );
  }
}

/** @throws CollectiveError HOST_DISK_MISSING when a data disk was not prepared here. */
export async function checkDataDisks(folders: HostFolders, { id, dataDisks }: MachineSpec): Promise<void> {
  for (const { device } of dataDisks) {
    const file = machinePaths(folders, id).dataDisk(device);
    if (!(await exists(file))) throw missingDiskError(id, device, file);
  }
}

/** Makes the overlays that are absent, all of them anew with `fresh`. */
export async function makeOverlays(folders: HostFolders, spec: MachineSpec, fresh: boolean): Promise<void> {
  const paths = machinePaths(folders, spec.id);
  await Promise.all(
    spec.image.programDisks.map(async ({ device, indexDigest }) => {
      const file = paths.overlay(device);
      if (!fresh && (await exists(file))) return;
      await createWhole(file, ["-b", imagePath(folders, indexDigest), "-F", "raw"]);
    }),
  );
}

/** Removes everything of a run: overlays and UEFI variables. */
export async function dropOverlays(folders: HostFolders, id: MachineId): Promise<void> {
  const { folder, uefiVariables } = machinePaths(folders, id);
  const names = await namesIn(folder);
  const overlays = names.filter((name) => /^overlay-.*\.qcow2$/.test(name));
  await Promise.all(
    [...overlays.map((name) => path.join(folder, name)), uefiVariables].map((file) =>
      rm(file, { force: true }),
    ),
  );
}

/**
 * Creates and grows; all disks are looked at before anything changes. `resizeRunning` grows a disk in use.
 * @throws CollectiveError HOST_DISK_MISSING for one that is absent and not new, HOST_DISK_SHRINK, HOST_DISK_FULL
 */
export async function prepareDataDisks(
  folders: HostFolders,
  id: MachineId,
  options: {
    readonly disks: readonly DataDiskRequest[];
    readonly resizeRunning: ((file: string, sizeBytes: number) => Promise<void>) | undefined;
  },
): Promise<void> {
  const paths = machinePaths(folders, id);
  const sizes = new Map<string, number | undefined>();
  for (const { device, sizeBytes, isNew = true } of options.disks) {
    const found = await virtualSize(paths.dataDisk(device));
    if (found === undefined && !isNew) throw missingDiskError(id, device, paths.dataDisk(device));
    if (found !== undefined && found > roundUp(sizeBytes))
      throw shrinkError(id, { device, sizeBytes }, found);
    sizes.set(device, found);
  }
  await makePassable(paths.folder, folders.directory);
  for (const { device, sizeBytes } of options.disks) {
    const file = paths.dataDisk(device);
    const found = sizes.get(device);
    if (found === undefined) await createWhole(file, [String(sizeBytes)]);
    else if (found < roundUp(sizeBytes) && options.resizeRunning !== undefined) {
      await options.resizeRunning(file, roundUp(sizeBytes));
    } else if (found < roundUp(sizeBytes))
      await qemuImg(["resize", "-q", "-f", "qcow2", "--", file, String(sizeBytes)]);
  }
}

/** Every data disk of a network's machines and attic, with its sizes. */
export async function listDataDisks(folders: HostFolders): Promise<readonly DataDiskReport[]> {
  const found: DataDiskReport[] = [];
  for await (const place of machineFolders(folders)) found.push(...(await reportsIn(place, false)));
  for await (const place of atticFolders(folders)) found.push(...(await reportsIn(place, true)));
  return found;
}

/** Index digests of the images that lie here whole. */
export async function listImages(folders: HostFolders): Promise<readonly string[]> {
  const names = await namesIn(imagesFolder(folders));
  return names.flatMap((name) => /^([0-9a-f]{64})\.raw$/.exec(name)?.[1] ?? []);
}

async function reportsIn({ machine, folder }: DiskFolder, inAttic: boolean): Promise<DataDiskReport[]> {
  const reports: DataDiskReport[] = [];
  for (const device of await devicesIn(folder)) {
    const report = await reportDisk(path.join(folder, dataDiskFile(device)));
    if (report !== undefined) reports.push({ id: machine, device, inAttic, ...report });
  }
  return reports;
}

/** One that is no disk is reported as such: it concerns its own machine alone. */
async function reportDisk(
  file: string,
): Promise<Pick<DataDiskReport, "sizeBytes" | "allocatedBytes" | "problem"> | undefined> {
  const found = await stat(file).catch((error: unknown) => error);
  if (found instanceof Error) {
    const isGone = (found as NodeJS.ErrnoException).code === "ENOENT";
    return isGone ? undefined : { sizeBytes: 0, allocatedBytes: 0, problem: found.message };
  }
  const allocatedBytes = (found as Stats).blocks * 512;
  try {
    const sizeBytes = await virtualSize(file);
    return sizeBytes === undefined ? undefined : { sizeBytes, allocatedBytes };
  } catch (error) {
    return { sizeBytes: 0, allocatedBytes, problem: messageOf(error) };
  }
}

/** From the header: magic, and at offset 24 the size; undefined when there is no such file. */
async function virtualSize(file: string): Promise<number | undefined> {
  let handle;
  try {
    handle = await openRegularFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    const header = Buffer.alloc(32);
    const { bytesRead } = await handle.read(header, 0, 32, 0);
    if (bytesRead === 32 && header.readUInt32BE(0) === QCOW2_MAGIC) return Number(header.readBigUInt64BE(24));
    throw new CollectiveError("HOST_DISK_DAMAGED", `${file} is not a qcow2 disk`, {
      data: { file },
      hint: "its file was changed or damaged outside Collective; restore it from a backup",
    });
  } finally {
    await handle.close();
  }
}

/** qcow2 sizes are whole sectors. */
function roundUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 512) * 512;
}

/** Under another name first: a crash leaves no half-made disk. */
async function createWhole(file: string, args: readonly string[]): Promise<void> {
  const temporary = `${file}.new`;
  await rm(temporary, { force: true });
  try {
    // Nobody but root may read it; where QEMU runs as another user, libvirt hands the file over when the machine starts.
    await (await open(temporary, "wx", 0o600)).close();
    await qemuImg(["create", "-q", "-f", "qcow2", ...optionsFirst(args, temporary)]);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** `create [-b backing -F format] -- file [size]` */
function optionsFirst(args: readonly string[], file: string): string[] {
  return args[0] === "-b" ? [...args, "--", file] : ["--", file, ...args];
}

async function qemuImg(args: readonly string[]): Promise<void> {
  try {
    await run({ file: "qemu-img", args, env: { LC_ALL: "C" } });
  } catch (error) {
    if (/no space left|disk quota/i.test(stderrOf(error))) throw diskFullError(error);
    throw error;
  }
}

export function missingDiskError(id: MachineId, device: string, file: string): CollectiveError {
  return new CollectiveError(
    "HOST_DISK_MISSING",
    `the data disk ${device} of ${machineName(id.component)} is not on this host: there is no ${file}`,
    {
      data: { file },
      hint: "is its file system not mounted, or was it moved? `cui attic list` shows whether it lies in the attic; nothing was made in its place",
    },
  );
}

function shrinkError(id: MachineId, disk: DataDiskSpec, found: number): CollectiveError {
  return new CollectiveError(
    "HOST_DISK_SHRINK",
    `the data disk ${disk.device} of ${machineName(id.component)} has ${found} bytes and cannot be made ${disk.sizeBytes}`,
    {
      data: { found, wanted: disk.sizeBytes },
      hint: "data disks only grow: set datadisks to the old size or a larger one",
    },
  );
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
