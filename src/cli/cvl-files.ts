/** The CVL files of a folder: what git tracks or would, or without git all there are. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";

/** In the folder of `git`; paths relative to it, sorted. */
export async function listCvlFiles(git: Git): Promise<string[]> {
  const { folder } = git;
  const files = (await listWithGit(git)) ?? (await listAll(folder));
  return files.filter((file) => existsSync(path.join(folder, file))).sort();
}

/** Undefined when the folder is in no git repository, or there is no git. */
async function listWithGit(git: Git): Promise<string[] | undefined> {
  try {
    const listed = await git.run({
      args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", "*.cvl"],
      env: { GIT_LITERAL_PATHSPECS: undefined },
    });
    return listed.split("\0").filter((file) => file !== "");
  } catch (error) {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  }
}

async function listAll(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".cvl"))
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}
