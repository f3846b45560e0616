/** Whether a local image is the disk that its index describes: every byte is read. */
import * as crypto from "node:crypto";
import { stat } from "node:fs/promises";
import { openRawImage } from "./image/disk-image.ts";
import type { DiskIndex } from "./disk-index.ts";

/** What is wrong with a raw image; undefined when nothing is. */
export async function imageProblem(file: string, index: DiskIndex): Promise<string | undefined> {
  const { size } = await stat(file);
  if (size !== index.sizeBytes) return `it has ${size} bytes, its index says ${index.sizeBytes}`;
  const wanted = new Map<number, string>(
    index.chunks.map(({ position, record }) => [position, record.digest]),
  );
  const image = await openRawImage(file);
  let damaged = 0;
  try {
    for await (const { position, bytes } of image.chunks()) {
      if (wanted.get(position) !== crypto.hash("sha256", bytes, "hex")) damaged += 1;
      wanted.delete(position);
    }
  } finally {
    await image.close();
  }
  damaged += wanted.size; // those that read as zeros
  return damaged === 0 ? undefined : `${damaged} of its chunks are not what its index says`;
}
