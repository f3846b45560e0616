/** The objects a push brings: their sizes, and that none of them is a disk image. */
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import type { GitObjects } from "../git/objects.ts";
import { looksLikeDiskImage, MIN_IMAGE_BYTES, namedLikeDiskImage } from "../publish/disk-image-blob.ts";
import { refusal, type HookDiagnostic } from "./hook-diagnostic.ts";
import { limitSetting, type ReceiveLimits } from "./receive-limits.ts";

export interface NewObjectsOptions {
  /** Of the repository, where the pushed objects are visible. */
  readonly git: Git;
  readonly objects: GitObjects;
  /** What refs shall point at. */
  readonly tips: readonly string[];
  readonly limits: ReceiveLimits;
}

/** Listing and measuring what is new may take this long. */
const TIMEOUT_MS = 120_000;

/** Checks everything that becomes reachable, in whatever commit of the push it is. */
export async function checkNewObjects(options: NewObjectsOptions): Promise<readonly HookDiagnostic[]> {
  const { objects, limits } = options;
  const added = await measureNewObjects(options);
  const blobs = added.filter(({ type }) => type === "blob");
  const large = blobs.filter(({ sizeBytes }) => sizeBytes > limits.blobBytes);
  if (large.length > 0) return large.map((blob) => blobTooLarge(blob, limits.blobBytes));
  const total = added.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (total > limits.pushBytes) return [pushTooLarge(total, limits.pushBytes)];
  const refusals: HookDiagnostic[] = [];
  for (const blob of blobs) if (await isDiskImage(objects, blob)) refusals.push(diskImage(blob));
  return refusals;
}

interface NewObject {
  readonly oid: string;
  readonly type: string;
  readonly sizeBytes: number;
  /** One of its paths; empty where it has none. */
  readonly path: string;
}

async function measureNewObjects({ git, tips }: NewObjectsOptions): Promise<NewObject[]> {
  try {
    const listed = await git.run({
      args: ["rev-list", "--objects", "--stdin", "--not", "--all"],
      input: [...new Set(tips)].map((tip) => `${tip}\n`).join(""),
      timeoutMs: TIMEOUT_MS,
    });
    const lines = listed.split("\n").filter((line) => line !== "");
    const sizes = await git.run({
      args: ["cat-file", "--batch-check=%(objecttype) %(objectsize)"],
      input: lines.map((line) => `${line.split(" ", 1)[0] ?? ""}\n`).join(""),
      timeoutMs: TIMEOUT_MS,
    });
    return sizes.split("\n").flatMap((size, index): NewObject[] => {
      const line = lines[index];
      const [type, bytes] = size.split(" ");
      if (line === undefined || type === undefined || bytes === undefined) return [];
      const space = line.indexOf(" ");
      const oid = space === -1 ? line : line.slice(0, space);
      return [{ oid, type, sizeBytes: Number(bytes), path: space === -1 ? "" : line.slice(space + 1) }];
    });
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    throw new CollectiveError("HOOK_REFUSED", "the push could not be measured: it is too large, or damaged", {
      hint: "push in smaller pieces: first older versions, then newer ones",
      cause: error,
    });
  }
}

async function isDiskImage(objects: GitObjects, { oid, path, sizeBytes }: NewObject): Promise<boolean> {
  if (namedLikeDiskImage(path, sizeBytes)) return true;
  if (sizeBytes < MIN_IMAGE_BYTES) return false;
  const blob = await objects.contents(oid);
  return blob !== undefined && looksLikeDiskImage(blob.content);
}

function diskImage({ path }: NewObject): HookDiagnostic {
  return refusal(
    path === "" ? "a file" : path,
    "VERSION_DISK_IMAGE",
    "it is a disk image, which does not belong into git",
    "take it out of every commit of this push: program disks go in as index and packs (`cui disk add`), data disks never",
  );
}

function blobTooLarge({ path, sizeBytes }: NewObject, limit: number): HookDiagnostic {
  return refusal(
    path === "" ? "a file" : path,
    "PUSH_TOO_LARGE",
    `it has ${mebibytes(sizeBytes)} in plain git; at most ${mebibytes(limit)} are taken`,
    `keep it in Git LFS (git lfs track), in every commit of this push; the limit is ${limitSetting("blobBytes")} of the repository`,
  );
}

function pushTooLarge(total: number, limit: number): HookDiagnostic {
  return refusal(
    "this push",
    "PUSH_TOO_LARGE",
    `it brings ${mebibytes(total)} in plain git; at most ${mebibytes(limit)} are taken at once`,
    `push in smaller pieces, or raise ${limitSetting("pushBytes")} of the repository`,
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MiB`;
}
