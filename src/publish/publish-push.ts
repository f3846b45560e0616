/** Sends a version: its Git LFS objects first, then branch and tag at once; the folder's own refs follow only then. */
import { rename } from "node:fs/promises";
import path from "node:path";
import type { Oid } from "../disk/object-store.ts";
import type { PathStore } from "../disk/path-store.ts";
import { CollectiveError } from "../errors.ts";
import { git } from "../git/git.ts";
import { gitFolderOf } from "../git/folder.ts";
import { copyObjects, lfsStore, objectMissing } from "../lfs/local-store.ts";
import type { Mirror } from "../appliance/mirror.ts";
import type { BuiltCommit } from "./publish-commit.ts";
import { listNewPointers } from "../lfs/new-pointers.ts";
import type { Parent } from "./publish-parent.ts";
import { configValue } from "./repository-folder.ts";
import { isHttp, localFolder, type RepositoryUrl } from "../git/url.ts";

export interface SendOptions {
  readonly folder: string;
  readonly target: RepositoryUrl;
  readonly mirror: Mirror;
  readonly parent: Parent;
  readonly version: number;
  readonly commit: string;
}

/** Resolves to the bytes of objects sent. @throws CollectiveError REPOSITORY_PUBLISH_REFUSED, REPOSITORY_UNREACHABLE, REPOSITORY_OBJECT_MISSING. */
export async function sendVersion(options: SendOptions): Promise<number> {
  const { folder, target, parent, version, commit } = options;
  const sentBytes = await sendObjects(options);
  const args = ["push", "--quiet", "--atomic", "--no-verify", "--no-follow-tags", "--"];
  const refspecs = [`${commit}:refs/heads/${parent.branch}`, `${commit}:refs/tags/v${version}`];
  await git({ folder, args: [...args, target.url, ...refspecs] }).catch((error: unknown) => {
    throw pushError(error, options);
  });
  return sentBytes;
}

/** The folder's branch, tag, remote-tracking branch and index become those of the published commit. */
export async function recordLocally({
  folder,
  target,
  parent,
  version,
  built,
}: {
  readonly folder: string;
  readonly target: RepositoryUrl;
  readonly parent: Parent;
  readonly version: number;
  readonly built: BuiltCommit;
}): Promise<void> {
  const branch = `refs/heads/${parent.branch}`;
  if (parent.head === undefined) await git({ folder, args: ["symbolic-ref", "HEAD", branch] });
  const isOrigin = (await configValue(folder, "remote.origin.url")) === target.url;
  const refs = [
    branch,
    `refs/tags/v${version}`,
    ...(isOrigin ? [`refs/remotes/origin/${parent.branch}`] : []),
  ];
  const input = refs.map((ref) => `update ${ref}\0${built.commit}\0\0`).join("");
  await git({ folder, args: ["update-ref", "--stdin", "-z"], input });
  await rename(built.indexFile, path.join(await gitFolderOf(folder), "index"));
}

async function sendObjects({ folder, target, parent, commit }: SendOptions): Promise<number> {
  const known = parent.remoteTip === undefined ? [] : [parent.remoteTip];
  const oids = (await listNewPointers({ folder, commit, known })).map(({ oid }) => oid);
  if (oids.length === 0) return 0;
  const from = lfsStore(await gitFolderOf(folder));
  const local = localFolder(target);
  if (local !== undefined) {
    return copyObjects({ oids, from, to: lfsStore(await gitFolderOf(local)), where: folder });
  }
  if (isHttp(target)) return uploadObjects({ url: target.url, folder, oids, from });
  let bytes = 0;
  for (const oid of oids) {
    if (!(await from.has(oid))) throw objectMissing(oid, folder);
    const reader = await from.open(oid);
    bytes += reader.sizeBytes;
    await reader.close();
  }
  await git({ folder, args: ["lfs", "push", "--object-id", target.url, ...oids] });
  return bytes;
}

async function uploadObjects({
  url,
  folder,
  oids,
  from,
}: {
  readonly url: string;
  readonly folder: string;
  readonly oids: readonly Oid[];
  readonly from: PathStore;
}): Promise<number> {
  const { openLfsClient } = await import("../lfs/client.ts");
  const client = openLfsClient({ url, folder });
  try {
    return await client.upload(oids, from);
  } finally {
    await client.close();
  }
}

/** git says in English what happened: every call sets LC_ALL=C. */
function pushError(error: unknown, { mirror, version }: SendOptions): unknown {
  if (!(error instanceof CollectiveError) || error.code !== "PROCESS_FAILED") return error;
  const stderr = typeof error.data["stderr"] === "string" ? error.data["stderr"] : "";
  const lines = stderr.split("\n").filter((line) => /^\s*!|^(fatal|error|remote):/.test(line));
  const said = (lines.find((line) => line.includes("rejected")) ?? lines[0] ?? error.message).trim();
  const reasons = lines.filter((line) => line.startsWith("remote: ")).map((line) => line.trimEnd());
  const isRace =
    /already exists|fetch first|non-fast-forward|cannot lock ref|failed to update ref|stale info/.test(
      stderr,
    );
  const isRefused = isRace || /rejected/.test(stderr);
  if (!isRefused) {
    return new CollectiveError("REPOSITORY_UNREACHABLE", `cannot push to ${mirror.url}: ${said}`, {
      data: { url: mirror.url },
      hint: "nothing was published; check the URL and your access",
      cause: error,
    });
  }
  const message = isRace
    ? `somebody else published v${version} of ${mirror.url} at the same time`
    : [`${mirror.url} refused v${version}: ${said}`, ...reasons].join("\n");
  return new CollectiveError("REPOSITORY_PUBLISH_REFUSED", message, {
    data: { url: mirror.url, version, said },
    hint: isRace
      ? "`git pull --rebase`, then publish again"
      : "nothing was published; read what the repository says",
    cause: error,
  });
}
