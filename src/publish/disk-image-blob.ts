/** Telling a disk image from other files, by its name or by how it begins. */

/** Endings no other file has, whatever its size; a VMware disk may be a small text beside a large file. */
const IMAGE_NAME = /\.(qcow2?|qed|vmdk|vdi|vhdx?)$/i;
/** Endings that other files have as well. */
const RAW_NAME = /\.(img|raw|dd)$/i;
/** Nothing smaller is a disk, so nothing smaller is looked into. */
export const MIN_IMAGE_BYTES = 64 * 1024;

/** Whether a file in plain git is named as a disk image is. */
export function namedLikeDiskImage(path: string, sizeBytes: number): boolean {
  return IMAGE_NAME.test(path) || (RAW_NAME.test(path) && sizeBytes >= MIN_IMAGE_BYTES);
}

const BEGINNINGS = ["QFI\u00fb", "QED\0", "KDMV", "COWD", "conectix", "vhdxfile", "LUKS\u00ba\u00be"];
const VDI_SIGNATURE = 0xbeda107f;
/** A disk that is not in a format of its own is a multiple of this. */
const SECTOR_BYTES = 512;

/** Whether content of 64 KiB or more is a disk: in a virtual machine's format, partitioned, or a bare file system. */
export function looksLikeDiskImage(content: Buffer): boolean {
  const beginning = content.toString("latin1", 0, 16);
  if (BEGINNINGS.some((magic) => beginning.startsWith(magic))) return true;
  if (content.readUInt32LE(64) === VDI_SIGNATURE) return true;
  return content.length % SECTOR_BYTES === 0 && (isPartitioned(content) || isFileSystem(content));
}

/** A boot record's signature with at least one entry of a partition table that has a size and a sane flag, or a GPT. */
function isPartitioned(content: Buffer): boolean {
  if (content.toString("latin1", 512, 520) === "EFI PART") return true;
  if (content.readUInt16LE(510) !== 0xaa55) return false;
  return [446, 462, 478, 494].some((at) => {
    const flag = content.readUInt8(at);
    return (
      (flag === 0 || flag === 0x80) && content.readUInt8(at + 4) !== 0 && content.readUInt32LE(at + 12) > 0
    );
  });
}

/** ext2 to ext4, XFS, Btrfs, FAT. */
function isFileSystem(content: Buffer): boolean {
  return (
    (content.readUInt16LE(1024 + 56) === 0xef53 && content.readUInt32LE(1024 + 4) > 0) ||
    content.toString("latin1", 0, 4) === "XFSB" ||
    content.toString("latin1", 0x10040, 0x10048) === "_BHRfS_M" ||
    (content.readUInt16LE(510) === 0xaa55 && /^FAT/.test(content.toString("latin1", 54, 57))) ||
    (content.readUInt16LE(510) === 0xaa55 && content.toString("latin1", 82, 87) === "FAT32")
  );
}
