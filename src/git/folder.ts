/** Where a repository's git folder and work tree are. */
import { git, gitStatus } from "./git.ts";

/** The git folder of a bare repository, a clone or a worktree; Git LFS keeps its objects there. */
export async function gitFolderOf(folder: string): Promise<string> {
  const answer = await git({ folder, args: ["rev-parse", "--path-format=absolute", "--git-common-dir"] });
  return answer.replace(/\n$/, "");
}

/** The top of the work tree around a folder; undefined when there is none. */
export async function workTreeTop(folder: string): Promise<string | undefined> {
  const { stdout, exitCode } = await gitStatus({ folder, args: ["rev-parse", "--show-toplevel"] });
  return exitCode === 0 ? stdout.replace(/\n$/, "") : undefined;
}
