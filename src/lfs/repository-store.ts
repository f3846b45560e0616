/** Where a repository's Git LFS objects are: git-lfs has a setting for it, which often is the user's and not the repository's. */
import path from "node:path";
import { pathStore, type PathStore } from "../disk/path-store.ts";
import { configValue } from "../git/config.ts";
import { gitFolderOf } from "../git/folder.ts";
import type { Git } from "../git/git.ts";
import { lfsStore } from "./local-store.ts";

/** The store that git-lfs itself uses there, for this user. Mirrors, which are our own, have theirs always inside (`lfsStore`). */
export async function repositoryStore(git: Git): Promise<PathStore> {
  return storeAt(await gitFolderOf(git), await configValue(git, "lfs.storage"));
}

/** The store of a repository that others use as well: what this user alone has set does not count. */
export async function ownStore(git: Git): Promise<PathStore> {
  const args = ["config", "--local", "--get", "lfs.storage"];
  const { stdout } = await git.status({ args });
  return storeAt(await gitFolderOf(git), stdout.replace(/\n$/, ""));
}

/** Where objects may lie: `cui serve`, which lets nothing out of the served folder, keeps them inside whatever the setting says. */
export async function readableStores(git: Git): Promise<readonly PathStore[]> {
  const [folder, storage] = await Promise.all([gitFolderOf(git), configValue(git, "lfs.storage")]);
  return [storeAt(folder, storage), lfsStore(folder)];
}

/** git-lfs expands no `~`, and takes an empty value for none. */
function storeAt(gitFolder: string, storage: string | undefined): PathStore {
  if (storage === undefined || storage === "") return lfsStore(gitFolder);
  return pathStore(path.join(path.resolve(gitFolder, storage), "objects"));
}
