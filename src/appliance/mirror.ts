/** A bare mirror of one repository in the user's cache: versions, files and Git LFS objects. */
import { rm, stat } from "node:fs/promises";
import type { Diagnostic } from "../diagnostics.ts";
import type { ObjectStore, Oid } from "../disk/object-store.ts";
import type { PathStore } from "../disk/path-store.ts";
import { CollectiveError } from "../errors.ts";
import { run } from "../io.ts";
import type { Git } from "../git/git.ts";
import { repositoryAt } from "../git/folder.ts";
import type { CommitFiles } from "../git/tree.ts";
import type { LfsClient } from "../lfs/client.ts";
import { copyObjects, lfsStore, objectMissing } from "../lfs/local-store.ts";
import { readableStores } from "../lfs/repository-store.ts";
import { MAX_POINTER_BYTES, parseLfsPointer } from "../lfs/pointer.ts";
import { ensureMirror, mirrorFolder } from "./mirror-cache.ts";
import { fetchMirror, type FetchTimeout } from "./fetch-mirror.ts";
import { openMended } from "./mended-mirror.ts";
import type { DefaultTip } from "./default-tip.ts";
import { reachedUrl } from "../git/reached-url.ts";
import { requireUrl, type RepositoryUrl } from "../git/url.ts";
import {
  MAX_WITHDRAWN_BYTES,
  parseWithdrawn,
  WITHDRAWN_FILE,
  type Version,
  type Withdrawn,
} from "./versions.ts";
import { findCommit } from "../git/history.ts";

/** A Git LFS object of a commit; `path` is where its pointer lies. */
export interface WantedObject {
  readonly oid: Oid;
  readonly path: string;
}

export interface Mirror {
  readonly url: string;
  /** The bare repository. */
  readonly git: Git;
  /** Brings branches and tags up to date, once for this Mirror. @throws REPOSITORY_MISSING, REPOSITORY_UNREACHABLE. */
  fetch(): Promise<void>;
  /** The files of a commit that is here. */
  files(commit: string): CommitFiles;
  /** Ascending. Tags that name no version or point at no commit are left out. */
  versions(): Promise<readonly Version[]>;
  /** What the tag of a version points at; undefined without such a tag. */
  commitOf(version: number): Promise<{ readonly commit: string; readonly tree: string } | undefined>;
  /** The object the tag's ref names itself: the commit, or an annotated tag's own object. */
  refOf(version: number): Promise<string | undefined>;
  /** From `withdrawn.yaml` on the default branch. */
  withdrawn(): Promise<{ readonly withdrawn: Withdrawn; readonly diagnostics: readonly Diagnostic[] }>;
  /** The commit of a branch, or of the default branch. */
  branchTip(branch?: string): Promise<string | undefined>;
  /** Makes sure that a commit is here, fetching when it is not. @throws REPOSITORY_COMMIT_MISSING. */
  ensureCommit(commit: string): Promise<void>;
  /** Fetches the objects that are not here; each is verified by its SHA-256. @throws REPOSITORY_OBJECT_MISSING, DISK_PACK_CORRUPT, LFS_*. */
  ensureObjects(commit: string, objects: readonly WantedObject[]): Promise<{ readonly fetchedBytes: number }>;
  /** Objects that are here. */
  objectStore(): ObjectStore;
  close(): Promise<void>;
}

export interface MirrorOptions {
  /** How long a fetch that begins now may take; 0 or less: none is begun. Default ten minutes. */
  readonly fetchTimeoutMs?: FetchTimeout;
}

/** Opens the mirror of a normalised URL and creates it when absent; nothing is fetched yet. */
export async function openMirror(
  url: string,
  options: MirrorOptions & { readonly git: Git; readonly cache: string },
): Promise<Mirror> {
  const remote = requireUrl(url, "/");
  const folder = mirrorFolder(remote.url, options.cache);
  const git = options.git.bare(folder);
  await ensureMirror(git);
  const mended = await openMended(git, remote, options.fetchTimeoutMs);
  let fetched: Promise<void> | undefined;
  let client: Promise<LfsClient> | undefined;
  // With its HTTP stack it is the largest part of most commands, and few of them download anything.
  const lfsClient = (): Promise<LfsClient> =>
    (client ??= import("../lfs/client.ts").then(({ openLfsClient }) =>
      openLfsClient({ url: remote.url, git }),
    ));
  const fetch = (): Promise<void> =>
    (fetched ??= fetchMirror(git, remote, options.fetchTimeoutMs).then(() => mended.refresh()));
  let origin: Promise<ObjectOrigin> | undefined;
  const originOf = (): Promise<ObjectOrigin> => (origin ??= findOrigin(git, remote));
  const files = (commit: string): CommitFiles => ({
    readFile: (file, limit) => mended.read((reader) => reader.files(commit).readFile(file, limit)),
    listFolder: (folder) => mended.read((reader) => reader.files(commit).listFolder(folder)),
  });
  const infoOf = (name: string) => mended.read(({ objects }) => objects.info(name));
  return {
    url: remote.url,
    git,
    fetch,
    files,
    versions: () => mended.read((reader) => reader.versions()),
    commitOf: (version) => mended.read((reader) => reader.commitOf(version)),
    refOf: async (version) => (await infoOf(`refs/tags/v${version}`))?.oid,
    withdrawn: async () =>
      readWithdrawn(remote.url, await mended.read((reader) => reader.defaultTip()), files),
    branchTip: async (branch) =>
      branch === undefined
        ? (await mended.read((reader) => reader.defaultTip())).commit
        : findCommit(git, `refs/heads/${branch}`),
    ensureCommit: async (commit) => {
      if ((await infoOf(commit))?.type === "commit") return;
      await fetch();
      if ((await infoOf(commit))?.type !== "commit") throw commitMissing(remote.url, commit);
    },
    ensureObjects: (commit, wanted) =>
      fetchObjects({ git, remote, commit, wanted, originOf, files: files(commit), lfsClient }),
    objectStore: () => lfsStore(folder),
    close: async () => {
      await Promise.all([mended.close(), client?.then((opened) => opened.close())]);
    },
  };
}

async function readWithdrawn(
  url: string,
  tip: DefaultTip,
  files: (commit: string) => CommitFiles,
): Promise<{ readonly withdrawn: Withdrawn; readonly diagnostics: readonly Diagnostic[] }> {
  if (tip.commit === undefined) return { withdrawn: new Map(), diagnostics: tip.diagnostics };
  try {
    const content = await files(tip.commit).readFile(WITHDRAWN_FILE, { maxBytes: MAX_WITHDRAWN_BYTES });
    return parseWithdrawn(content.toString("utf8"), `${url}:${WITHDRAWN_FILE}`);
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    if (error.code === "REPOSITORY_FILE_MISSING") return { withdrawn: new Map(), diagnostics: [] };
    const diagnostic: Diagnostic = {
      code: "WITHDRAWN_INVALID",
      severity: "error",
      message: error.message,
      span: undefined,
    };
    return { withdrawn: new Map(), diagnostics: [diagnostic] };
  }
}

/** Where a remote's objects come from: a folder's stores, or what speaks with its server. */
type ObjectOrigin =
  | { readonly kind: "http" }
  | { readonly kind: "ssh" }
  | { readonly kind: "local"; readonly stores: readonly PathStore[] };

async function findOrigin(git: Git, remote: RepositoryUrl): Promise<ObjectOrigin> {
  const reached = await reachedUrl(git, remote.url, "fetch");
  if (reached.kind !== "local") return { kind: reached.kind };
  return { kind: "local", stores: await readableStores(await repositoryAt(git, reached.folder)) };
}

interface FetchObjectsOptions {
  readonly git: Git;
  readonly remote: RepositoryUrl;
  readonly commit: string;
  readonly wanted: readonly WantedObject[];
  readonly originOf: () => Promise<ObjectOrigin>;
  readonly files: CommitFiles;
  readonly lfsClient: () => Promise<LfsClient>;
}

async function fetchObjects({
  git,
  remote,
  commit,
  wanted,
  ...rest
}: FetchObjectsOptions): Promise<{ readonly fetchedBytes: number }> {
  const store = lfsStore(git.folder);
  const present = await Promise.all(wanted.map((object) => isWhole(object, store, rest.files)));
  const absent = wanted.filter((_, index) => present[index] !== true);
  if (absent.length === 0) return { fetchedBytes: 0 };
  const origin = await rest.originOf();
  if (origin.kind === "http") return downloadObjects({ remote, wanted: absent, ...rest }, store);
  if (origin.kind === "ssh") return fetchRemoteObjects({ git, remote, commit, wanted: absent });
  const oids = absent.map(({ oid }) => oid);
  return { fetchedBytes: await copyObjects({ oids, from: origin.stores, to: store, where: remote.url }) };
}

/** Of another size than its pointer says, it is what a crash left: it goes, and is fetched again. */
async function isWhole(
  { oid, path: file }: WantedObject,
  store: PathStore,
  files: CommitFiles,
): Promise<boolean> {
  if (!(await store.has(oid))) return false;
  const content = await files.readFile(file, { maxBytes: MAX_POINTER_BYTES }).catch(() => undefined);
  const pointer = content === undefined ? undefined : parseLfsPointer(content);
  if (pointer?.oid !== oid || (await stat(store.pathOf(oid))).size === pointer.sizeBytes) return true;
  await rm(store.pathOf(oid), { force: true });
  return false;
}

/**
 * The objects' pointers say their sizes, which the server is asked with.
 * @throws CollectiveError REPOSITORY_OBJECT_MISSING where there is no such pointer, and those of LfsClient.download
 */
async function downloadObjects(
  {
    remote,
    files,
    wanted,
    lfsClient,
  }: Pick<FetchObjectsOptions, "remote" | "files" | "wanted" | "lfsClient">,
  store: PathStore,
): Promise<{ readonly fetchedBytes: number }> {
  const pointers = await Promise.all(
    wanted.map(async ({ oid, path: file }) => {
      const content = await files.readFile(file, { maxBytes: MAX_POINTER_BYTES }).catch(() => undefined);
      const pointer = content === undefined ? undefined : parseLfsPointer(content);
      if (pointer?.oid !== oid) throw objectMissing(oid, remote.url);
      return pointer;
    }),
  );
  return { fetchedBytes: await (await lfsClient()).download(pointers, store) };
}

/** Over ssh git-lfs speaks with the server, with the user's own ssh settings; the mirror's unborn HEAD keeps it from reading the repository's `.lfsconfig`. */
async function fetchRemoteObjects({
  git,
  remote,
  commit,
  wanted,
}: Pick<FetchObjectsOptions, "git" | "remote" | "commit" | "wanted">): Promise<{
  readonly fetchedBytes: number;
}> {
  const include = wanted.map(({ path: file }) => file.replace(/[\\*?[\]{}!,]/g, "?")).join(",");
  await run(
    git.command({
      args: [
        "-c",
        `remote.origin.url=${remote.url}`,
        ...["-c", "lfs.storage=lfs"],
        "lfs",
        "fetch",
        `--include=${include}`,
        "origin",
        commit,
      ],
    }),
  );
  const store = lfsStore(git.folder);
  let fetchedBytes = 0;
  for (const { oid } of wanted) {
    if (!(await store.has(oid))) throw objectMissing(oid, remote.url);
    await store.verify(oid);
    fetchedBytes += (await stat(store.pathOf(oid))).size;
  }
  return { fetchedBytes };
}

function commitMissing(url: string, commit: string): CollectiveError {
  return new CollectiveError("REPOSITORY_COMMIT_MISSING", `${url} has no commit ${commit}`, {
    data: { url, commit },
    hint: "its branch or tag was moved or deleted; ask its publisher",
  });
}
