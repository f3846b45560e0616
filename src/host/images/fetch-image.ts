/** Brings a machine's program disks, kernel and initrd to a folder of local images, each under its digest. */
import { createHash } from "node:crypto";
import { chmod, mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { indexDigest } from "../../disk/disk-index.ts";
import { exportDisk } from "../../disk/export-disk.ts";
import type { ObjectStore, Oid } from "../../disk/object-store.ts";
import { patchDisk } from "../../disk/patch-disk.ts";
import { CollectiveError, messageOf } from "../../errors.ts";
import { withFileLock } from "../../file-lock.ts";
import { writeFileAtomically } from "../../io.ts";
import type { Git } from "../../git/git.ts";
import { readIndex } from "../../appliance/read-disk-index.ts";
import { openImageTree, type ImageTree } from "../../appliance/version-files.ts";
import { bootProblem, diskProblem } from "./check-images.ts";
import { absent, bootFile, diskFile, findBase, isFile, keepIndex } from "./image-folder.ts";
import type { BootFile, MachineImage, ProgramDisk } from "../../appliance/machine-image.ts";
import { withMirrors } from "../../appliance/mirrors.ts";

export interface FetchImageOptions {
  readonly git: Git;
  readonly image: MachineImage;
  /** Where images are kept: `<index digest>.raw`, and `<oid>` for kernels and initrds. Made when absent. */
  readonly directory: string;
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
  /** What is at hand is read and compared; what is damaged is replaced, at once for the next start: a machine keeps the file it runs from. */
  readonly isVerifying?: boolean | undefined;
}

export interface FetchedImage {
  readonly disks: readonly { readonly device: string; readonly path: string }[];
  readonly kernel?: string;
  readonly initrd?: string;
  /** Bytes of packs, kernel and initrd that came from the repository; 0 when all was at hand. */
  readonly fetchedBytes: number;
  /** With `isVerifying`: what was damaged, and was replaced. */
  readonly damaged: readonly DamagedFile[];
}

export interface DamagedFile {
  readonly file: string;
  readonly problem: string;
}

/**
 * Nothing remote is asked when all is at hand. A disk appears under its name only when it is whole and verified; where an
 * earlier version's image is here, the new one is a patched clone of it. Safe between processes.
 * @throws CollectiveError as openMirror, exportDisk; REPOSITORY_DISK_CHANGED when the repository has another disk than the image says;
 *   HOST_IMAGE_DAMAGED for what is damaged and cannot be fetched
 */
export async function fetchImage(options: FetchImageOptions): Promise<FetchedImage> {
  const { git, image, directory, cache, isVerifying = false } = options;
  await mkdir(directory, { recursive: true });
  const damaged = isVerifying ? await findDamaged(image, directory) : [];
  const isOut = (file: string): boolean => damaged.some((entry) => entry.file === file);
  const outDisks = image.programDisks.filter((disk) => isOut(diskFile(directory, disk)));
  const absentDisks = [
    ...outDisks,
    ...(await absent(image.programDisks, (disk) => diskFile(directory, disk))),
  ];
  const files = bootFilesOf(image);
  const outFiles = files.filter((file) => isOut(bootFile(directory, file)));
  const absentFiles = [...outFiles, ...(await absent(files, (file) => bootFile(directory, file)))];
  let fetchedBytes = 0;
  if (absentDisks.length + absentFiles.length > 0) {
    fetchedBytes = await withMirrors(
      git,
      async (mirrors) => {
        const tree = await openImageTree(image.source, mirrors);
        try {
          return await fetchAbsent({ tree, image, directory, absentDisks, absentFiles, isOut });
        } finally {
          await tree.close();
        }
      },
      { cache },
    ).catch((error: unknown) => {
      throw damaged.length === 0 ? error : imageDamaged(damaged, error);
    });
  }
  return {
    disks: image.programDisks.map((disk) => ({ device: disk.device, path: diskFile(directory, disk) })),
    ...(image.kernel === undefined ? {} : { kernel: bootFile(directory, image.kernel) }),
    ...(image.initrd === undefined ? {} : { initrd: bootFile(directory, image.initrd) }),
    fetchedBytes,
    damaged,
  };
}

function bootFilesOf({ kernel, initrd }: MachineImage): readonly BootFile[] {
  return [kernel, initrd].filter((file) => file !== undefined);
}

async function findDamaged(image: MachineImage, directory: string): Promise<readonly DamagedFile[]> {
  const checks = [
    ...image.programDisks.map((disk) => ({
      file: diskFile(directory, disk),
      check: () => diskProblem(directory, disk),
    })),
    ...bootFilesOf(image).map((boot) => ({
      file: bootFile(directory, boot),
      check: () => bootProblem(directory, boot),
    })),
  ];
  const damaged: DamagedFile[] = [];
  for (const { file, check } of checks) {
    const problem = (await isFile(file)) ? await check() : undefined;
    if (problem !== undefined) damaged.push({ file, problem });
  }
  return damaged;
}

function imageDamaged(damaged: readonly DamagedFile[], cause: unknown): CollectiveError {
  const what = damaged.map(({ file, problem }) => `${file} is damaged (${problem})`).join("; ");
  return new CollectiveError(
    "HOST_IMAGE_DAMAGED",
    `${what}, and it was not fetched anew: ${messageOf(cause)}`,
    {
      data: { damaged },
      hint: "try again when the repository answers: cui host verify",
      cause,
    },
  );
}

interface AbsentOptions {
  readonly tree: ImageTree;
  readonly image: MachineImage;
  readonly directory: string;
  readonly absentDisks: readonly ProgramDisk[];
  readonly absentFiles: readonly BootFile[];
  /** What is there and is to be replaced. */
  readonly isOut: (file: string) => boolean;
}

async function fetchAbsent({
  tree,
  image,
  directory,
  absentDisks,
  absentFiles,
  isOut,
}: AbsentOptions): Promise<number> {
  let fetchedBytes = 0;
  for (const file of absentFiles) fetchedBytes += await fetchBootFile(tree, file, directory);
  for (const disk of absentDisks) {
    const isReplacing = isOut(diskFile(directory, disk));
    fetchedBytes += await fetchDisk({ tree, image, directory, disk, isReplacing });
  }
  return fetchedBytes;
}

/** Nothing unverified enters: what the mirror has may be damaged as well, and is fetched anew then. */
async function fetchBootFile(tree: ImageTree, file: BootFile, directory: string): Promise<number> {
  return withWholeObjects(tree, [file.oid], async () => {
    const { fetchedBytes } = await tree.ensureObjects([file]);
    const store = await tree.store();
    const content = await readFile(store.pathOf(file.oid));
    if (createHash("sha256").update(content).digest("hex") !== file.oid) await store.verify(file.oid);
    await writeFileAtomically(bootFile(directory, file), content, { mode: 0o444 });
    return fetchedBytes;
  });
}

/** Where an object of the mirror turns out to be damaged, those that are go, and the work is done once more. */
async function withWholeObjects<Result>(
  tree: ImageTree,
  oids: readonly Oid[],
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const isDamage = error instanceof CollectiveError && /^DISK_(PACK|CHUNK)_CORRUPT$/.test(error.code);
    if (!isDamage || !(await tree.dropDamaged(oids))) throw error;
    return work();
  }
}

interface DiskOptions {
  readonly tree: ImageTree;
  readonly image: MachineImage;
  readonly directory: string;
  readonly disk: ProgramDisk;
  readonly isReplacing: boolean;
}

/** One process fetches an image; others that want it wait for that one. */
async function fetchDisk({ tree, image, directory, disk, isReplacing }: DiskOptions): Promise<number> {
  const target = diskFile(directory, disk);
  const file = path.join(directory, `${disk.indexDigest}.lock`);
  return withFileLock({ file, purpose: "fetching an image" }, async () => {
    if (!isReplacing && (await isFile(target))) return 0;
    const index = await readIndex(tree, disk.indexPath);
    if (indexDigest(index) !== disk.indexDigest) throw imageChanged(disk, tree.where);
    const { store, fetchedBytes } = await fetchingStore(tree, disk);
    const packs = index.packs.map(({ oid }) => oid);
    await withWholeObjects(tree, packs, async () => {
      // What is damaged is a base like another: each of its chunks is verified.
      const base = await findBase({ directory, wanted: index, url: image.source.url });
      if (base === undefined) await exportDisk({ index, store, target });
      else await patchDisk({ base, index, store, target });
    });
    await chmod(target, 0o444);
    await keepIndex({ directory, indexDigest: disk.indexDigest, index, url: image.source.url });
    return fetchedBytes();
  });
}

/** Packs are fetched when something is read from them: a patch needs few. */
async function fetchingStore(
  tree: ImageTree,
  disk: ProgramDisk,
): Promise<{ store: ObjectStore; fetchedBytes: () => number }> {
  const local = await tree.store();
  const folder = disk.indexPath.slice(0, disk.indexPath.lastIndexOf("/"));
  let fetchedBytes = 0;
  const store: ObjectStore = {
    open: async (oid) => {
      const fetched = await tree.ensureObjects([{ oid, path: `${folder}/packs/${oid}.pack` }]);
      fetchedBytes += fetched.fetchedBytes;
      return local.open(oid);
    },
  };
  return { store, fetchedBytes: () => fetchedBytes };
}

function imageChanged(disk: ProgramDisk, where: string): CollectiveError {
  return new CollectiveError(
    "REPOSITORY_DISK_CHANGED",
    `${disk.indexPath} of ${where} is not the disk that was planned`,
    {
      data: { indexPath: disk.indexPath, wanted: disk.indexDigest },
      hint: "make a new plan",
    },
  );
}
