/** Brings a machine's program disks, kernel and initrd to a folder of local images, each under its digest. */
import { chmod, mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { indexDigest } from "../../disk/disk-index.ts";
import { exportDisk } from "../../disk/export-disk.ts";
import type { ObjectStore } from "../../disk/object-store.ts";
import { patchDisk } from "../../disk/patch-disk.ts";
import { CollectiveError } from "../../errors.ts";
import { withFileLock } from "../../file-lock.ts";
import { writeFileAtomically } from "../../io.ts";
import type { Git } from "../../git/git.ts";
import { readIndex } from "../../appliance/read-disk-index.ts";
import { openImageTree, type ImageTree } from "../../appliance/version-files.ts";
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
}

export interface FetchedImage {
  readonly disks: readonly { readonly device: string; readonly path: string }[];
  readonly kernel?: string;
  readonly initrd?: string;
  /** Bytes of packs, kernel and initrd that came from the repository; 0 when all was at hand. */
  readonly fetchedBytes: number;
}

/**
 * Nothing remote is asked when all is at hand. A disk appears under its name only when it is whole and verified; where an
 * earlier version's image is here, the new one is a patched clone of it. Safe between processes.
 * @throws CollectiveError as openMirror, exportDisk; REPOSITORY_DISK_CHANGED when the repository has another disk than the image says
 */
export async function fetchImage({ git, image, directory, cache }: FetchImageOptions): Promise<FetchedImage> {
  await mkdir(directory, { recursive: true });
  const absentDisks = await absent(image.programDisks, (disk) => diskFile(directory, disk));
  const files = [image.kernel, image.initrd].filter((file) => file !== undefined);
  const absentFiles = await absent(files, (file) => bootFile(directory, file));
  let fetchedBytes = 0;
  if (absentDisks.length + absentFiles.length > 0) {
    fetchedBytes = await withMirrors(
      git,
      async (mirrors) => {
        const tree = await openImageTree(image.source, mirrors);
        try {
          return await fetchAbsent({ tree, image, directory, absentDisks, absentFiles });
        } finally {
          await tree.close();
        }
      },
      { cache },
    );
  }
  return {
    disks: image.programDisks.map((disk) => ({ device: disk.device, path: diskFile(directory, disk) })),
    ...(image.kernel === undefined ? {} : { kernel: bootFile(directory, image.kernel) }),
    ...(image.initrd === undefined ? {} : { initrd: bootFile(directory, image.initrd) }),
    fetchedBytes,
  };
}

interface AbsentOptions {
  readonly tree: ImageTree;
  readonly image: MachineImage;
  readonly directory: string;
  readonly absentDisks: readonly ProgramDisk[];
  readonly absentFiles: readonly BootFile[];
}

async function fetchAbsent({
  tree,
  image,
  directory,
  absentDisks,
  absentFiles,
}: AbsentOptions): Promise<number> {
  let fetchedBytes = 0;
  for (const file of absentFiles) {
    fetchedBytes += (await tree.ensureObjects([file])).fetchedBytes;
    const source = (await tree.store()).pathOf(file.oid);
    await writeFileAtomically(bootFile(directory, file), await readFile(source), { mode: 0o444 });
  }
  for (const disk of absentDisks) fetchedBytes += await fetchDisk({ tree, image, directory, disk });
  return fetchedBytes;
}

interface DiskOptions {
  readonly tree: ImageTree;
  readonly image: MachineImage;
  readonly directory: string;
  readonly disk: ProgramDisk;
}

/** One process fetches an image; others that want it wait for that one. */
async function fetchDisk({ tree, image, directory, disk }: DiskOptions): Promise<number> {
  const target = diskFile(directory, disk);
  const file = path.join(directory, `${disk.indexDigest}.lock`);
  return withFileLock({ file, purpose: "fetching an image" }, async () => {
    if (await isFile(target)) return 0;
    const index = await readIndex(tree, disk.indexPath);
    if (indexDigest(index) !== disk.indexDigest) throw imageChanged(disk, tree.where);
    const { store, fetchedBytes } = await fetchingStore(tree, disk);
    const base = await findBase({ directory, wanted: index, url: image.source.url });
    if (base === undefined) await exportDisk({ index, store, target });
    else await patchDisk({ base, index, store, target });
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
