/** The repository a clone came from, as far as bumps need it: its default branch, versions and bump branches; and pushing. */
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import { versionOfRef, type Version } from "../appliance/versions.ts";
import { push, type PushOptions, type PushResult } from "../git/push.ts";
import { configValue } from "../git/config.ts";
import { listRemoteRefs, type RemoteRefs } from "../git/refs.ts";

export interface BumpRemote {
  /** The default branch's name, without `refs/heads/`. */
  readonly branch: string;
  /** Its commit, which is in the clone. */
  readonly tip: string;
  /** Ascending. */
  readonly versions: readonly Version[];
  /** Commits of the branches that begin with the prefix, by full branch name. */
  readonly bumpBranches: ReadonlyMap<string, string>;
}

export interface ReadRemoteOptions {
  readonly git: Git;
  /** `collective/bump/` */
  readonly prefix: string;
  /** Default: what the remote's HEAD names. */
  readonly branch?: string | undefined;
}

const BRANCHES = "refs/heads/";

/**
 * Asks `origin`, and brings what it names into the clone; no ref of the clone changes.
 * @throws CollectiveError BUMP_NO_REMOTE, REPOSITORY_UNREACHABLE.
 */
export async function readBumpRemote({ git, prefix, branch }: ReadRemoteOptions): Promise<BumpRemote> {
  const refs = await askOrigin(git);
  const name = branch ?? refs.head?.slice(BRANCHES.length);
  const tip = name === undefined ? undefined : refs.ids.get(`${BRANCHES}${name}`);
  if (name === undefined || tip === undefined) {
    throw new CollectiveError(
      "BUMP_NO_REMOTE",
      name === undefined ? "origin has no default branch" : `origin has no branch ${visible(name)}`,
      { hint: "push the branch first: `git push -u origin main`" },
    );
  }
  const versions = new Map<number, Version>();
  const bumpBranches = new Map<string, string>();
  for (const [ref, commit] of refs.ids) {
    // The peeled line of an annotated tag comes after the tag's own, and has the commit.
    const version = versionOfRef(ref.replace(/\^\{\}$/, ""));
    if (version !== undefined) versions.set(version, { version, commit });
    if (ref.startsWith(`${BRANCHES}${prefix}`)) bumpBranches.set(ref.slice(BRANCHES.length), commit);
  }
  await bring(git, [tip, ...bumpBranches.values()]);
  const ascending = [...versions.values()].sort((a, b) => a.version - b.version);
  return { branch: name, tip, versions: ascending, bumpBranches };
}

/** What became of a push to origin that got there. */
export type BumpPush = Exclude<PushResult, { readonly kind: "unreachable" }>;

/** What git and the repository said of a push that was not taken; at most five lines, in one. */
export function wordsOf({ said, remote }: Exclude<BumpPush, { readonly kind: "ok" }>): string {
  return [...remote, said].slice(-5).join("; ");
}

/**
 * Pushes a bump branch, over `expected` alone: what somebody else pushed meanwhile stays. A repository that lets branches
 * only go forward refuses.
 */
export async function pushBumpBranch({
  git,
  branch,
  commit,
  expected,
}: {
  readonly git: Git;
  readonly branch: string;
  readonly commit: string;
  /** Undefined: the branch must not exist. */
  readonly expected: string | undefined;
}): Promise<BumpPush> {
  const ref = `refs/heads/${branch}`;
  return pushToOrigin(git, { refspecs: [`${commit}:${ref}`], lease: { ref, commit: expected } });
}

/** Pushes the default branch, and the next version's tag with it: both or neither. Never forced. */
export async function pushToDefaultBranch({
  git,
  branch,
  commit,
  version,
}: {
  readonly git: Git;
  readonly branch: string;
  readonly commit: string;
  readonly version: number | undefined;
}): Promise<BumpPush> {
  const tag = version === undefined ? [] : [`${commit}:refs/tags/v${version}`];
  return pushToOrigin(git, { refspecs: [`${commit}:refs/heads/${branch}`, ...tag], atomic: true });
}

/** Deletes a bump branch that still is at `expected`. */
export async function deleteBumpBranch(git: Git, branch: string, expected: string): Promise<BumpPush> {
  const ref = `refs/heads/${branch}`;
  return pushToOrigin(git, { refspecs: [`:${ref}`], lease: { ref, commit: expected } });
}

async function askOrigin(git: Git): Promise<RemoteRefs> {
  if ((await configValue(git, "remote.origin.url")) === undefined) {
    throw new CollectiveError("BUMP_NO_REMOTE", `${git.folder} is no clone: there is no origin to push to`, {
      hint: "`git remote add origin <url>`; without --push the working tree alone is changed",
    });
  }
  const patterns = ["HEAD", "refs/heads/*", "refs/tags/v*"];
  return listRemoteRefs(git, { of: "origin", patterns }).catch((error: unknown) => {
    throw new CollectiveError("REPOSITORY_UNREACHABLE", "origin does not answer", {
      hint: "try `git ls-remote origin`",
      cause: error,
    });
  });
}

/** Commits the clone lacks; asked for by id, which is what the remote has just named. */
async function bring(git: Git, commits: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const commit of new Set(commits)) {
    const { exitCode } = await git.status({ args: ["cat-file", "-e", `${commit}^{commit}`] });
    if (exitCode !== 0) missing.push(commit);
  }
  if (missing.length === 0) return;
  const args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"];
  await git.run({ args: [...args, "--", "origin", ...missing] });
}

/** @throws CollectiveError REPOSITORY_UNREACHABLE. */
async function pushToOrigin(git: Git, options: Omit<PushOptions, "to">): Promise<BumpPush> {
  const result = await push(git, { ...options, to: "origin" });
  if (result.kind !== "unreachable") return result;
  throw new CollectiveError("REPOSITORY_UNREACHABLE", `cannot push to origin: ${result.said}`, {
    hint: "check the remote and your access",
  });
}
