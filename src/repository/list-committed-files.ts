/** The plain files of one folder in a commit of the repository around it. */
import { realpath } from "node:fs/promises";
import path from "node:path";
import { openGitObjects } from "./git-objects.ts";
import { commitFiles } from "./git-tree.ts";
import { resolveRevision } from "./root-file.ts";
import { CollectiveError } from "../errors.ts";

/** Names without their folder; empty when the commit does not have the folder. @throws CollectiveError REPOSITORY_REVISION_MISSING. */
export async function listCommittedFiles({
  folder,
  rev,
}: {
  readonly folder: string;
  readonly rev: string;
}): Promise<string[]> {
  const { top, commit } = await resolveRevision(folder, rev);
  const inside = path
    .relative(top, await realpath(folder))
    .split(path.sep)
    .join("/");
  const objects = openGitObjects(top);
  try {
    const entries = await commitFiles(objects, commit, `commit ${commit.slice(0, 12)}`).listFolder(inside);
    return entries.filter(({ kind }) => kind === "file").map(({ name }) => name);
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "REPOSITORY_FILE_MISSING") return [];
    throw error;
  } finally {
    await objects.close();
  }
}
