/** Where a repository's git folder and work tree are. */
import { stat } from "node:fs/promises";
import path from "node:path";
import type { Git } from "./git.ts";

/** The git folder of a bare repository, a clone or a worktree; Git LFS keeps its objects there. */
export async function gitFolderOf(git: Git): Promise<string> {
  const answer = await git.run({ args: ["rev-parse", "--path-format=absolute", "--git-common-dir"] });
  return answer.replace(/\n$/, "");
}

/** The top of the work tree around the folder; undefined when there is none. */
export async function workTreeTop(git: Git): Promise<string | undefined> {
  const { stdout, exitCode } = await git.status({ args: ["rev-parse", "--show-toplevel"] });
  return exitCode === 0 ? stdout.replace(/\n$/, "") : undefined;
}

/** The repository that a path names, as `git fetch <path>` takes it: the one in the folder's `.git`, else the folder itself, a bare one. */
export async function repositoryAt(git: Git, folder: string): Promise<Git> {
  const inside = await stat(path.join(folder, ".git")).catch(() => undefined);
  return inside === undefined ? git.bare(folder) : git.at(folder);
}
