/** Machine images of two versions compared with each other: what an update replaces, and what it fetches for that. */
import { bytesToFetch } from "../disk/forecast.ts";
import { indexDigest, type DiskIndex } from "../disk/disk-index.ts";
import { CollectiveError } from "../errors.ts";
import { readIndex } from "./read-disk-index.ts";
import { openImageTree, type ImageTree } from "./version-files.ts";
import type { LfsPointer } from "../lfs/pointer.ts";
import type { VmDescription } from "./machine-image.ts";
import type { Mirrors } from "./mirrors.ts";
import type { Version } from "./versions.ts";
import { diskIndexPath } from "./disk-name.ts";
import { maxVmDescriptionBytes, parseVmDescription } from "./vm-description.ts";

/** Why machines of a description are replaced: a disk's name stands for its content. */
export type ImageReason =
  | { readonly kind: "new" | "removed" | "description" | "kernel" | "initrd" }
  | { readonly kind: "disk"; readonly disk: string };

export interface ImageDifference {
  /** `dns.vm.yaml` */
  readonly file: string;
  /** Empty: machines of this description are left running by an update. */
  readonly reasons: readonly ImageReason[];
  /** Stored bytes a host has to fetch that has the images of the version before; undefined when they cannot be counted. */
  readonly fetchBytes: number | undefined;
}

export interface CompareImagesOptions {
  readonly mirrors: Mirrors;
  readonly url: string;
  readonly from: Version | undefined;
  readonly to: Version;
}

/** One entry for every VM description at the top of either version, by name. */
export async function compareImages({
  mirrors,
  url,
  from,
  to,
}: CompareImagesOptions): Promise<ImageDifference[]> {
  const before = from === undefined ? new Map<string, Image>() : await readImages(mirrors, url, from);
  const after = await readImages(mirrors, url, to);
  const have = [...before.values()].flatMap(({ disks }) => [...disks.values()]);
  const files = [...new Set([...before.keys(), ...after.keys()])].sort();
  return files.map((file) => compareImage(file, { before: before.get(file), after: after.get(file), have }));
}

/** Undefined parts could not be read: the version is broken there, and whoever loads it is told. */
interface Image {
  readonly description: VmDescription | undefined;
  /** By the names of their indexes. */
  readonly disks: ReadonlyMap<string, DiskIndex | undefined>;
  readonly kernel: LfsPointer | undefined;
  readonly initrd: LfsPointer | undefined;
}

async function readImages(mirrors: Mirrors, url: string, version: Version): Promise<Map<string, Image>> {
  const tree = await openImageTree({ url, ...version }, mirrors);
  try {
    const names = await tree.listFiles("");
    const images = new Map<string, Image>();
    for (const name of names.filter((file) => /\.(vm\.yaml|vmx)$/i.test(file))) {
      images.set(name, await readImage(tree, name));
    }
    return images;
  } finally {
    await tree.close();
  }
}

async function readImage(tree: ImageTree, file: string): Promise<Image> {
  const content = await orUndefined(tree.readFile(file, { maxBytes: maxVmDescriptionBytes(file) }));
  const description =
    content === undefined ? undefined : parseVmDescription(content.toString("utf8"), file).description;
  const disks = new Map<string, DiskIndex | undefined>();
  for (const { source } of description?.disks ?? []) {
    // A data disk has no index in the repository.
    const indexPath = source === undefined ? undefined : diskIndexPath(source);
    if (indexPath === undefined || (await orUndefined(tree.listFiles(indexPath))) === undefined) continue;
    const name = indexPath.slice("disks/".length, -".index".length);
    disks.set(name, await orUndefined(readIndex(tree, indexPath)));
  }
  const pointer = (name: string | undefined): Promise<LfsPointer | undefined> =>
    name === undefined ? Promise.resolve(undefined) : orUndefined(tree.readPointer(name));
  const kernel = await pointer(description?.kernel);
  return { description, disks, kernel, initrd: await pointer(description?.initrd) };
}

async function orUndefined<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  return promise.catch((error: unknown) => {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  });
}

interface Sides {
  readonly before: Image | undefined;
  readonly after: Image | undefined;
  /** Disks a host with the version before has. */
  readonly have: readonly (DiskIndex | undefined)[];
}

function compareImage(file: string, { before, after, have }: Sides): ImageDifference {
  if (after === undefined) return { file, reasons: [{ kind: "removed" }], fetchBytes: 0 };
  if (before === undefined)
    return { file, reasons: [{ kind: "new" }], fetchBytes: countBytes(after, undefined, have) };
  const reasons: ImageReason[] = [];
  if (settingsOf(before) !== settingsOf(after)) reasons.push({ kind: "description" });
  for (const kind of ["kernel", "initrd"] as const) {
    if (before[kind]?.oid !== after[kind]?.oid) reasons.push({ kind });
  }
  for (const disk of new Set([...before.disks.keys(), ...after.disks.keys()])) {
    if (digestOf(before.disks.get(disk)) !== digestOf(after.disks.get(disk))) {
      reasons.push({ kind: "disk", disk });
    }
  }
  return { file, reasons, fetchBytes: countBytes(after, before, have) };
}

function settingsOf({ description }: Image): string {
  return JSON.stringify({ ...description, kernel: undefined, initrd: undefined });
}

function digestOf(index: DiskIndex | undefined): string {
  return index === undefined ? "" : indexDigest(index);
}

function countBytes(
  after: Image,
  before: Image | undefined,
  have: readonly (DiskIndex | undefined)[],
): number | undefined {
  const present = have.filter((index) => index !== undefined);
  let bytes = 0;
  for (const index of after.disks.values()) {
    if (index === undefined) return undefined;
    bytes += bytesToFetch(index, present);
  }
  for (const kind of ["kernel", "initrd"] as const) {
    const file = after[kind];
    if (file !== undefined && file.oid !== before?.[kind]?.oid) bytes += file.sizeBytes;
  }
  return bytes;
}
