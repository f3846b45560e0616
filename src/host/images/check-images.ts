/** What lies in the folder of local images is not believed for ever: disks against their index, kernels and initrds against their name. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { indexDigest, type DiskIndex } from "../../disk/disk-index.ts";
import { imageProblem } from "../../disk/check-image.ts";
import { messageOf } from "../../errors.ts";
import { hashFile } from "../../lfs/local-store.ts";
import type { BootFile, ProgramDisk } from "../../appliance/machine-image.ts";
import { bootFile, diskFile, isFile, readKeptIndex } from "./image-folder.ts";

/** Why a local program disk is not to be used; undefined when it is whole. */
export async function diskProblem(
  directory: string,
  disk: Pick<ProgramDisk, "indexDigest">,
): Promise<string | undefined> {
  return problemOf(async () => {
    const index = await wholeIndex(directory, disk.indexDigest);
    if (index === undefined) return "its index is missing or damaged";
    return imageProblem(diskFile(directory, disk), index);
  });
}

/** The same of a kernel or initrd. */
export async function bootProblem(
  directory: string,
  file: Pick<BootFile, "oid">,
): Promise<string | undefined> {
  return problemOf(async () => {
    const { oid } = await hashFile(bootFile(directory, file));
    return oid === file.oid ? undefined : `its SHA-256 is ${oid}`;
  });
}

/** All program disks, kernels and initrds that lie there. */
export async function listImageFiles(
  directory: string,
): Promise<{ readonly disks: readonly string[]; readonly bootFiles: readonly string[] }> {
  const names = (await readdir(directory).catch(() => [])).sort();
  const files = await Promise.all(names.map((name) => isFile(path.join(directory, name))));
  const present = names.filter((_, at) => files[at] === true);
  return {
    disks: present.flatMap((name) => /^([0-9a-f]{64})\.raw$/.exec(name)?.[1] ?? []),
    bootFiles: present.filter((name) => /^[0-9a-f]{64}$/.test(name)),
  };
}

async function wholeIndex(directory: string, digest: string): Promise<DiskIndex | undefined> {
  const index = await readKeptIndex(path.join(directory, `${digest}.index`));
  return index !== undefined && indexDigest(index) === digest ? index : undefined;
}

/** What cannot be read is damaged. */
async function problemOf(check: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await check();
  } catch (error) {
    return messageOf(error);
  }
}
