/**
 * Which format a disk image has, told from its first bytes and not by QEMU, and whether it stands alone: an image can name other
 * files, or network addresses, that QEMU would open. Only what cannot is let through.
 */
import { open, stat } from "node:fs/promises";
import { CollectiveError, messageOf } from "../errors.ts";

/** QEMU's names. */
export type ImageFormat = "raw" | "qcow2" | "vmdk" | "vdi" | "vpc" | "vhdx";

const PROBE_BYTES = 4096;
const VDI_SIGNATURE = 0xbeda107f;

/** Formats that are neither raw nor supported, by how they begin. */
const REFUSED: readonly (readonly [name: string, magic: string])[] = [
  ["VMDK with a separate descriptor", "# Disk DescriptorFile"],
  ["VMDK version 3", "COWD"],
  ["QED", "QED\0"],
  ["Parallels", "WithoutFreeSpace"],
  ["Parallels", "WithouFreSpacExt"],
  ["Bochs", "Bochs Virtual HD Image"],
  ["LUKS", "LUKS\u00ba\u00be"],
  ["cloop", "#!/bin/sh\n#V2.0 Format\n"],
  ["a Git LFS pointer", "version https://git-lfs.github.com/spec/"],
];

/**
 * The format of the image in `file`; what no known format begins like is raw.
 * @throws CollectiveError DISK_IMAGE_MISSING, DISK_IMAGE_UNSUPPORTED when it has a backing file, an external data file, is
 *   encrypted or in a format that is not read
 */
export async function probeImageFormat(file: string): Promise<ImageFormat> {
  const head = await readHead(file);
  const text = head.toString("latin1");
  const refused = REFUSED.find(([, magic]) => text.startsWith(magic));
  if (refused !== undefined) throw unsupported(file, `it is in the format ${refused[0]}, which is not read`);
  if (text.startsWith("QFI\u00fb")) return checkQcow2(file, head);
  if (text.startsWith("KDMV")) return checkVmdk(file, head);
  if (text.startsWith("conectix")) return "vpc";
  if (text.startsWith("vhdxfile")) return "vhdx";
  if (head.length >= 68 && head.readUInt32LE(64) === VDI_SIGNATURE) return "vdi";
  return "raw";
}

/** An image that must not, or cannot, be read. */
export function unsupported(file: string, reason: string): CollectiveError {
  return new CollectiveError("DISK_IMAGE_UNSUPPORTED", `the disk image ${file} cannot be used: ${reason}`, {
    data: { file },
    hint: "make an image that stands alone: qemu-img convert -O qcow2 <image> <new image>",
  });
}

/** An image that is not there, or that the user may not read. */
export function missingImage(file: string, cause: unknown): CollectiveError {
  const reason = messageOf(cause);
  return new CollectiveError("DISK_IMAGE_MISSING", `cannot read the disk image ${file}: ${reason}`, {
    data: { file },
    hint: "the VM description names it under disks, source",
    cause,
  });
}

async function readHead(file: string): Promise<Buffer> {
  try {
    // Opening a pipe would wait for somebody to write into it.
    if (!(await stat(file)).isFile()) throw unsupported(file, "it is no regular file");
    const handle = await open(file, "r");
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof CollectiveError) throw error;
    throw missingImage(file, error);
  }
}

/** @see QEMU docs/interop/qcow2.txt, "Header" */
function checkQcow2(file: string, head: Buffer): ImageFormat {
  const version = head.length >= 72 ? head.readUInt32BE(4) : 0;
  if (version < 2 || version > 3) throw unsupported(file, `it is qcow2 version ${version}`);
  if (head.readBigUInt64BE(8) !== 0n) throw unsupported(file, "it has a backing file");
  if (head.readUInt32BE(32) !== 0) throw unsupported(file, "it is encrypted");
  const features = version === 3 && head.length >= 80 ? head.readBigUInt64BE(72) : 0n;
  if ((features & 4n) !== 0n) throw unsupported(file, "its data is in another file");
  return "qcow2";
}

const VMDK_CAPACITY_AT = 12;
const VMDK_DESCRIPTOR_AT = 28;
const VMDK_DESCRIPTOR_SECTORS_AT = 36;
const SECTOR_BYTES = 512;

/** A sparse extent with everything in one file. @see QEMU block/vmdk.c, VMDK4Header */
function checkVmdk(file: string, head: Buffer): ImageFormat {
  if (head.length < SECTOR_BYTES || head.readBigUInt64LE(VMDK_CAPACITY_AT) === 0n) {
    throw unsupported(file, "it is a VMDK of several files");
  }
  const at = head.readBigUInt64LE(VMDK_DESCRIPTOR_AT) * BigInt(SECTOR_BYTES);
  const sectors = head.readBigUInt64LE(VMDK_DESCRIPTOR_SECTORS_AT);
  if (sectors === 0n) return "vmdk";
  const descriptor = at < BigInt(head.length) ? head.toString("latin1", Number(at)) : "";
  if (!/^createType="(monolithicSparse|streamOptimized)"/m.test(descriptor)) {
    throw unsupported(file, "it is a VMDK of several files");
  }
  if (/^\s*parentFileNameHint/m.test(descriptor) || !/^parentCID=ffffffff\s*$/im.test(descriptor)) {
    throw unsupported(file, "it has a parent image");
  }
  return "vmdk";
}
