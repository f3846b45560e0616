/**
 * Whether a VMDK is one sparse extent with everything in one file, and whole: header, grain directory, grain tables, grains.
 * @see VMware, "Virtual Disk Format 5.0"; QEMU block/vmdk.c, VMDK4Header
 */
import { unsupported, type ImageFile } from "./image-file.ts";

const SECTOR_BYTES = 512;
const FLAG = { zeroGrains: 1 << 2, compressed: 1 << 16, markers: 1 << 17 };
/** In place of the grain directory: the header that counts is the footer. */
const AT_END = 0xffffffffffffffffn;
/** Before the end of the file: the footer, then the end-of-stream marker. */
const FOOTER_FROM_END = 1024;
const MAX_DESCRIPTOR_BYTES = 20 * SECTOR_BYTES;
/** As QEMU: larger ones are not opened. */
const MAX_TABLE_ENTRIES = 512;
const MAX_DIRECTORY_ENTRIES = 512 * 1024 * 1024;
const MARKER_BYTES = 12;

interface Extent {
  readonly diskBytes: number;
  readonly grainBytes: number;
  readonly tableEntries: number;
  readonly directoryOffset: number;
  readonly flags: number;
}

/** @throws CollectiveError DISK_IMAGE_UNSUPPORTED */
export async function checkVmdk(image: ImageFile): Promise<void> {
  const head = await image.read(0, SECTOR_BYTES, "its header");
  await checkDescriptor(image, head);
  const extent = extentOf(image, await headerThatCounts(image, head));
  const { diskBytes, grainBytes, tableEntries, directoryOffset } = extent;
  const tables = Math.ceil(diskBytes / (grainBytes * tableEntries));
  if (tables * 4 > MAX_DIRECTORY_ENTRIES) throw unsupported(image.path, "its grain directory is too large");
  const directory = await image.read(directoryOffset, tables * 4, "its grain directory");
  for (let number = 0; number < tables; number += 1) {
    const sector = directory.readUInt32LE(number * 4);
    if (sector === 0) continue;
    const table = await image.read(sector * SECTOR_BYTES, tableEntries * 4, "a grain table");
    await checkGrains(image, { extent, table, firstByte: number * grainBytes * tableEntries });
  }
}

async function checkDescriptor(image: ImageFile, head: Buffer): Promise<void> {
  const severalFiles = (): Error => unsupported(image.path, "it is a VMDK of several files");
  if (head.readBigUInt64LE(12) === 0n) throw severalFiles();
  const bytes = Number(head.readBigUInt64LE(36)) * SECTOR_BYTES;
  if (bytes === 0) return;
  const at = Number(head.readBigUInt64LE(28)) * SECTOR_BYTES;
  const length = Math.min(bytes, MAX_DESCRIPTOR_BYTES);
  const descriptor = (await image.read(at, length, "its descriptor")).toString("latin1");
  if (!/^\s*createType\s*=\s*"(monolithicSparse|streamOptimized)"/im.test(descriptor)) throw severalFiles();
  const parent = /^\s*parentCID\s*=\s*([0-9a-f]+)/im.exec(descriptor)?.[1];
  if (/^\s*parentFileNameHint/im.test(descriptor) || parent?.toLowerCase() !== "ffffffff") {
    throw unsupported(image.path, "it has a parent image");
  }
}

async function headerThatCounts(image: ImageFile, head: Buffer): Promise<Buffer> {
  if (head.readBigUInt64LE(56) !== AT_END) return head;
  const at = image.sizeBytes - FOOTER_FROM_END;
  const footer = at > 0 ? await image.read(at, SECTOR_BYTES, "its footer") : head;
  if (footer.toString("latin1", 0, 4) === "KDMV" && footer.readBigUInt64LE(56) !== AT_END) return footer;
  throw unsupported(
    image.path,
    "it ends before its data: the footer is missing",
    "a copy or a download was cut short: fetch or make the image again",
  );
}

function extentOf(image: ImageFile, header: Buffer): Extent {
  const grainSectors = Number(header.readBigUInt64LE(20));
  const tableEntries = header.readUInt32LE(44);
  if (tableEntries === 0 || tableEntries > MAX_TABLE_ENTRIES || grainSectors < 1 || grainSectors > 0x200000) {
    throw unsupported(image.path, "the sizes in its header are out of bounds");
  }
  return {
    diskBytes: Number(header.readBigUInt64LE(12)) * SECTOR_BYTES,
    grainBytes: grainSectors * SECTOR_BYTES,
    tableEntries,
    directoryOffset: Number(header.readBigUInt64LE(56)) * SECTOR_BYTES,
    flags: header.readUInt32LE(8),
  };
}

async function checkGrains(
  image: ImageFile,
  {
    extent,
    table,
    firstByte,
  }: { readonly extent: Extent; readonly table: Buffer; readonly firstByte: number },
): Promise<void> {
  const { diskBytes, grainBytes, flags } = extent;
  for (let at = 0; at < table.length; at += 4) {
    const sector = table.readUInt32LE(at);
    const length = Math.min(grainBytes, diskBytes - (firstByte + (at / 4) * grainBytes));
    if (sector === 0 || length <= 0 || (sector === 1 && (flags & FLAG.zeroGrains) !== 0)) continue;
    const offset = sector * SECTOR_BYTES;
    if ((flags & FLAG.compressed) === 0) image.requireUpTo(offset + length, "a grain");
    else if ((flags & FLAG.markers) !== 0) {
      const marker = await image.read(offset, MARKER_BYTES, "a compressed grain");
      image.requireUpTo(offset + MARKER_BYTES + marker.readUInt32LE(8), "a compressed grain");
    }
  }
}
