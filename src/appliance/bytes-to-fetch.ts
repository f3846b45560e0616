/** What it would cost to bring a machine's image to a host: for forecasts, from the indexes alone. */
import { bytesToFetch } from "../disk/forecast.ts";
import { readDiskIndex } from "./read-disk-index.ts";
import type { BootFile, MachineImage } from "./machine-image.ts";
import type { Mirrors } from "./mirrors.ts";

export interface FetchBytesOptions {
  readonly mirrors: Mirrors;
  readonly wanted: MachineImage;
  /** What the host has already, the running version say: its chunks are not counted. */
  readonly have: readonly MachineImage[];
}

/** Stored bytes of the chunks, and of kernel and initrd, that `wanted` has and `have` does not. */
export async function diskFetchBytes(options: FetchBytesOptions): Promise<number> {
  const { mirrors, wanted, have } = options;
  const presentDisks = new Set(
    have.flatMap(({ programDisks }) => programDisks.map((disk) => disk.indexDigest)),
  );
  const absentDisks = wanted.programDisks.filter(({ indexDigest }) => !presentDisks.has(indexDigest));
  const localIndexes =
    absentDisks.length === 0
      ? []
      : await Promise.all(
          have.flatMap((image) => image.programDisks.map((disk) => readDiskIndex(mirrors, image, disk))),
        );
  let bytes = 0;
  for (const disk of absentDisks)
    bytes += bytesToFetch(await readDiskIndex(mirrors, wanted, disk), localIndexes);
  const presentFiles = new Set(have.flatMap(bootFiles).map(({ oid }) => oid));
  for (const { oid, sizeBytes } of bootFiles(wanted)) bytes += presentFiles.has(oid) ? 0 : sizeBytes;
  return bytes;
}

/** Kernel and initrd, as far as there are any. */
export function bootFiles({ kernel, initrd }: MachineImage): BootFile[] {
  return [kernel, initrd].filter((file) => file !== undefined);
}
