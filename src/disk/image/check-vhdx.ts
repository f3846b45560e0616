/**
 * Whether a VHDX stands alone and is whole: the regions its region table names, and the blocks of its block allocation table.
 * @see Microsoft, [MS-VHDX]
 */
import { unsupported, type ImageFile } from "./image-file.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const REGION_TABLES_AT = [192 * KIB, 256 * KIB];
const TABLE_BYTES = 64 * KIB;
const MAX_REGIONS = 2047;
const MAX_METADATA = 2047;
const MAX_TABLE_BYTES = 512 * MIB;
/** GUIDs as they lie in the file. */
const BAT = "6677c22d23f600429d64115e9bfd4a08";
const METADATA = "06a27c8b90479a4bb8fe575f050f886e";
const FILE_PARAMETERS = "3767a1ca36fa434db3b633f0aa44e76b";
const VIRTUAL_DISK_SIZE = "2442a52f1bcd7648b2115dbed83bf4b8";
const LOGICAL_SECTOR_SIZE = "1dbf41816fa90947ba47f233a8faab5f";
/** Fully and partially present. */
const PRESENT = new Set([6, 7]);

/** @throws CollectiveError DISK_IMAGE_UNSUPPORTED */
export async function checkVhdx(image: ImageFile): Promise<void> {
  const regions = await readRegions(image);
  for (const { offset, length } of regions.values()) image.requireUpTo(offset + length, "one of its regions");
  const table = regions.get(BAT);
  const metadata = regions.get(METADATA);
  if (table === undefined || metadata === undefined || table.length > MAX_TABLE_BYTES) {
    throw unsupported(image.path, "its region table lacks the block allocation table or the metadata");
  }
  const { blockBytes, diskBytes, blocksPerBitmap } = await readMetadata(image, metadata.offset);
  const blocks = Math.ceil(diskBytes / blockBytes);
  const entries = await image.read(table.offset, table.length, "its block allocation table");
  for (let number = 0; number < blocks; number += 1) {
    // Behind the entries of so many blocks stands one for their sector bitmap.
    const at = (number + Math.floor(number / blocksPerBitmap)) * 8;
    if (at + 8 > entries.length) throw unsupported(image.path, "its block allocation table is too small");
    const entry = entries.readBigUInt64LE(at);
    if (!PRESENT.has(Number(entry & 7n))) continue;
    const length = Math.min(blockBytes, diskBytes - number * blockBytes);
    image.requireUpTo(Number(entry >> 20n) * MIB + length, "a block");
  }
}

interface Region {
  readonly offset: number;
  readonly length: number;
}

/** By GUID. There are two copies of the table; the first that is one counts. */
async function readRegions(image: ImageFile): Promise<ReadonlyMap<string, Region>> {
  for (const at of REGION_TABLES_AT) {
    const table = await image.read(at, TABLE_BYTES, "its region table");
    if (table.toString("latin1", 0, 4) !== "regi") continue;
    const count = Math.min(table.readUInt32LE(8), MAX_REGIONS);
    return new Map(
      Array.from({ length: count }, (_, number) => {
        const entry = table.subarray(16 + number * 32, 48 + number * 32);
        const region = { offset: Number(entry.readBigUInt64LE(16)), length: entry.readUInt32LE(24) };
        return [entry.toString("hex", 0, 16), region];
      }),
    );
  }
  throw unsupported(image.path, "it has no region table");
}

interface Metadata {
  readonly diskBytes: number;
  readonly blockBytes: number;
  readonly blocksPerBitmap: number;
}

async function readMetadata(image: ImageFile, region: number): Promise<Metadata> {
  const table = await image.read(region, TABLE_BYTES, "its metadata");
  const count = Math.min(table.readUInt16LE(10), MAX_METADATA);
  const item = async (guid: string, length: number): Promise<Buffer> => {
    for (let number = 0; number < count; number += 1) {
      const entry = table.subarray(32 + number * 32, 64 + number * 32);
      if (entry.toString("hex", 0, 16) !== guid) continue;
      return image.read(region + entry.readUInt32LE(16), length, "its metadata");
    }
    throw unsupported(image.path, "its metadata is not whole");
  };
  const parameters = await item(FILE_PARAMETERS, 8);
  if ((parameters.readUInt32LE(4) & 2) !== 0) throw unsupported(image.path, "it has a parent image");
  const blockBytes = parameters.readUInt32LE(0);
  const diskBytes = Number((await item(VIRTUAL_DISK_SIZE, 8)).readBigUInt64LE(0));
  const sectorBytes = (await item(LOGICAL_SECTOR_SIZE, 4)).readUInt32LE(0);
  if (blockBytes < MIB || blockBytes > 256 * MIB || (sectorBytes !== 512 && sectorBytes !== 4096)) {
    throw unsupported(image.path, "the sizes in its metadata are out of bounds");
  }
  return { diskBytes, blockBytes, blocksPerBitmap: (2 ** 23 * sectorBytes) / blockBytes };
}
