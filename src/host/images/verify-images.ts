/** Reads all local images of a host; what is damaged is replaced from its repository, or taken away so that the next start fetches it. */
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { CollectiveError, messageOf } from "../../errors.ts";
import { writeFileAtomically } from "../../io.ts";
import { readRegularFile } from "../../regular-file.ts";
import type { MachineImage } from "../../appliance/machine-image.ts";
import { machineImageSchema } from "../../appliance/machine-image-schema.ts";
import type { FetchImage } from "../host-context.ts";
import type { ImageFileReport } from "../host.ts";
import { bootProblem, diskProblem, listImageFiles } from "./check-images.ts";
import { bootFile, diskFile } from "./image-folder.ts";

const RECORD = /^[0-9a-f]{64}\.image\.json$/;

/** Remembers where an image came from, for the day it is damaged. */
export async function rememberImage(directory: string, image: MachineImage): Promise<void> {
  await writeFileAtomically(path.join(directory, `${image.digest}.image.json`), JSON.stringify(image));
}

/**
 * Files in use may be damaged as well: a machine that runs keeps the file it was started from, the new one is for the next start.
 * Nothing is written into a file.
 */
export async function verifyImages(options: {
  readonly directory: string;
  readonly fetchImage: FetchImage;
}): Promise<readonly ImageFileReport[]> {
  const { directory } = options;
  const { disks, bootFiles } = await listImageFiles(directory);
  const reports: ImageFileReport[] = [];
  const report = async (file: string, problem: string | undefined): Promise<void> => {
    if (problem === undefined) reports.push({ file, state: "whole", problem: "" });
    else reports.push(await repair({ ...options, file, problem }));
  };
  for (const indexDigest of disks) {
    await report(diskFile(directory, { indexDigest }), await diskProblem(directory, { indexDigest }));
  }
  for (const name of bootFiles) {
    const file = { oid: name as NonNullable<MachineImage["kernel"]>["oid"] };
    await report(bootFile(directory, file), await bootProblem(directory, file));
  }
  return reports;
}

/**
 * Checks what a machine that did not come up was started from, and repairs it.
 * @returns an error that names what was damaged; undefined when nothing was
 */
export async function blameImage(options: {
  readonly image: MachineImage;
  readonly directory: string;
  readonly fetchImage: FetchImage;
  readonly cause: unknown;
}): Promise<CollectiveError | undefined> {
  const { image, directory, cause } = options;
  try {
    const { damaged = [] } = await options.fetchImage({ image, directory, isVerifying: true });
    if (damaged.length === 0) return undefined;
    const what = damaged.map(({ file, problem }) => `${file} was damaged (${problem})`).join("; ");
    return new CollectiveError(
      "HOST_IMAGE_DAMAGED",
      `the machine was started from a damaged image: ${what}`,
      {
        data: { damaged },
        hint: "it was fetched anew: try again; the host's disk or memory may be bad",
        cause,
      },
    );
  } catch (error) {
    return error instanceof CollectiveError && error.code === "HOST_IMAGE_DAMAGED" ? error : undefined;
  }
}

async function repair(options: {
  readonly directory: string;
  readonly fetchImage: FetchImage;
  readonly file: string;
  readonly problem: string;
}): Promise<ImageFileReport> {
  const { directory, fetchImage, file, problem } = options;
  const image = (await readRecords(directory)).find((candidate) =>
    filesOf(directory, candidate).includes(file),
  );
  if (image === undefined) {
    await rm(file, { force: true });
    return { file, state: "removed", problem };
  }
  try {
    await fetchImage({ image, directory, isVerifying: true });
    return { file, state: "repaired", problem };
  } catch (error) {
    return { file, state: "damaged", problem: `${problem}; ${messageOf(error)}` };
  }
}

function filesOf(directory: string, { programDisks, kernel, initrd }: MachineImage): readonly string[] {
  const boot = [kernel, initrd].filter((file) => file !== undefined);
  return [
    ...programDisks.map((disk) => diskFile(directory, disk)),
    ...boot.map((file) => bootFile(directory, file)),
  ];
}

/** One that is damaged itself is none. */
async function readRecords(directory: string): Promise<readonly MachineImage[]> {
  const records: MachineImage[] = [];
  for (const name of (await readdir(directory)).filter((candidate) => RECORD.test(candidate))) {
    try {
      const text = String(await readRegularFile(path.join(directory, name)));
      records.push(machineImageSchema.parse(JSON.parse(text)));
    } catch {
      continue;
    }
  }
  return records;
}
