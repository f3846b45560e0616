/** `cui bump` without options: what is newer goes into the working tree. */
import { lstat } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { rewriteFile } from "../user-file.ts";
import { withMirrors } from "../appliance/mirrors.ts";
import { findBumps, type FindBumpsOptions, type FoundBumps } from "./find-bumps.ts";

export interface ApplyBumpsOptions extends Omit<FindBumpsOptions, "mirrors" | "rev" | "isOne"> {
  /** Folder of the mirrors. */
  readonly cache?: string | undefined;
  /** Only look. */
  readonly isDryRun: boolean;
}

/**
 * Everything that is newer as one change; rules and policy are those of the working tree, which is the user's own.
 * @throws CollectiveError as findBumps, and INVALID_INPUT when the new versions do not go together: then nothing is written.
 */
export async function applyBumps(options: ApplyBumpsOptions): Promise<FoundBumps> {
  const { cache, isDryRun, ...find } = options;
  return withMirrors(
    find.git,
    async (mirrors) => {
      const found = await findBumps({ ...find, mirrors, isOne: true });
      for (const { error } of found.problems) throw error;
      if (!isDryRun) for (const { files } of found.bumps) await writeFiles(found.base.folder, files);
      return found;
    },
    { cache },
  );
}

/** The lock last: a run that is cut off in between leaves pins that the next one finds as they should be. */
async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const names = [...files.keys()].sort((a, b) => Number(a.endsWith(".lock")) - Number(b.endsWith(".lock")));
  for (const name of names) await refuseLink(path.join(folder, name));
  for (const name of names) await rewriteFile(path.join(folder, name), files.get(name) ?? "");
}

async function refuseLink(file: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined);
  if (found === undefined || found.isFile()) return;
  throw new CollectiveError("REPOSITORY_FILE_REFUSED", `${file} is no plain file`, {
    hint: "symlinks are not followed: put the file itself there",
  });
}
