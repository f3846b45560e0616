/** Whether a VDI is whole: header, block map, blocks. @see QEMU block/vdi.c, VdiHeader */
import { unsupported, type ImageFile } from "./image-file.ts";

export const VDI_SIGNATURE = 0xbeda107f;
export const VDI_SIGNATURE_AT = 64;
const HEADER_BYTES = 512;
/** Blocks that were never written, or were discarded: zeros. */
const FIRST_UNALLOCATED = 0xfffffffe;
/** As QEMU: no larger block map is opened. */
const MAX_BLOCKS = 0x20000000;

/** @throws CollectiveError DISK_IMAGE_UNSUPPORTED */
export async function checkVdi(image: ImageFile): Promise<void> {
  const head = await image.read(0, HEADER_BYTES, "its header");
  const mapOffset = head.readUInt32LE(340);
  const dataOffset = head.readUInt32LE(344);
  const diskBytes = Number(head.readBigUInt64LE(368));
  const blockBytes = head.readUInt32LE(376);
  const blocks = head.readUInt32LE(384);
  if (!isNil(head.subarray(424, 440)) || !isNil(head.subarray(440, 456))) {
    throw unsupported(image.path, "it has a parent image");
  }
  if (blockBytes === 0 || blocks > MAX_BLOCKS || Math.ceil(diskBytes / blockBytes) > blocks) {
    throw unsupported(image.path, "the sizes in its header are out of bounds");
  }
  const map = await image.read(mapOffset, blocks * 4, "its block map");
  for (let number = 0; number * blockBytes < diskBytes; number += 1) {
    const block = map.readUInt32LE(number * 4);
    if (block >= FIRST_UNALLOCATED) continue;
    const length = Math.min(blockBytes, diskBytes - number * blockBytes);
    image.requireUpTo(dataOffset + block * blockBytes + length, "a block");
  }
}

function isNil(uuid: Buffer): boolean {
  return uuid.every((byte) => byte === 0);
}
