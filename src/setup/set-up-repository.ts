/** `cui hook install`: a clone publishes with `git push` and checks what it commits; a bare repository checks what it receives. */
import { CollectiveError } from "../errors.ts";
import { protectReceiving } from "./create.ts";
import type { Git } from "../git/git.ts";
import { gitFolderOf, workTreeTop } from "../git/folder.ts";
import { configureClone } from "../publish/repository-folder.ts";
import {
  CLIENT_HOOKS,
  installHooks,
  SERVER_HOOKS,
  type HookProgram,
  type InstalledHooks,
} from "./install-hooks.ts";

/**
 * Works on a clone, a linked work tree or a bare repository; running it again changes nothing.
 * @throws CollectiveError REPOSITORY_MISSING outside a repository, and as installHooks
 */
export async function setUpRepository(
  git: Git,
  program: HookProgram,
): Promise<InstalledHooks & { readonly names: readonly string[] }> {
  const args = ["rev-parse", "--git-dir"];
  if ((await git.status({ args })).exitCode !== 0) {
    const named = git.bare(git.folder);
    // The user says that no bare repository is looked for; this one was named.
    if (!git.isBare && (await named.status({ args })).exitCode === 0) return setUpRepository(named, program);
    throw new CollectiveError("REPOSITORY_MISSING", `${git.folder} is in no git repository`, {
      hint: "name a clone or a bare repository with --dir; `cui create <repository>` makes a new one",
    });
  }
  const top = git.isBare ? undefined : await workTreeTop(git);
  if (top === undefined) {
    const repository = git.bare(await gitFolderOf(git));
    await protectReceiving(repository);
    return { ...(await installHooks(repository, SERVER_HOOKS, program)), names: SERVER_HOOKS };
  }
  await configureClone(git.at(top));
  return { ...(await installHooks(git.at(top), CLIENT_HOOKS, program)), names: CLIENT_HOOKS };
}
