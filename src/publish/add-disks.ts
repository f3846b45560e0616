/** `cui disk add`, and the first half of `cui publish`: the disks of a working folder become index and packs. */
import type { Diagnostic, TextOf } from "../diagnostics.ts";
import type { WriteProgress } from "../disk/write-program-disk.ts";
import { readApplianceFolder, type ApplianceFolder } from "./appliance-folder.ts";
import type { Git } from "../git/git.ts";
import { openImageTree, type ImageTree } from "../appliance/version-files.ts";
import { withMirrors, type Mirrors } from "../appliance/mirrors.ts";
import { writeProgramDisks, type AddedDisk } from "./write-program-disks.ts";
import { keepInLfs, keepOutOfGit } from "./repository-folder.ts";
import { taggedVersions } from "../appliance/version-tags.ts";
import { unlessCode } from "../errors.ts";
import { findCommit } from "../git/history.ts";

export interface AddDisksOptions {
  readonly cwd: string;
  /** The CVL file, relative to `cwd`. */
  readonly cvl: string;
  readonly object?: string;
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
  readonly onProgress?: (source: string, progress: WriteProgress) => void;
}

export interface AddDisksReport {
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** Undefined when diagnostics has errors: then nothing was written. */
  readonly disks: readonly AddedDisk[] | undefined;
}

/**
 * Every disk of the VM descriptions that `datadisks` does not list, against the newest version reachable from HEAD.
 * @throws CollectiveError REPOSITORY_DISK_MISSING, REPOSITORY_FILE_MISSING, and as writeProgramDisk
 */
export async function addDisks(git: Git, options: AddDisksOptions): Promise<AddDisksReport> {
  const { cvl, cwd, object } = options;
  return withMirrors(
    git,
    async (mirrors) => {
      const appliance = await readApplianceFolder(mirrors, { cvl, cwd, object });
      const { diagnostics, textOf } = appliance;
      if (appliance.tree === undefined) return { diagnostics, textOf, disks: undefined };
      const previous = await newestReachable(git.at(appliance.folder), mirrors);
      try {
        return { diagnostics, textOf, disks: await storeDisks({ appliance, previous, ...options }) };
      } finally {
        await previous?.close();
      }
    },
    { cache: options.cache },
  );
}

export interface StoreDisksOptions {
  readonly appliance: Pick<ApplianceFolder, "folder" | "programDisks" | "dataDisks" | "bootFiles">;
  readonly previous: ImageTree | undefined;
  readonly onProgress?: ((source: string, progress: WriteProgress) => void) | undefined;
}

/** Writes index and packs, and what git needs to know of them and of the fat images. */
export async function storeDisks({
  appliance,
  previous,
  onProgress,
}: StoreDisksOptions): Promise<readonly AddedDisk[]> {
  const { folder, programDisks, dataDisks, bootFiles } = appliance;
  await keepOutOfGit(folder, [...programDisks, ...dataDisks]);
  if (programDisks.length + bootFiles.length > 0) await keepInLfs(folder, bootFiles);
  return writeProgramDisks({ folder, sources: programDisks, previous, onProgress });
}

/** The newest version tag in HEAD's history; undefined without one, or outside a repository. */
export async function newestReachable(git: Git, mirrors: Mirrors): Promise<ImageTree | undefined> {
  const versions = (await unlessCode("PROCESS_FAILED", taggedVersions(git, { inHead: true }))) ?? [];
  if (versions.length === 0) return undefined;
  const commit = await findCommit(git, `refs/tags/v${Math.max(...versions)}`);
  if (commit === undefined) return undefined;
  return openImageTree({ url: git.folder, version: null, commit }, mirrors);
}
