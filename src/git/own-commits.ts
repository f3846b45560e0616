/**
 * Commits on a branch of a bare repository that the project made for itself. Blobs, trees and commit are made in this process with
 * isomorphic-git, on trees that are known from memory, so that no pack is read; git moves the branch, which compares before it swaps.
 * Where the repository is not as isomorphic-git needs it, `git fast-import` does all of it.
 */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { TreeEntry } from "isomorphic-git";
import { stderrOf } from "../io.ts";
import { objectFiles } from "./object-files.ts";
import { importOwnCommit, type ImportOptions } from "./own-import.ts";
import { ownGit } from "./own-repository.ts";

/** The folders of a commit by path, `""` is the top; their entries by name. */
export type OwnFolders = ReadonlyMap<string, ReadonlyMap<string, TreeEntry>>;

export interface OwnCommit {
  readonly commit: string;
  readonly folders: OwnFolders;
}

export interface OwnCommitOptions extends ImportOptions {
  /** Of the parent. */
  readonly folders: OwnFolders;
}

/** What git says of a commit's folders. @throws CollectiveError PROCESS_FAILED. */
export async function readOwnFolders(directory: string, commit: string): Promise<OwnFolders> {
  const args = ["ls-tree", "-r", "-t", "-z", "--full-tree", commit];
  return ownGit({ directory, args, parse: parseListing });
}

/**
 * The commit is on the disk, as is the branch, when this resolves; undefined when the branch is not at `parent` any more.
 * @throws CollectiveError PROCESS_FAILED.
 */
export async function commitToOwnBranch(options: OwnCommitOptions): Promise<OwnCommit | undefined> {
  const { directory, branch, parent } = options;
  if (!(await isPlain(directory))) {
    const commit = await importOwnCommit(options);
    return commit === undefined ? undefined : { commit, folders: await readOwnFolders(directory, commit) };
  }
  const made = await writeOwnCommit(options);
  return (await moveBranch({ directory, branch, from: parent, to: made.commit })) ? made : undefined;
}

/** isomorphic-git knows neither SHA-256 nor alternates, and does not say so. */
async function isPlain(directory: string): Promise<boolean> {
  const config = await readFile(path.join(directory, "config"), "utf8");
  if (/^\s*(objectformat|refstorage)\s*=/im.test(config)) return false;
  const alternates = path.join(directory, "objects/info/alternates");
  return (await stat(alternates).catch(() => undefined)) === undefined;
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
  // Loaded only here: most commands write no commit.
  const { writeBlob, writeCommit } = await import("isomorphic-git");
  const at = { fs: objectFiles, gitdir: directory };
  const written = [...files].map(async ([file, content]): Promise<Change> => {
    if (content === null) return [file, undefined];
    return [
      file,
      { mode: "100644", type: "blob", oid: await writeBlob({ ...at, blob: Buffer.from(content) }) },
    ];
  });
  const { tree, folders } = await writeFolders(directory, options.folders, await Promise.all(written));
  const person = { name: "cui", email: "cui@localhost", timestamp: committedAt, timezoneOffset: 0 };
  const parents = parent === null ? [] : [parent];
  const commit = { tree, parent: parents, author: person, committer: person, message };
  return { commit: await writeCommit({ ...at, commit }), folders };
}

type Change = readonly [path: string, entry: Omit<TreeEntry, "path"> | undefined];

/** The deepest first: a folder's object is known when what is in it is written. A folder with nothing in it is none. */
async function writeFolders(
  directory: string,
  before: OwnFolders,
  changes: readonly Change[],
): Promise<{ readonly tree: string; readonly folders: OwnFolders }> {
  const { writeTree } = await import("isomorphic-git");
  const folders = new Map([["", new Map<string, TreeEntry>()], ...before]);
  const changed = new Set([""]);
  const set = ([file, entry]: Change): void => {
    const [folder, name] = splitPath(file);
    const entries = new Map(folders.get(folder));
    if (entry === undefined) entries.delete(name);
    else entries.set(name, { ...entry, path: name });
    folders.set(folder, entries);
    for (let above = folder; above !== ""; above = splitPath(above)[0]) changed.add(above);
  };
  for (const change of changes) set(change);
  let tree = "";
  for (const folder of [...changed].sort((a, b) => depthOf(b) - depthOf(a))) {
    const entries = [...(folders.get(folder)?.values() ?? [])];
    const isGone = entries.length === 0 && folder !== "";
    if (isGone) folders.delete(folder);
    else tree = await writeTree({ fs: objectFiles, gitdir: directory, tree: entries });
    if (folder !== "") set([folder, isGone ? undefined : { mode: "040000", type: "tree", oid: tree }]);
  }
  return { tree, folders };
}

/** What git says when the branch is elsewhere, or being moved by another. */
const OUTPACED = /but expected|already exists|unable to resolve reference|File exists/;
const NO_COMMIT = "0".repeat(40);

async function moveBranch(options: {
  readonly directory: string;
  readonly branch: string;
  readonly from: string | null;
  readonly to: string;
}): Promise<boolean> {
  const { directory, branch, from, to } = options;
  try {
    const args = ["update-ref", branch, to, from ?? NO_COMMIT];
    return await ownGit({ directory, args, parse: () => true });
  } catch (error) {
    if (OUTPACED.test(stderrOf(error))) return false;
    throw error;
  }
}

function splitPath(file: string): readonly [folder: string, name: string] {
  const slash = file.lastIndexOf("/");
  return slash === -1 ? ["", file] : [file.slice(0, slash), file.slice(slash + 1)];
}

function depthOf(folder: string): number {
  return folder === "" ? 0 : folder.split("/").length;
}
