/** Bumps of the default branch as commits that are nowhere yet but in the clone: each with its branch, title and preview. */
import { bumpBranch, BUMP_PREFIX } from "./branch.ts";
import { buildBumpCommit } from "./commit.ts";
import { readBumpRemote, type BumpRemote } from "./remote.ts";
import type { VersionChange } from "./resolve-update.ts";
import type { Git } from "../git/git.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import type { BlacklistEntry } from "../site/inventory.ts";
import { findBumps, isRemote, type FoundBump, type FoundBumps } from "./find-bumps.ts";
import { repositoryLabel } from "./groups.ts";
import { previewBump, type BumpPreview } from "./preview-bump.ts";
import { treeOf } from "../git/history.ts";

export interface PrepareOptions {
  /** Called in a folder of the clone: an appliance's, or a site's. */
  readonly git: Git;
  readonly mirrors: Mirrors;
  /** Default: the remote's default branch. */
  readonly branch?: string | undefined;
  readonly quarantine?: readonly BlacklistEntry[] | undefined;
  readonly now?: number | undefined;
}

export interface PreparedBump extends FoundBump {
  readonly branch: string;
  /** On the tip of the default branch. */
  readonly commit: string;
  readonly title: string;
  /** One line a repository. */
  readonly summary: string;
  readonly preview: BumpPreview;
  /** The same bump for a branch that may only go forward from `previous`. */
  readonly commitOnto: (previous: string) => Promise<string>;
}

export interface PreparedBumps {
  readonly remote: BumpRemote;
  readonly found: FoundBumps;
  readonly bumps: readonly PreparedBump[];
  /** What merging one of them publishes; undefined for a site, which has no versions. */
  readonly nextVersion: number | undefined;
  /** Whether the default branch holds just what the newest version does: only then is the next one nothing but the bump. */
  readonly isPublished: boolean;
}

/** @throws CollectiveError BUMP_NO_REMOTE, REPOSITORY_UNREACHABLE, and as findBumps. */
export async function prepareBumps(options: PrepareOptions): Promise<PreparedBumps> {
  const { git, branch } = options;
  const remote = await readBumpRemote({ git, prefix: BUMP_PREFIX, branch });
  const found = await findBumps({ ...options, rev: remote.tip });
  const bumps: PreparedBump[] = [];
  for (const bump of found.bumps) bumps.push(await prepareBump(bump, { ...options, remote, found }));
  const newest = remote.versions.at(-1);
  const isSite = found.inventory !== undefined;
  return {
    remote,
    found,
    bumps,
    nextVersion: isSite ? undefined : (newest?.version ?? 0) + 1,
    isPublished: newest !== undefined && (await isSameTree(git, newest.commit, remote.tip)),
  };
}

/** For a title: `Take DNS v6`. Nothing in it comes from a text that is not a number or a plain name. */
export function titleOf(changes: readonly VersionChange[]): string {
  const news = changes.filter(({ to }) => to !== undefined);
  const names = news.map(({ url, to }) => `${repositoryLabel(url)} v${to ?? 0}`);
  const title = `Take ${names.join(", ")}`;
  return title.length <= 70 ? title : `Take ${names[0] ?? ""} and ${names.length - 1} more`;
}

async function prepareBump(
  bump: FoundBump,
  {
    git,
    mirrors,
    remote,
    found,
  }: PrepareOptions & { readonly remote: BumpRemote; readonly found: FoundBumps },
): Promise<PreparedBump> {
  const title = titleOf(bump.changes);
  const summary = bump.changes.map(describeChange).join("\n");
  const files = new Map([...bump.files].map(([name, text]) => [found.base.pathOf(name), text]));
  const content = { git, base: remote.tip, files, subject: title, body: summary, date: bump.date };
  const commit = await buildBumpCommit(content);
  const { folder, url } = found.base;
  const sides = { git: git.at(folder), base: remote.tip, commit };
  const preview = await previewBump({ ...sides, cache: mirrors.cache, refusePaths: isRemote(url) });
  return {
    ...bump,
    branch: bumpBranch(bump.group),
    commit,
    title,
    summary,
    preview,
    commitOnto: (previous) => buildBumpCommit({ ...content, previous }),
  };
}

/** `https://…/DNS: v1 → v2`. URLs are normalised: they hold no blanks and no control characters. */
export function describeChange({ url, pin, from, to }: VersionChange): string {
  const pinned = pin === undefined ? "" : ` (pinned)`;
  if (to === undefined) return `${url}: v${from ?? 0} is no longer needed`;
  return from === undefined ? `${url}: new at v${to}${pinned}` : `${url}: v${from} → v${to}${pinned}`;
}

async function isSameTree(git: Git, a: string, b: string): Promise<boolean> {
  if (a === b) return true;
  const [left, right] = await Promise.all([treeOf(git, a), treeOf(git, b)]);
  return left !== undefined && left === right;
}
