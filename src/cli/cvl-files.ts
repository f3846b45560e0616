/** The CVL files of a folder. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";

/** At any depth, what git tracks or would, or without git all there are: paths relative to the folder, sorted. */
export async function listCvlFiles(git: Git): Promise<string[]> {
  const { folder } = git;
  const files = (await listWithGit(git)) ?? (await listAll(folder));
  return files.filter((file) => existsSync(path.join(folder, file))).sort();
}

/** Those that lie in `folder` itself, sorted. @throws CollectiveError USAGE when there is none. */
export async function cvlFilesIn(folder: string): Promise<readonly string[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".cvl")).sort();
  if (files.length > 0) return files;
  throw new CollectiveError("USAGE", `there is no CVL file in ${folder}`, { hint: "name the CVL file" });
}

/** The one that lies in `folder`, where only one can be meant. @throws CollectiveError USAGE when there are none or several. */
export async function onlyCvlFile(folder: string): Promise<string> {
  const [only = "", ...others] = await cvlFilesIn(folder);
  if (others.length === 0) return only;
  throw new CollectiveError("USAGE", `there are several CVL files: ${[only, ...others].join(", ")}`, {
    hint: "name the CVL file",
  });
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
