/** The files of one version of an appliance, or of one that is being developed: a commit of a mirror, or a folder. */
import { lstat, readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Source } from "../cvl/source.ts";
import type { Oid } from "../disk/object-store.ts";
import type { PathStore } from "../disk/path-store.ts";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import { openGitObjects } from "../git/objects.ts";
import { commitFiles, type CommitFiles } from "../git/tree.ts";
import { repositoryAt } from "../git/folder.ts";
import { hashFile, lfsStore, objectMissing } from "../lfs/local-store.ts";
import { repositoryStore } from "../lfs/repository-store.ts";
import { MAX_POINTER_BYTES, parseLfsPointer, type LfsPointer } from "../lfs/pointer.ts";
import type { Mirrors } from "./mirrors.ts";
import { repositoryPathProblem } from "../git/path.ts";

export interface ImageTree {
  /** Names the version, or the folder, in errors. */
  readonly where: string;
  /** @throws CollectiveError REPOSITORY_FILE_MISSING, REPOSITORY_FILE_REFUSED, REPOSITORY_FILE_TOO_LARGE. */
  readFile(file: string, limit: { readonly maxBytes: number }): Promise<Buffer>;
  /** Names of the plain files in a folder. @throws as readFile. */
  listFiles(folder: string): Promise<readonly string[]>;
  /** Identifies a folder's content where that is known without reading it (git's tree id). */
  folderId(folder: string): Promise<string | undefined>;
  /** A file that is kept in Git LFS: its pointer, or what the pointer would be. @throws as readFile. */
  readPointer(file: string): Promise<LfsPointer>;
  /** Makes objects available; `path` is where the pointer lies. @throws CollectiveError REPOSITORY_OBJECT_MISSING, DISK_PACK_CORRUPT. */
  ensureObjects(
    objects: readonly { readonly oid: Oid; readonly path: string }[],
  ): Promise<{ readonly fetchedBytes: number }>;
  /** Removes those of a mirror's objects that are not what they are called, so that they are fetched anew; true when there were any. */
  dropDamaged(oids: readonly Oid[]): Promise<boolean>;
  /** Where `ensureObjects` puts them. */
  store(): Promise<PathStore>;
  close(): Promise<void>;
}

/**
 * Opens what a Source means: a version in a mirror, a commit of the repository around a folder (no version), or the folder
 * itself (no commit either).
 */
export async function openImageTree(source: Source, mirrors: Mirrors): Promise<ImageTree> {
  if (source.commit === null) return openFolder(mirrors.localGit.at(source.url), mirrors.cache);
  if (source.version === null) {
    return openLocalCommit(await repositoryAt(mirrors.localGit, source.url), source.commit);
  }
  const { commit } = source;
  const mirror = await mirrors.get(source.url);
  await mirror.ensureCommit(commit);
  return {
    ...commitTree(mirror.files(commit), `${source.url} v${source.version}`),
    ensureObjects: (objects) => mirror.ensureObjects(commit, objects),
    dropDamaged: (oids) => dropDamaged(lfsStore(mirror.git.folder), oids),
    store: () => Promise.resolve(lfsStore(mirror.git.folder)),
    close: () => Promise.resolve(),
  };
}

function openLocalCommit(git: Git, commit: string): ImageTree {
  const objects = openGitObjects(git);
  const where = `commit ${commit.slice(0, 12)}`;
  return {
    ...commitTree(commitFiles(objects, commit, where), where),
    ensureObjects: () => Promise.resolve({ fetchedBytes: 0 }),
    dropDamaged: () => Promise.resolve(false), // the user's own
    store: () => repositoryStore(git),
    close: () => objects.close(),
  };
}

async function dropDamaged(store: PathStore, oids: readonly Oid[]): Promise<boolean> {
  let dropped = false;
  for (const oid of oids) {
    const isDamaged =
      (await store.has(oid)) &&
      (await store.verify(oid).then(
        () => false,
        () => true,
      ));
    if (!isDamaged) continue;
    await rm(store.pathOf(oid), { force: true });
    dropped = true;
  }
  return dropped;
}

function commitTree(
  files: CommitFiles,
  where: string,
): Pick<ImageTree, "where" | "readFile" | "listFiles" | "folderId" | "readPointer"> {
  return {
    where,
    readFile: (file, limit) => files.readFile(file, limit),
    listFiles: async (folder) =>
      (await files.listFolder(folder)).flatMap(({ kind, name }) => (kind === "file" ? [name] : [])),
    folderId: async (folder) => {
      const slash = folder.lastIndexOf("/");
      const entries = await files.listFolder(slash === -1 ? "" : folder.slice(0, slash));
      return entries.find(({ name, kind }) => kind === "folder" && name === folder.slice(slash + 1))?.oid;
    },
    readPointer: async (file) => {
      const content = await files.readFile(file, { maxBytes: MAX_POINTER_BYTES }).catch((error: unknown) => {
        throw isCode(error, "REPOSITORY_FILE_TOO_LARGE") ? notInLfs(file, where) : error;
      });
      const pointer = parseLfsPointer(content);
      if (pointer === undefined) throw notInLfs(file, where);
      return pointer;
    },
  };
}

/** A working folder. It is the user's own, but its files may come from a stranger's commit: no link leads out of it. */
function openFolder(git: Git, cache: string): ImageTree {
  const { folder } = git;
  const store = lfsStore(path.join(cache, "working"));
  return {
    where: folder,
    readFile: async (file, { maxBytes }) => {
      const { absolute, sizeBytes } = await plainFile(folder, file);
      if (sizeBytes > maxBytes) throw fileTooLarge(file, folder, { sizeBytes, maxBytes });
      return readFile(absolute);
    },
    listFiles: async (inside) => {
      const absolute = await plainPath(folder, inside);
      const entries = await readdir(absolute, { withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    },
    folderId: () => Promise.resolve(undefined),
    readPointer: async (file) => {
      const { absolute, sizeBytes } = await plainFile(folder, file);
      const pointer = sizeBytes > MAX_POINTER_BYTES ? undefined : parseLfsPointer(await readFile(absolute));
      return pointer ?? hashFile(absolute);
    },
    dropDamaged: () => Promise.resolve(false), // the user's own
    ensureObjects: async (objects) => {
      let fetchedBytes = 0;
      for (const object of objects) {
        if (await store.has(object.oid)) continue;
        const { absolute, sizeBytes } = await wholeFile(git, object);
        await store.add(object.oid, absolute);
        fetchedBytes += sizeBytes;
      }
      return { fetchedBytes };
    },
    store: () => Promise.resolve(store),
    close: () => Promise.resolve(),
  };
}

interface FoundFile {
  readonly absolute: string;
  readonly sizeBytes: number;
}

/** The object's file in the folder, or, where a clone has the pointer only, in its Git LFS store. */
async function wholeFile(
  git: Git,
  { oid, path: file }: { readonly oid: Oid; readonly path: string },
): Promise<FoundFile> {
  const { folder } = git;
  const found = await plainFile(folder, file);
  if (found.sizeBytes > MAX_POINTER_BYTES || parseLfsPointer(await readFile(found.absolute)) === undefined) {
    return found;
  }
  const stored = (await repositoryStore(git)).pathOf(oid);
  const info = await stat(stored).catch(() => undefined);
  if (info === undefined) throw objectMissing(oid, folder);
  return { absolute: stored, sizeBytes: info.size };
}

async function plainFile(folder: string, file: string): Promise<FoundFile> {
  const absolute = await plainPath(folder, file);
  const found = await lstat(absolute);
  if (!found.isFile()) throw fileRefused(file, folder, "is no plain file");
  return { absolute, sizeBytes: found.size };
}

/** Every folder on the way must be one itself, not a link to another. */
async function plainPath(folder: string, inside: string): Promise<string> {
  const problem = repositoryPathProblem(inside);
  if (problem !== undefined) throw fileRefused(inside, folder, problem);
  const absolute = path.join(await realpath(folder), inside);
  const real = await realpath(absolute).catch(() => undefined);
  if (real === undefined) {
    throw new CollectiveError("REPOSITORY_FILE_MISSING", `there is no ${inside} in ${folder}`, {
      data: { path: inside },
    });
  }
  if (real !== absolute) throw fileRefused(inside, folder, "is reached through a symlink");
  return absolute;
}

function fileRefused(file: string, folder: string, problem: string): CollectiveError {
  return new CollectiveError("REPOSITORY_FILE_REFUSED", `${file} in ${folder} ${problem}`, {
    data: { path: file },
    hint: "only plain files in plain folders of the repository are read",
  });
}

function fileTooLarge(
  file: string,
  folder: string,
  { sizeBytes, maxBytes }: { readonly sizeBytes: number; readonly maxBytes: number },
): CollectiveError {
  const message = `${file} in ${folder} is too large: it has ${sizeBytes} bytes, at most ${maxBytes} are read`;
  return new CollectiveError("REPOSITORY_FILE_TOO_LARGE", message, { data: { path: file, sizeBytes } });
}

function notInLfs(file: string, where: string): CollectiveError {
  return new CollectiveError("REPOSITORY_FILE_REFUSED", `${file} of ${where} is not in Git LFS`, {
    data: { path: file },
    hint: "publish it with `cui publish`, which puts packs, kernel and initrd into Git LFS",
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof CollectiveError && error.code === code;
}
