/** Sends a version: its Git LFS objects first, then branch and tag at once; the folder's own refs follow only then. */
import type { Oid } from "../disk/object-store.ts";
import type { PathStore } from "../disk/path-store.ts";
import { makeDiagnostic, type Diagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import { indexFileOf, replaceIndex } from "../git/index-file.ts";
import { repositoryAt } from "../git/folder.ts";
import { copyObjects, objectMissing } from "../lfs/local-store.ts";
import { ownStore, repositoryStore } from "../lfs/repository-store.ts";
import type { Mirror } from "../appliance/mirror.ts";
import type { BuiltCommit } from "./publish-commit.ts";
import { listNewPointers } from "../lfs/new-pointers.ts";
import type { Parent } from "./publish-parent.ts";
import { reachedUrl } from "../git/reached-url.ts";
import type { RepositoryUrl } from "../git/url.ts";
import { push, type PushResult } from "../git/push.ts";
import { configValue } from "../git/config.ts";
import type { LfsPointer } from "../lfs/pointer.ts";
import { pointRefs, setHead } from "../git/refs.ts";

export interface SendOptions {
  readonly git: Git;
  readonly target: RepositoryUrl;
  readonly mirror: Mirror;
  readonly parent: Parent;
  readonly version: number;
  readonly commit: string;
}

/** Resolves to the bytes of objects sent. @throws CollectiveError REPOSITORY_PUBLISH_REFUSED, REPOSITORY_UNREACHABLE, REPOSITORY_OBJECT_MISSING. */
export async function sendVersion(options: SendOptions): Promise<number> {
  const { git, target, parent, version, commit } = options;
  const sentBytes = await sendObjects(options);
  const refspecs = [`${commit}:refs/heads/${parent.branch}`, `${commit}:refs/tags/v${version}`];
  const result = await push(git, { to: target.url, refspecs, atomic: true });
  if (result.kind !== "ok") throw pushError(result, options);
  return sentBytes;
}

/** The folder's branch, tag, remote-tracking branch and index become those of the published commit. */
export async function recordLocally({
  git,
  target,
  parent,
  version,
  built,
}: {
  readonly git: Git;
  readonly target: RepositoryUrl;
  readonly parent: Parent;
  readonly version: number;
  readonly built: BuiltCommit;
}): Promise<void> {
  const branch = `refs/heads/${parent.branch}`;
  if (parent.head === undefined) await setHead(git, branch);
  const isOrigin = (await configValue(git, "remote.origin.url")) === target.url;
  const refs = [
    branch,
    `refs/tags/v${version}`,
    ...(isOrigin ? [`refs/remotes/origin/${parent.branch}`] : []),
  ];
  await pointRefs(git, refs, built.commit);
  await replaceIndex(await indexFileOf(git), built.indexFile);
}

/** Objects that would have to be sent and are not in the folder's store. */
export async function findUnsendable({
  git,
  parent,
  commit,
}: Pick<SendOptions, "git" | "parent" | "commit">): Promise<readonly Diagnostic[]> {
  const store = await repositoryStore(git);
  const missing: Diagnostic[] = [];
  for (const { oid } of await newObjects({ git, parent, commit })) {
    if (await store.has(oid)) continue;
    const { message, hint = "`git lfs fetch --all` brings what another clone has" } = objectMissing(
      oid,
      git.folder,
    );
    missing.push(makeDiagnostic("VERSION_OBJECT_MISSING", message, undefined, { hint }));
  }
  return missing;
}

function newObjects({
  git,
  parent,
  commit,
}: Pick<SendOptions, "git" | "parent" | "commit">): Promise<readonly LfsPointer[]> {
  const known = parent.remoteTip === undefined ? [] : [parent.remoteTip];
  return listNewPointers({ git, commit, known });
}

async function sendObjects({ git, target, parent, commit }: SendOptions): Promise<number> {
  const oids = (await newObjects({ git, parent, commit })).map(({ oid }) => oid);
  if (oids.length === 0) return 0;
  const from = await repositoryStore(git);
  const reached = await reachedUrl(git, target.url, "push");
  if (reached.kind === "local") {
    return copyObjects({
      oids,
      from: [from],
      to: await ownStore(await repositoryAt(git, reached.folder)),
      where: git.folder,
    });
  }
  if (reached.kind === "http") return uploadObjects({ url: target.url, git, oids, from });
  let bytes = 0;
  for (const oid of oids) {
    if (!(await from.has(oid))) throw objectMissing(oid, git.folder);
    const reader = await from.open(oid);
    bytes += reader.sizeBytes;
    await reader.close();
  }
  await git.run({ args: ["lfs", "push", "--object-id", target.url, ...oids] });
  return bytes;
}

async function uploadObjects({
  url,
  git,
  oids,
  from,
}: {
  readonly url: string;
  readonly git: Git;
  readonly oids: readonly Oid[];
  readonly from: PathStore;
}): Promise<number> {
  const { openLfsClient } = await import("../lfs/client.ts");
  const client = openLfsClient({ url, git });
  try {
    return await client.upload(oids, from);
  } finally {
    await client.close();
  }
}

function pushError(
  result: Exclude<PushResult, { kind: "ok" }>,
  { mirror, version }: SendOptions,
): CollectiveError {
  const { kind, said, remote } = result;
  const data = { url: mirror.url, version, said };
  if (kind === "forbidden" || kind === "unreachable") {
    return new CollectiveError("REPOSITORY_UNREACHABLE", `cannot push to ${mirror.url}: ${said}`, {
      data,
      hint: "nothing was published; check the URL and your access",
    });
  }
  if (kind === "stale") {
    const message = `somebody else published v${version} of ${mirror.url} at the same time`;
    const hint = "`git pull --rebase`, then publish again";
    return new CollectiveError("REPOSITORY_PUBLISH_REFUSED", message, { data, hint });
  }
  const message = [`${mirror.url} refused v${version}: ${said}`, ...remote].join("\n");
  const hint = "nothing was published; read what the repository says";
  return new CollectiveError("REPOSITORY_PUBLISH_REFUSED", message, { data, hint });
}
