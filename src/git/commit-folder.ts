/** One folder of one commit of the repository around it: nothing is read from the working tree, which may not even be there. */
import { realpath, stat } from "node:fs/promises";
import path from "node:path";
import { CollectiveError, unlessCode } from "../errors.ts";
import type { Git } from "./git.ts";
import { gitFolderOf, workTreeTop } from "./folder.ts";
import { openGitObjects } from "./objects.ts";
import { commitFiles, type CommitFiles, type TreeEntry } from "./tree.ts";

export interface CommitFolder {
  /** The top of the work tree, or the bare repository. */
  readonly top: string;
  readonly commit: string;
  /** Path of a file below the folder, inside the repository. */
  pathOf(file: string): string;
  /** Entries of the folder itself; empty when the commit does not have it. */
  listFolder(): Promise<readonly TreeEntry[]>;
  /** @throws CollectiveError REPOSITORY_FILE_MISSING, REPOSITORY_FILE_REFUSED, REPOSITORY_FILE_TOO_LARGE. */
  readFile(file: string, limit: { readonly maxBytes: number }): Promise<Buffer>;
  /** The file, or undefined when the commit does not have it. */
  readFileIfThere(file: string, limit: { readonly maxBytes: number }): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

/** Opens the folder of `git` as it is in `rev`. @throws CollectiveError REPOSITORY_REVISION_MISSING. */
export async function openCommitFolder({
  git,
  rev,
}: {
  readonly git: Git;
  readonly rev: string;
}): Promise<CommitFolder> {
  const { folder } = git;
  const { top, commit } = await resolveRevision(git.at(await nearestFolder(folder)), rev);
  const inside = path
    .relative(top, await realpathOrSelf(folder))
    .split(path.sep)
    .join("/");
  const objects = openGitObjects(git.at(top));
  const files = commitFiles(objects, commit, `commit ${commit.slice(0, 12)}`);
  return { ...folderOf({ files, top, commit }, inside), close: () => objects.close() };
}

export interface OpenedCommit {
  readonly files: CommitFiles;
  /** The top of the work tree, or the bare repository. */
  readonly top: string;
  /** A commit, or a tree that is none yet. */
  readonly commit: string;
}

/** The top folder of a commit whose files are read already; closing it leaves them open. */
export function topFolderOf(opened: OpenedCommit): CommitFolder {
  return { ...folderOf(opened, ""), close: () => Promise.resolve() };
}

function folderOf({ files, top, commit }: OpenedCommit, inside: string): Omit<CommitFolder, "close"> {
  const pathOf = (file: string): string => (inside === "" ? file : `${inside}/${file}`);
  const readFile: CommitFolder["readFile"] = (file, limit) => files.readFile(pathOf(file), limit);
  return {
    top,
    commit,
    pathOf,
    readFile,
    listFolder: async () => (await unlessCode("REPOSITORY_FILE_MISSING", files.listFolder(inside))) ?? [],
    readFileIfThere: (file, limit) => unlessCode("REPOSITORY_FILE_MISSING", readFile(file, limit)),
  };
}

/** `rev` is the user's word; `--end-of-options` keeps it from being an option. */
async function resolveRevision(git: Git, rev: string): Promise<{ top: string; commit: string }> {
  const top = git.isBare ? git.folder : ((await workTreeTop(git)) ?? (await bareRepository(git)));
  if (top === undefined) {
    throw new CollectiveError(
      "REPOSITORY_REVISION_MISSING",
      `${git.folder} lies in no git repository, so there is no ${rev}`,
    );
  }
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${rev}^{commit}`];
  const { stdout, exitCode } = await git.at(top).status({ args });
  if (exitCode === 0) return { top, commit: stdout.trim() };
  throw new CollectiveError("REPOSITORY_REVISION_MISSING", `${top} has no revision ${rev}`, {
    hint: "`git log --oneline` lists commits, `git tag` and `git branch` their names",
  });
}

async function bareRepository(git: Git): Promise<string | undefined> {
  const { stdout } = await git.status({ args: ["rev-parse", "--is-bare-repository"] });
  return stdout.trim() === "true" ? gitFolderOf(git) : undefined;
}

/** The folder may be gone from the working tree while the commit still has it. */
async function nearestFolder(folder: string): Promise<string> {
  const found = await stat(folder).catch(() => undefined);
  return found?.isDirectory() === true || folder === "/" ? folder : nearestFolder(path.dirname(folder));
}

/** Of a folder that is gone, what is left of it is made real. */
async function realpathOrSelf(folder: string): Promise<string> {
  const nearest = await nearestFolder(folder);
  return path.join(await realpath(nearest), path.relative(nearest, folder));
}
