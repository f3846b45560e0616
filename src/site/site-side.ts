/** One side of a comparison: a site as it is in a commit, or in the working tree. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { unlessCode } from "../errors.ts";
import { repositoryAt } from "../git/folder.ts";
import type { Git } from "../git/git.ts";
import { openCommitFolder } from "../git/commit-folder.ts";
import type { RootFile } from "../appliance/loaded-appliance.ts";
import { LOCK_FILE } from "../appliance/lock.ts";
import {
  originUrl,
  baseUrlOf,
  readBounded,
  readCommittedRoot,
  readRootFile,
} from "../appliance/root-file.ts";
import { MAX_INVENTORY_BYTES } from "./read-inventory.ts";
import { INVENTORY_FILE } from "./site.ts";

export interface SiteSide {
  /** Null: the working tree. */
  readonly commit: string | null;
  /** The text of utility.yaml; undefined when there is none. @throws CollectiveError REPOSITORY_FILE_… */
  readInventory(): Promise<string | undefined>;
  /** Names in the folder that end with `.cvl`, links too: what is none of a file is refused when it is read. */
  listCvlFiles(): Promise<readonly string[]>;
  /** Undefined when it is not there. `displayName` is what diagnostics show. @throws CollectiveError REPOSITORY_FILE_… */
  readRoot(
    file: string,
    options: { readonly displayName: string; readonly maxBytes: number },
  ): Promise<RootFile | undefined>;
  /** What relative URLs of root files are relative to. */
  baseUrl(): Promise<string>;
  close(): Promise<void>;
}

/** A site before there was one. */
export const NO_SIDE: SiteSide = {
  commit: null,
  readInventory: () => Promise.resolve(undefined),
  listCvlFiles: () => Promise.resolve([]),
  readRoot: () => Promise.resolve(undefined),
  baseUrl: () => Promise.resolve("/"),
  close: () => Promise.resolve(),
};

/** Nothing is read from the working tree. @throws CollectiveError REPOSITORY_REVISION_MISSING. */
export async function openCommitSide(git: Git, rev: string): Promise<SiteSide> {
  const { folder } = git;
  const opened = await openCommitFolder({ git, rev });
  return {
    commit: opened.commit,
    readInventory: async () =>
      (await opened.readFileIfThere(INVENTORY_FILE, { maxBytes: MAX_INVENTORY_BYTES }))?.toString("utf8"),
    listCvlFiles: async () =>
      (await opened.listFolder()).flatMap(({ name, kind }) =>
        kind !== "folder" && name.endsWith(".cvl") ? [name] : [],
      ),
    readRoot: (file, options) => {
      const lockPath = path.join(folder, path.dirname(file), LOCK_FILE);
      return unlessCode("REPOSITORY_FILE_MISSING", readCommittedRoot(opened, { file, lockPath, ...options }));
    },
    baseUrl: async () => originUrl(await repositoryAt(git, opened.top)),
    close: () => opened.close(),
  };
}

export function openWorkingSide(git: Git): SiteSide {
  const { folder } = git;
  return {
    commit: null,
    readInventory: async () =>
      (await readBounded(path.join(folder, INVENTORY_FILE), MAX_INVENTORY_BYTES))?.toString("utf8"),
    listCvlFiles: async () => (await readdir(folder)).filter((name) => name.endsWith(".cvl")),
    readRoot: async (file, { displayName }) => {
      const found = await unlessCode("REPOSITORY_FILE_MISSING", readRootFile(git, { file, cwd: folder }));
      return found && { ...found, source: { ...found.source, displayName } };
    },
    baseUrl: () => baseUrlOf(git),
    close: () => Promise.resolve(),
  };
}
