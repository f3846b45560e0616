/** Trees of a commit: walking to a path without ever following a symlink or entering a submodule. */
import { CollectiveError } from "../errors.ts";
import type { GitObjects } from "./objects.ts";
import { damaged } from "./damage.ts";
import { repositoryPathProblem } from "./path.ts";

export interface TreeEntry {
  readonly name: string;
  readonly oid: string;
  readonly kind: "file" | "folder" | "symlink" | "submodule";
}

/** One commit's files, read-only. Every path is checked; what is no plain file in plain folders is refused. */
export interface CommitFiles {
  /** @throws CollectiveError REPOSITORY_FILE_MISSING, REPOSITORY_FILE_REFUSED or REPOSITORY_FILE_TOO_LARGE. */
  readFile(path: string, limit: { readonly maxBytes: number }): Promise<Buffer>;
  /** Entries of a folder in git's order; `""` is the top. @throws CollectiveError REPOSITORY_FILE_MISSING or REPOSITORY_FILE_REFUSED. */
  listFolder(path: string): Promise<readonly TreeEntry[]>;
}

const TREE = "^{tree}";

/** Trees are small; one this big is an attack or a mistake. */
const MAX_TREE_BYTES = 16 * 1024 * 1024;

/** The files of `commit`; `where` names repository and version in errors. */
export function commitFiles(objects: GitObjects, commit: string, where: string): CommitFiles {
  const trees = new Map<string, Promise<readonly TreeEntry[]>>();
  const readTree = (name: string): Promise<readonly TreeEntry[]> => {
    const known = trees.get(name) ?? loadTree(objects, name, where);
    trees.set(name, known);
    return known;
  };
  const walk = async (path: string): Promise<readonly TreeEntry[]> => {
    let entries = await readTree(`${commit}${TREE}`);
    for (const [depth, name] of path === "" ? [] : path.split("/").entries()) {
      const entry = entries.find((candidate) => candidate.name === name);
      const prefix = path
        .split("/")
        .slice(0, depth + 1)
        .join("/");
      if (entry === undefined) throw missing(prefix, where);
      if (entry.kind !== "folder") throw refused(prefix, `is a ${entry.kind}, not a folder`, where);
      entries = await readTree(entry.oid);
    }
    return entries;
  };
  return {
    listFolder: async (path) => {
      if (path !== "") checkPath(path, where);
      return walk(path);
    },
    readFile: async (path, { maxBytes }) => {
      checkPath(path, where);
      const slash = path.lastIndexOf("/");
      const entries = await walk(slash === -1 ? "" : path.slice(0, slash));
      const entry = entries.find((candidate) => candidate.name === path.slice(slash + 1));
      if (entry === undefined) throw missing(path, where);
      if (entry.kind !== "file") throw refused(path, `is a ${entry.kind}, not a file`, where);
      return readBlob(objects, entry.oid, { path, maxBytes, where });
    },
  };
}

async function readBlob(
  objects: GitObjects,
  oid: string,
  { path, maxBytes, where }: { path: string; maxBytes: number; where: string },
): Promise<Buffer> {
  const info = await objects.info(oid);
  if (info === undefined) throw objectLost(objects, oid, { path, where });
  if (info.type !== "blob") throw refused(path, `is a git ${info.type}`, where);
  if (info.sizeBytes > maxBytes) throw tooLarge(path, info.sizeBytes, maxBytes, where);
  const object = await objects.contents(oid);
  if (object === undefined) throw objectLost(objects, oid, { path, where });
  return object.content;
}

async function loadTree(objects: GitObjects, name: string, where: string): Promise<readonly TreeEntry[]> {
  const info = await objects.info(name);
  if (info === undefined) {
    const commit = name.endsWith(TREE) ? name.slice(0, -TREE.length) : undefined;
    if (commit !== undefined && (await objects.info(commit)) === undefined)
      throw missing("(its tree)", where);
    throw objectLost(objects, name, { path: "(a folder)", where });
  }
  if (info.type !== "tree") throw missing("(its tree)", where);
  if (info.sizeBytes > MAX_TREE_BYTES) throw tooLarge("(a folder)", info.sizeBytes, MAX_TREE_BYTES, where);
  const object = await objects.contents(info.oid);
  if (object === undefined) throw objectLost(objects, info.oid, { path: "(a folder)", where });
  return parseTree(object.content, info.oid.length / 2);
}

/** `<mode> SP <name> NUL <oid>` … @see gitformat-pack and git's tree.c */
function parseTree(content: Buffer, oidBytes: number): TreeEntry[] {
  const entries: TreeEntry[] = [];
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(32, at);
    const nul = content.indexOf(0, space);
    if (space === -1 || nul === -1) break;
    entries.push({
      kind: kindOfMode(content.toString("latin1", at, space)),
      name: content.toString("utf8", space + 1, nul),
      oid: content.toString("hex", nul + 1, nul + 1 + oidBytes),
    });
    at = nul + 1 + oidBytes;
  }
  return entries;
}

function kindOfMode(mode: string): TreeEntry["kind"] {
  if (mode === "40000" || mode === "040000") return "folder";
  if (mode === "120000") return "symlink";
  if (mode === "160000") return "submodule";
  return "file";
}

/** A commit or a tree names it, so it should be there. */
function objectLost(
  { folder }: GitObjects,
  name: string,
  { path, where }: { readonly path: string; readonly where: string },
): CollectiveError {
  return damaged(folder, `it lacks ${name}, ${shown(path)} of ${where}`);
}

function checkPath(path: string, where: string): void {
  const problem = repositoryPathProblem(path);
  if (problem !== undefined) throw refused(path, problem, where);
}

function missing(path: string, where: string): CollectiveError {
  return new CollectiveError("REPOSITORY_FILE_MISSING", `there is no ${shown(path)} in ${where}`, {
    data: { path },
    hint: "look at the file names of that version with `git ls-tree`",
  });
}

function refused(path: string, problem: string, where: string): CollectiveError {
  return new CollectiveError("REPOSITORY_FILE_REFUSED", `${shown(path)} of ${where} ${problem}`, {
    data: { path },
    hint: "only plain files in plain folders of the repository are read",
  });
}

function tooLarge(path: string, size: number, maxBytes: number, where: string): CollectiveError {
  return new CollectiveError(
    "REPOSITORY_FILE_TOO_LARGE",
    `${shown(path)} of ${where} has ${size} bytes; at most ${maxBytes} are read`,
    { data: { path, sizeBytes: size, maxBytes } },
  );
}

function shown(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}…` : path;
}
