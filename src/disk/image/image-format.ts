/**
 * Which format a disk image has, told from its content and not by QEMU, and whether it is whole and stands alone: an image can name
 * other files, or network addresses, that QEMU would open, and QEMU reads what a cut image lacks as zeros. Only what has neither
 * fault is let through.
 */
import path from "node:path";
import { checkQcow2 } from "./check-qcow2.ts";
import { checkVdi, VDI_SIGNATURE, VDI_SIGNATURE_AT } from "./check-vdi.ts";
import { checkVhd, isVhdFooter, VHD_FOOTER_BYTES, vhdFooterOf, VHD_MAGIC } from "./check-vhd.ts";
import { checkVhdx } from "./check-vhdx.ts";
import { checkVmdk } from "./check-vmdk.ts";
import { foreignContent, PROBE_BYTES } from "./foreign-content.ts";
import { unsupported, withImageFile, type ImageFile } from "./image-file.ts";

/** QEMU's names. */
export type ImageFormat = "raw" | "qcow2" | "vmdk" | "vdi" | "vpc" | "vhdx";

export interface ProbedImage {
  readonly format: ImageFormat;
  /** Of a raw disk, which is as long as its file but for what another format puts behind it; undefined for all others. */
  readonly sizeBytes: number | undefined;
}

/** What the ending of a name promises; others promise nothing. */
const CLAIMS: Readonly<Record<string, ImageFormat>> = {
  ".qcow2": "qcow2",
  ".qcow": "qcow2",
  ".vmdk": "vmdk",
  ".vdi": "vdi",
  ".vhd": "vpc",
  ".vhdx": "vhdx",
};

const FORMAT_NAME: Readonly<Record<ImageFormat, string>> = {
  raw: "no image of any format that is read",
  qcow2: "qcow2",
  vmdk: "VMDK",
  vdi: "VDI",
  vpc: "VHD",
  vhdx: "VHDX",
};

/**
 * The format of the image in `file`; what begins like no known format is raw, unless it is something else or its name claims a format.
 * @throws CollectiveError DISK_IMAGE_MISSING, DISK_IMAGE_UNSUPPORTED when it is cut short, is no disk, is not what its name says, has
 *   a backing file, an external data file, is encrypted or in a format that is not read
 */
export async function probeImageFormat(file: string): Promise<ProbedImage> {
  return withImageFile(file, async (image) => {
    const head = await image.read(0, Math.min(PROBE_BYTES, image.sizeBytes), "its beginning");
    const foreign = foreignContent(head, image.sizeBytes);
    if (foreign !== undefined) throw unsupported(file, foreign.what, foreign.hint);
    const found = await recognize(image, head);
    checkClaim(file, found.isFixedVhd ? "vpc" : found.format);
    return { format: found.format, sizeBytes: found.sizeBytes };
  });
}

async function recognize(
  image: ImageFile,
  head: Buffer,
): Promise<ProbedImage & { readonly isFixedVhd?: boolean }> {
  const check = findCheck(head);
  if (check !== undefined) {
    await check.run(image);
    return { format: check.format, sizeBytes: undefined };
  }
  const { sizeBytes } = image;
  const tailBytes = Math.min(sizeBytes, VHD_FOOTER_BYTES);
  const tail = await image.read(sizeBytes - tailBytes, tailBytes, "its end");
  if (tail.toString("latin1", 0, 4) === "koly") {
    throw unsupported(image.path, "it is in the format UDIF (DMG), which is not read");
  }
  if (!isVhdFooter(tail)) return { format: "raw", sizeBytes };
  return { format: "raw", sizeBytes: vhdFooterOf(image, tail).diskBytes, isFixedVhd: true };
}

interface StructureCheck {
  readonly format: ImageFormat;
  readonly run: (image: ImageFile) => Promise<void>;
}

function findCheck(head: Buffer): StructureCheck | undefined {
  const beginning = head.toString("latin1", 0, 8);
  if (beginning.startsWith("QFI\u00fb")) return { format: "qcow2", run: checkQcow2 };
  if (beginning.startsWith("KDMV")) return { format: "vmdk", run: checkVmdk };
  if (beginning === VHD_MAGIC) return { format: "vpc", run: checkVhd };
  if (beginning === "vhdxfile") return { format: "vhdx", run: checkVhdx };
  const isVdi = head.length >= VDI_SIGNATURE_AT + 4 && head.readUInt32LE(VDI_SIGNATURE_AT) === VDI_SIGNATURE;
  return isVdi ? { format: "vdi", run: checkVdi } : undefined;
}

/** A page that says "not found" under the name of an image must not become a disk; nor an image of another kind, which says that a name is wrong. */
function checkClaim(file: string, format: ImageFormat): void {
  const ending = path.extname(file).toLowerCase();
  const claim = CLAIMS[ending];
  if (claim === undefined || claim === format) return;
  throw unsupported(
    file,
    `its name says ${FORMAT_NAME[claim]}, its content is ${FORMAT_NAME[format]}`,
    format === "raw"
      ? "fetch or make the image again; a raw disk is named .raw or .img"
      : "give the image the ending of its format, here and in the VM description",
  );
}
