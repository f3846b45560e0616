/** `cui create`: a bare repository for one appliance. */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { git } from "./git.ts";

/** Versions are never moved: a push may only add. */
const RECEIVE_SETTINGS = [
  ["receive.denyNonFastForwards", "true"],
  ["receive.denyDeletes", "true"],
  ["receive.fsckObjects", "true"],
] as const;

/**
 * Creates an empty bare repository at an absolute path, whole or not at all.
 * @throws CollectiveError REPOSITORY_EXISTS when something is there already
 */
export async function createRepository(folder: string): Promise<void> {
  const content = await readdir(folder).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw exists(folder, error);
  });
  if (content.length > 0) throw exists(folder);
  await mkdir(path.dirname(folder), { recursive: true });
  const unfinished = path.join(path.dirname(folder), `.${path.basename(folder)}.${randomUUID()}`);
  try {
    const init = ["init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--", unfinished];
    await git({ folder: path.dirname(folder), args: init });
    for (const [name, value] of RECEIVE_SETTINGS) {
      await git({ folder: unfinished, args: ["config", name, value] });
    }
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

function exists(folder: string, cause?: unknown): CollectiveError {
  return new CollectiveError("REPOSITORY_EXISTS", `there is something at ${folder} already`, {
    data: { folder },
    hint: "name a folder that does not exist yet, or an empty one",
    cause,
  });
}
