/**
 * The best that isomorphic-git can do for the state: blobs, trees and commit made in this process, on trees that are known from
 * memory, so that no pack is read; git moves the branch, which compares before it swaps.
 */
import { writeBlob, writeCommit, writeTree, type TreeEntry } from "isomorphic-git";
import { ownGit } from "../../src/git/own-repository.ts";
import { objectFiles } from "./object-files.ts";

/** The folders of a commit by path, `""` is the top; their entries by name. */
export type OwnFolders = ReadonlyMap<string, ReadonlyMap<string, TreeEntry>>;

export interface OwnCommit {
  readonly commit: string;
  readonly folders: OwnFolders;
}

export interface OwnCommitOptions {
  readonly directory: string;
  /** `refs/heads/main` */
  readonly branch: string;
  readonly parent: string;
  /** Of the parent. */
  readonly folders: OwnFolders;
  /** Text by path. */
  readonly files: ReadonlyMap<string, string>;
  readonly message: string;
  /** Seconds since 1970. */
  readonly committedAt: number;
}

/** What git says of a commit's folders. @throws CollectiveError PROCESS_FAILED. */
export async function readOwnFolders(directory: string, commit: string): Promise<OwnFolders> {
  const args = ["ls-tree", "-r", "-t", "-z", "--full-tree", commit];
  return ownGit({ directory, args, parse: parseListing });
}

/** The commit is on the disk, as is the branch, when this resolves. */
export async function commitToOwnBranch(options: OwnCommitOptions): Promise<OwnCommit> {
  const { directory, branch, parent } = options;
  const made = await writeOwnCommit(options);
  await ownGit({ directory, args: ["update-ref", branch, made.commit, parent], parse: () => undefined });
  return made;
}

/** `<mode> SP <type> SP <oid> TAB <path> NUL`, a folder before what is in it. */
function parseListing(stdout: string): OwnFolders {
  const folders = new Map<string, Map<string, TreeEntry>>([["", new Map()]]);
  for (const line of stdout.split("\0")) {
    const [, mode = "", type, oid = "", file = ""] = /^(\d{6}) (\w+) ([0-9a-f]+)\t([^]*)$/.exec(line) ?? [];
    if (type !== "blob" && type !== "tree" && type !== "commit") continue;
    const [folder, name] = splitPath(file);
    folders.get(folder)?.set(name, { mode, type, oid, path: name });
    if (type === "tree") folders.set(file, new Map());
  }
  return folders;
}

/** Objects alone: no ref names them yet. */
async function writeOwnCommit(options: OwnCommitOptions): Promise<OwnCommit> {
  const { directory, parent, files, message, committedAt } = options;
  const at = { fs: objectFiles, gitdir: directory };
  const written = [...files].map(async ([file, content]): Promise<Change> => [
    file,
    { mode: "100644", type: "blob", oid: await writeBlob({ ...at, blob: Buffer.from(content) }) },
  ]);
  const { tree, folders } = await writeFolders(directory, options.folders, await Promise.all(written));
  const person = { name: "cui", email: "cui@localhost", timestamp: committedAt, timezoneOffset: 0 };
  const commit = { tree, parent: [parent], author: person, committer: person, message };
  return { commit: await writeCommit({ ...at, commit }), folders };
}

type Change = readonly [path: string, entry: Omit<TreeEntry, "path">];

/** The deepest first: a folder's object is known when what is in it is written. */
async function writeFolders(
  directory: string,
  before: OwnFolders,
  changes: readonly Change[],
): Promise<{ readonly tree: string; readonly folders: OwnFolders }> {
  const folders = new Map(before);
  const changed = new Set([""]);
  const set = ([file, entry]: Change): void => {
    const [folder, name] = splitPath(file);
    folders.set(folder, new Map([...(folders.get(folder) ?? []), [name, { ...entry, path: name }]]));
    for (let above = folder; above !== ""; above = splitPath(above)[0]) changed.add(above);
  };
  for (const change of changes) set(change);
  let tree = "";
  for (const folder of [...changed].sort((a, b) => depthOf(b) - depthOf(a))) {
    tree = await writeTree({
      fs: objectFiles,
      gitdir: directory,
      tree: [...(folders.get(folder)?.values() ?? [])],
    });
    if (folder !== "") set([folder, { mode: "040000", type: "tree", oid: tree }]);
  }
  return { tree, folders };
}

function splitPath(file: string): readonly [folder: string, name: string] {
  const slash = file.lastIndexOf("/");
  return slash === -1 ? ["", file] : [file.slice(0, slash), file.slice(slash + 1)];
}

function depthOf(folder: string): number {
  return folder === "" ? 0 : folder.split("/").length;
}
