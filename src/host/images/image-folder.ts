/** The folder of local images of a host: names, and the index and origin kept beside each image. */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { recordsByDigest, type DiskIndex } from "../../disk/disk-index.ts";
import { decodeIndex, encodeIndex } from "../../disk/index-files.ts";
import type { BootFile, ProgramDisk } from "../../appliance/machine-image.ts";
import { readRegularFile } from "../../regular-file.ts";

/** Where a program disk lies, raw, under its index digest. */
export function diskFile(directory: string, disk: Pick<ProgramDisk, "indexDigest">): string {
  return path.join(directory, `${disk.indexDigest}.raw`);
}

/** Where a kernel or initrd lies, under its oid. */
export function bootFile(directory: string, file: Pick<BootFile, "oid">): string {
  return path.join(directory, file.oid);
}

/** Those of `items` whose file is not there. */
export async function absent<Item>(items: readonly Item[], fileOf: (item: Item) => string): Promise<Item[]> {
  const present = await Promise.all(items.map((item) => isFile(fileOf(item))));
  return items.filter((_, index) => present[index] !== true);
}

/** Whether there is a file. */
export async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isFile() === true;
}

export interface KeepIndexOptions {
  readonly directory: string;
  readonly indexDigest: string;
  readonly index: DiskIndex;
  /** The repository the disk came from. */
  readonly url: string;
}

/** Keeps an image's index beside it (`<digest>.index/`), so that the next version can be patched from it without the repository. */
export async function keepIndex({ directory, indexDigest, index, url }: KeepIndexOptions): Promise<void> {
  const folder = path.join(directory, `${indexDigest}.index`);
  const unfinished = `${folder}.${randomUUID()}.tmp`;
  await mkdir(unfinished);
  for (const { name, bytes } of encodeIndex(index)) await writeFile(path.join(unfinished, name), bytes);
  await writeFile(path.join(unfinished, ORIGIN_FILE), `${url}\n`);
  await rm(folder, { recursive: true, force: true });
  await rename(unfinished, folder);
}

/** A file in the index folder that is ours; the index format ignores names that begin with `x-`. */
const ORIGIN_FILE = "x-repository";

/** The local image of the same repository that has most of the wanted chunks; undefined when none has any. */
export async function findBase(options: {
  readonly directory: string;
  readonly wanted: DiskIndex;
  readonly url: string;
}): Promise<{ readonly path: string; readonly index: DiskIndex } | undefined> {
  const { directory, wanted, url } = options;
  const digests = new Set(recordsByDigest(wanted).keys());
  let best: { path: string; index: DiskIndex; shared: number } | undefined;
  for (const name of await readdir(directory)) {
    const digest = /^([0-9a-f]{64})\.index$/.exec(name)?.[1];
    if (digest === undefined || !(await isFile(diskFile(directory, { indexDigest: digest })))) continue;
    const index = await readKeptIndex(path.join(directory, name), url);
    if (index === undefined) continue;
    const shared = index.chunks.filter(({ record }) => digests.has(record.digest)).length;
    if (shared > (best?.shared ?? 0))
      best = { path: diskFile(directory, { indexDigest: digest }), index, shared };
  }
  return best;
}

/** Of the image of any repository, or of that one; undefined when what was kept is no longer whole. */
export async function readKeptIndex(folder: string, url?: string): Promise<DiskIndex | undefined> {
  try {
    const isAny = url === undefined;
    if (!isAny && String(await readRegularFile(path.join(folder, ORIGIN_FILE))) !== `${url}\n`)
      return undefined;
    const names = await readdir(folder);
    const files = names.map(async (name) => ({
      name,
      bytes: await readRegularFile(path.join(folder, name)),
    }));
    return decodeIndex(await Promise.all(files));
  } catch {
    return undefined;
  }
}
