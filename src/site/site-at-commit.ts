/** A site as a commit has it: read from git's objects, so that no symlink and nothing uncommitted has a say. */
import path from "node:path";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import type { RootFile } from "../appliance/loaded-appliance.ts";
import type { Inventory } from "./inventory.ts";
import { pairRoots, type Root } from "./site-roots.ts";
import { openCommitSide, type SiteSide } from "./site-side.ts";
import { checkedInventory, INVENTORY_FILE } from "./site.ts";

export interface SitePlace {
  /** Of a clone or a bare repository that holds the commit; nothing is read from its working tree. */
  readonly git: Git;
  /** Of the site in the repository, `""` at the top. */
  readonly folder: string;
  readonly commit: string;
}

export interface SiteAtCommit {
  readonly inventory: Inventory;
  readonly roots: readonly SiteRoot[];
}

export interface SiteRoot extends Root {
  /** Named in `networks:`; one that is not and has no root object is no root but a library. */
  readonly isListed: boolean;
}

/** @throws CollectiveError REPOSITORY_FILE_MISSING, REPOSITORY_FILE_REFUSED, UTILITY_INVENTORY_INVALID. */
export async function readSiteAt(place: SitePlace): Promise<SiteAtCommit> {
  return withSide(place, async (side) => {
    const text = await side.readInventory();
    if (text === undefined) throw missing(INVENTORY_FILE, place);
    const inventory = checkedInventory(text);
    const pairs = await pairRoots({
      base: undefined,
      head: inventory,
      listFiles: () => side.listCvlFiles(),
    });
    return { inventory, roots: pairs.map(({ head, isListed }) => ({ ...head, isListed })) };
  });
}

/** A root file with its lock, and what its relative URLs are relative to. @throws as `readSiteAt`. */
export async function readRootAt(
  place: SitePlace,
  { file }: Root,
): Promise<{ readonly root: RootFile; readonly baseUrl: string }> {
  return withSide(place, async (side) => {
    const root = await side.readRoot(file, { displayName: file, maxBytes: MAX_FILE_CHARACTERS });
    if (root === undefined) throw missing(file, place);
    return { root, baseUrl: await side.baseUrl() };
  });
}

async function withSide<Result>(
  { git, folder, commit }: SitePlace,
  work: (side: SiteSide) => Promise<Result>,
): Promise<Result> {
  const side = await openCommitSide(git.at(path.join(git.folder, folder)), commit);
  try {
    return await work(side);
  } finally {
    await side.close();
  }
}

function missing(file: string, { folder, commit }: SitePlace): CollectiveError {
  return new CollectiveError(
    "REPOSITORY_FILE_MISSING",
    `there is no ${path.posix.join(folder, file)} in commit ${commit.slice(0, 12)}`,
    {
      data: { path: file },
      hint: "name the folder of the site in its repository, where that is not the top",
    },
  );
}
