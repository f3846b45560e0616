/**
 * Whether a VHD stands alone and is whole: a dynamic one has a copy of its footer first, then a header, a block allocation table and
 * blocks; a fixed one is a raw disk with the footer behind it.
 * @see Microsoft, "Virtual Hard Disk Image Format Specification"
 */
import { unsupported, type ImageFile } from "./image-file.ts";

export const VHD_MAGIC = "conectix";
export const VHD_FOOTER_BYTES = 512;
const CHECKSUM_AT = 64;
const TYPE = { fixed: 2, dynamic: 3, differencing: 4 };
const UNALLOCATED = 0xffffffff;
const SECTOR_BYTES = 512;
const MAX_TABLE_ENTRIES = 0x1000000;

/** Whether the last bytes of a file are a footer: the sum must be right, so that a disk is not cut for what it happens to hold. */
export function isVhdFooter(footer: Buffer): boolean {
  if (footer.length < VHD_FOOTER_BYTES || footer.toString("latin1", 0, 8) !== VHD_MAGIC) return false;
  let sum = 0;
  for (const [at, byte] of footer.entries()) if (at < CHECKSUM_AT || at >= CHECKSUM_AT + 4) sum += byte;
  return ~sum >>> 0 === footer.readUInt32BE(CHECKSUM_AT);
}

/** The disk before the footer of a fixed VHD. @throws CollectiveError DISK_IMAGE_UNSUPPORTED */
export function vhdFooterOf(image: ImageFile, footer: Buffer): { readonly diskBytes: number } {
  const type = footer.readUInt32BE(60);
  const diskBytes = Number(footer.readBigUInt64BE(48));
  if (type !== TYPE.fixed) {
    throw unsupported(image.path, "it has the footer of a dynamic VHD, but not its beginning");
  }
  image.requireUpTo(diskBytes + VHD_FOOTER_BYTES, "its disk");
  return { diskBytes };
}

/** A VHD that begins with a copy of its footer. @throws CollectiveError DISK_IMAGE_UNSUPPORTED */
export async function checkVhd(image: ImageFile): Promise<void> {
  const footer = await image.read(0, VHD_FOOTER_BYTES, "its header");
  const type = footer.readUInt32BE(60);
  if (type === TYPE.differencing) throw unsupported(image.path, "it has a parent image");
  if (type !== TYPE.dynamic) throw unsupported(image.path, `it is a VHD of type ${type}`);
  const diskBytes = Number(footer.readBigUInt64BE(48));
  const header = await image.read(Number(footer.readBigUInt64BE(16)), 1024, "its dynamic disk header");
  const blockBytes = header.readUInt32BE(32);
  const blocks = blockBytes === 0 ? 0 : Math.ceil(diskBytes / blockBytes);
  if (blocks > header.readUInt32BE(28) || blocks > MAX_TABLE_ENTRIES || blockBytes === 0) {
    throw unsupported(image.path, "the sizes in its header are out of bounds");
  }
  const table = await image.read(
    Number(header.readBigUInt64BE(16)),
    blocks * 4,
    "its block allocation table",
  );
  const bitmapBytes = Math.ceil(blockBytes / SECTOR_BYTES / 8 / SECTOR_BYTES) * SECTOR_BYTES;
  for (let number = 0; number < blocks; number += 1) {
    const sector = table.readUInt32BE(number * 4);
    if (sector === UNALLOCATED) continue;
    const length = Math.min(blockBytes, diskBytes - number * blockBytes);
    image.requireUpTo(sector * SECTOR_BYTES + bitmapBytes + length, "a block");
  }
}
