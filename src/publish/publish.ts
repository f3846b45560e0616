/** `cui publish`: a working folder becomes the next version of an appliance repository, or nothing happens. */
import { lstat, readdir, realpath, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { hasErrors, type Diagnostic, type TextOf } from "../diagnostics.ts";
import type { WriteProgress } from "../disk/write-program-disk.ts";
import { CollectiveError } from "../errors.ts";
import { withFileLock } from "../file-lock.ts";
import { stderrOf } from "../io.ts";
import { newestReachable, storeDisks } from "./add-disks.ts";
import { readApplianceFolder, type ApplianceFolder } from "./appliance-folder.ts";
import { damaged } from "../git/damage.ts";
import type { Git } from "../git/git.ts";
import { gitFolderOf, repositoryAt, workTreeTop } from "../git/folder.ts";
import { openImageTree, type ImageTree } from "../appliance/version-files.ts";
import type { Mirror } from "../appliance/mirror.ts";
import { withMirrors, type Mirrors } from "../appliance/mirrors.ts";
import { PACKS_FOLDER, type AddedDisk } from "./write-program-disks.ts";
import { LOCK_FILE } from "../appliance/lock.ts";
import { diskIndexPath } from "../appliance/disk-name.ts";
import { buildCommit, type BuiltCommit } from "./publish-commit.ts";
import { behind, findParent, type Parent } from "./publish-parent.ts";
import { recordLocally, sendVersion, findUnsendable } from "./publish-push.ts";
import { initRepositoryFolder } from "./repository-folder.ts";
import { objectFormatOf, type ObjectFormat } from "../git/object-format.ts";
import { listRefs } from "../git/refs.ts";
import { localFolder, requireUrl, type RepositoryUrl } from "../git/url.ts";
import { MAX_WITHDRAWN_BYTES, WITHDRAWN_FILE, type Version } from "../appliance/versions.ts";
import { ALL_RULES, checkVersion } from "./check-version.ts";
import { openCandidate } from "./version-candidate.ts";
import { openGitObjects } from "../git/objects.ts";

export interface PublishOptions {
  /** Path (relative to `cwd`) or URL of the repository. */
  readonly repository: string;
  /** The CVL file, relative to `cwd`; its folder is published. */
  readonly cvl: string;
  readonly cwd: string;
  readonly object?: string;
  /** Of the commit; default `Publish v<version>`. */
  readonly message?: string;
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
  readonly onProgress?: (source: string, progress: WriteProgress) => void;
  /** Told for whom we wait, when somebody publishes the same folder. */
  readonly onWait?: ((message: string) => void) | undefined;
}

export interface PublishReport {
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** Undefined when diagnostics has errors: then nothing was published. */
  readonly published: PublishedVersion | undefined;
}

export interface PublishedVersion {
  readonly url: string;
  readonly version: number;
  readonly commit: string;
  readonly disks: readonly AddedDisk[];
  /** Bytes of Git LFS objects that were sent. */
  readonly sentBytes: number;
}

/**
 * Checks the CVL, stores the disks, commits the folder, pushes branch and tag at once. No branch or tag changes locally before
 * the push has succeeded.
 * @throws CollectiveError REPOSITORY_MISSING, REPOSITORY_UNREACHABLE, REPOSITORY_PUBLISH_REFUSED, REPOSITORY_NOTHING_NEW,
 * REPOSITORY_FOLDER_TRACKED, REPOSITORY_DISK_MISSING
 */
export async function publish(git: Git, options: PublishOptions): Promise<PublishReport> {
  const target = requireUrl(options.repository, options.cwd);
  return withMirrors(
    git,
    async (mirrors) => {
      const mirror = await mirrors.get(target.url);
      await mirror.fetch();
      const baseUrl = target.url;
      const appliance = await readApplianceFolder(mirrors, { ...options, baseUrl });
      if (appliance.tree === undefined) return refused(appliance);
      const at = git.at(appliance.folder);
      return inRepository({ git: at, target, mirror, onWait: options.onWait }, () =>
        publishFolder({ options, git: at, target, mirrors, mirror, appliance }),
      );
    },
    { cache: options.cache },
  );
}

interface RepositoryOptions extends Pick<PublishOptions, "onWait"> {
  readonly git: Git;
  readonly target: RepositoryUrl;
  readonly mirror: Mirror;
}

/** Makes the folder a repository where it is none, and removes it again when nothing was published. */
async function inRepository(
  { git, target, mirror, onWait }: RepositoryOptions,
  work: () => Promise<PublishReport>,
): Promise<PublishReport> {
  const { folder } = git;
  const top = await workTreeTop(git);
  // git resolves symbolic links, and the folder may be named by one.
  const isNew = top === undefined || path.relative(top, await realpath(folder)) !== "";
  if (isNew) await refuseUnreadable(git);
  if (isNew && top !== undefined) await refuseTrackedFolder(git, top);
  const objectFormat = await publishedFormat(git, target, mirror);
  if (isNew) await initRepositoryFolder(git, { origin: target.url, objectFormat });
  else await refuseOtherFormat(git, target, objectFormat);
  const file = path.join(await gitFolderOf(git), "cui-publish.lock");
  let isPublished = false;
  try {
    const report = await withFileLock({ file, purpose: "cui publish", onWait }, work);
    isPublished = report.published !== undefined;
    return report;
  } finally {
    if (isNew && !isPublished) await rm(path.join(folder, ".git"), { recursive: true, force: true });
  }
}

/** How the repository names objects; undefined where an empty one does not tell. */
async function publishedFormat(
  git: Git,
  target: RepositoryUrl,
  mirror: Mirror,
): Promise<ObjectFormat | undefined> {
  const local = localFolder(target);
  if (local !== undefined) return objectFormatOf(await repositoryAt(git, local));
  const isEmpty = (await listRefs(mirror.git, { pattern: "refs", limit: 1 })).length === 0;
  return isEmpty ? undefined : objectFormatOf(mirror.git);
}

async function refuseOtherFormat(
  git: Git,
  target: RepositoryUrl,
  wanted: ObjectFormat | undefined,
): Promise<void> {
  const found = await objectFormatOf(git);
  if (wanted === undefined || found === undefined || wanted === found) return;
  const message = `${target.url} names objects by ${wanted}, ${git.folder} by ${found}: git cannot push from one to the other`;
  throw new CollectiveError("REPOSITORY_PUBLISH_REFUSED", message, {
    hint: `publish from a clone of ${target.url}, or from the folder without its .git`,
  });
}

interface FolderOptions {
  /** Of the appliance's folder. */
  readonly git: Git;
  readonly options: PublishOptions;
  readonly target: RepositoryUrl;
  readonly mirrors: Mirrors;
  readonly mirror: Mirror;
  readonly appliance: ApplianceFolder;
}

async function publishFolder(context: FolderOptions): Promise<PublishReport> {
  const { options, git, target, mirror, appliance } = context;
  const { folder } = git;
  const versions = await mirror.versions();
  const newest = versions.at(-1);
  const version = (newest?.version ?? 0) + 1;
  const parent = await findParent({ git, mirror, newest });
  await keepWithdrawn(folder, mirror, parent);
  const previous = await previousVersion(context, parent, newest);
  const disks = await storeDisks({ appliance, previous, onProgress: options.onProgress }).finally(() =>
    previous?.close(),
  );
  if (appliance.tree === undefined) return refused(appliance);
  const built = await buildCommit({
    git,
    parent: parent.commit,
    message: options.message ?? `Publish v${version}`,
    inLfs: appliance.bootFiles,
    needed: await neededFiles(appliance, path.basename(options.cvl)),
    keptOut: [...appliance.programDisks, ...appliance.dataDisks],
  });
  try {
    if (newest !== undefined) await refuseSame({ git, target, mirror, parent, newest, built });
    if (parent.isOneAhead) throw behind(mirror, parent.branch);
    const checked = await checkBuilt(context, { built, parent, version, versions });
    if (hasErrors(checked.diagnostics)) return refused(checked);
    const sentBytes = await sendVersion({ git, target, mirror, parent, version, commit: built.commit });
    await recordLocally({ git, target, parent, version, built }).catch((error: unknown) => {
      throw notRecorded(error, version);
    });
    const published = { url: target.url, version, commit: built.commit, disks, sentBytes };
    return { diagnostics: checked.diagnostics, textOf: checked.textOf, published };
  } finally {
    await rm(built.indexFile, { force: true });
  }
}

/** What makes the folder a version: none of it may be left out because a pattern of the user's own says so. */
async function neededFiles(appliance: ApplianceFolder, cvl: string): Promise<readonly string[]> {
  const { folder, programDisks, bootFiles, descriptions } = appliance;
  const packs = programDisks.length === 0 ? [] : await readdir(path.join(folder, PACKS_FOLDER));
  return [
    ...[cvl, LOCK_FILE, WITHDRAWN_FILE, ".gitattributes", ...descriptions, ...bootFiles],
    ...programDisks.map(diskIndexPath),
    ...packs.filter((name) => /^[0-9a-f]{64}\.pack$/.test(name)).map((name) => `${PACKS_FOLDER}/${name}`),
  ];
}

/** By the rules that the repository's hook and a release hold it to. */
async function checkBuilt(
  { git, target, mirrors }: FolderOptions,
  made: {
    readonly built: BuiltCommit;
    readonly parent: Parent;
    readonly version: number;
    readonly versions: readonly Version[];
  },
): Promise<Pick<ApplianceFolder, "diagnostics" | "textOf">> {
  const { built, parent, version, versions } = made;
  const objects = openGitObjects(git);
  try {
    const candidate = openCandidate({
      ...{ where: `v${version}`, mirrors, git, objects, commit: built.commit, version },
      numbers: new Set(versions.map((entry) => entry.version)),
      imports: { baseUrl: target.url },
      findMissing: () => findUnsendable({ git, parent, commit: built.commit }),
    });
    return { diagnostics: await checkVersion(candidate, ALL_RULES), textOf: candidate.textOf };
  } finally {
    await objects.close();
  }
}

/** The version is out; the folder's own branch, tag and index follow when publishing is tried again. */
function notRecorded(error: unknown, version: number): unknown {
  if (!(error instanceof CollectiveError)) return error;
  return new CollectiveError(
    error.code,
    `v${version} is published, but not recorded here: ${error.message}`,
    {
      data: error.data,
      hint: [error.hint, "then publish again, which records it"]
        .filter((part) => part !== undefined)
        .join("; "),
      cause: error,
    },
  );
}

function refused({ diagnostics, textOf }: Pick<ApplianceFolder, "diagnostics" | "textOf">): PublishReport {
  return { diagnostics, textOf, published: undefined };
}

/** What the disks are stored against: the newest version in the folder's own history, for a new folder the repository's newest. */
async function previousVersion(
  { git, mirrors, mirror }: FolderOptions,
  parent: Parent,
  newest: Version | undefined,
): Promise<ImageTree | undefined> {
  if (!parent.isFromRemote) return newestReachable(git, mirrors);
  if (newest === undefined) return undefined;
  return openImageTree({ url: mirror.url, ...newest }, mirrors);
}

/** A folder that has no history of its own must not lose what was withdrawn. */
async function keepWithdrawn(folder: string, mirror: Mirror, parent: Parent): Promise<void> {
  if (!parent.isFromRemote || parent.commit === undefined) return;
  const limit = { maxBytes: MAX_WITHDRAWN_BYTES };
  const content = await mirror
    .files(parent.commit)
    .readFile(WITHDRAWN_FILE, limit)
    .catch(() => undefined);
  if (content === undefined) return;
  await writeFile(path.join(folder, WITHDRAWN_FILE), content, { flag: "wx" }).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  });
}

interface SameOptions {
  readonly git: Git;
  readonly target: RepositoryUrl;
  readonly mirror: Mirror;
  readonly parent: Parent;
  readonly newest: Version;
  readonly built: BuiltCommit;
}

/** Where an earlier publish ended after its push, the folder's refs follow now. */
async function refuseSame({ git, target, mirror, parent, newest, built }: SameOptions): Promise<void> {
  if ((await mirror.commitOf(newest.version))?.tree !== built.tree) return;
  if ((parent.isOneAhead || parent.head === undefined) && parent.remoteTip === newest.commit) {
    await recordLocally({ git, target, parent, version: newest.version, built });
  }
  throw new CollectiveError(
    "REPOSITORY_NOTHING_NEW",
    `${git.folder} is what v${newest.version} of ${mirror.url} holds`,
    {
      hint: "change something first",
    },
  );
}

/** What git does not take for a repository (it is damaged, or somebody else's) is not made anew, and above all not removed. */
async function refuseUnreadable(git: Git): Promise<void> {
  const gitFolder = path.join(git.folder, ".git");
  if ((await lstat(gitFolder).catch(() => undefined)) === undefined) return;
  try {
    // Inside another repository git finds that one.
    await git.run({ args: ["rev-parse", "--git-dir"] });
  } catch (error) {
    if (!stderrOf(error).includes("not a git repository")) throw error;
  }
  throw damaged(gitFolder, "git does not take it for a repository");
}

/** A folder that another repository keeps cannot be one itself. */
async function refuseTrackedFolder(git: Git, top: string): Promise<void> {
  const { stdout } = await git.status({ args: ["ls-files", "--", "."] });
  if (stdout === "") return;
  throw new CollectiveError(
    "REPOSITORY_FOLDER_TRACKED",
    `${git.folder} is part of the git repository ${top}`,
    {
      hint: "an appliance has a repository of its own: move the folder out of the other",
    },
  );
}
