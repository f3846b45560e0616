/** Onto what a version is built: the folder's own history, or the repository's where the folder has none. */
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import type { Mirror } from "../appliance/mirror.ts";
import type { Version } from "../appliance/versions.ts";
import { findCommit, isAncestor } from "../git/history.ts";
import { headBranch, listRefs } from "../git/refs.ts";

export interface Parent {
  /** The branch that is pushed, on both sides. */
  readonly branch: string;
  /** Undefined for the first commit of all. */
  readonly commit: string | undefined;
  /** HEAD of the folder; undefined without a commit. */
  readonly head: string | undefined;
  /** The branch's commit at the repository. */
  readonly remoteTip: string | undefined;
  readonly isFromRemote: boolean;
  /**
   * The repository is one version ahead of HEAD: this folder's own, when a publish ended between push and the folder's refs,
   * or somebody else's.
   */
  readonly isOneAhead: boolean;
}

export interface FindParentOptions {
  readonly git: Git;
  readonly mirror: Mirror;
  readonly newest: Version | undefined;
}

/** @throws CollectiveError REPOSITORY_PUBLISH_REFUSED when the repository has what the folder's history lacks. */
export async function findParent({ git, mirror, newest }: FindParentOptions): Promise<Parent> {
  const head = await findCommit(git, "HEAD");
  const branch = head === undefined ? await remoteBranch(mirror) : await currentBranch(git);
  const remoteTip = await mirror.branchTip(branch);
  if (head === undefined) await refuseElsewhere(git, branch);
  if (remoteTip !== undefined) await bringCommit(git, mirror, `refs/heads/${branch}`);
  const common = { branch, head, remoteTip };
  if (head === undefined) return { ...common, commit: remoteTip, isFromRemote: true, isOneAhead: false };
  await refuseTag(git, head, (newest?.version ?? 0) + 1);
  if (remoteTip === undefined || (await isAncestor(git, remoteTip, head))) {
    return { ...common, commit: head, isFromRemote: false, isOneAhead: false };
  }
  if (remoteTip !== newest?.commit || (await findCommit(git, `${remoteTip}^`)) !== head)
    throw behind(mirror, branch);
  return { ...common, commit: remoteTip, isFromRemote: false, isOneAhead: true };
}

const BRANCHES = "refs/heads/";

async function currentBranch(git: Git): Promise<string> {
  const branch = await headBranch(git);
  if (branch?.startsWith(BRANCHES) === true) return branch.slice(BRANCHES.length);
  throw new CollectiveError("REPOSITORY_PUBLISH_REFUSED", `HEAD of ${git.folder} is on no branch`, {
    hint: "check out the branch that is to be published: `git switch main`",
  });
}

/** The default branch's name: the mirror knows its commit. */
async function remoteBranch(mirror: Mirror): Promise<string> {
  const tip = await mirror.branchTip();
  const refs = tip === undefined ? [] : await listRefs(mirror.git, { pattern: BRANCHES, pointsAt: tip });
  const names = refs.map(({ name }) => name.slice(BRANCHES.length));
  return ["main", "master"].find((name) => names.includes(name)) ?? names[0] ?? "main";
}

/** Brings a branch's history from the mirror into the folder's repository, without a ref. */
async function bringCommit(git: Git, mirror: Mirror, ref: string): Promise<void> {
  const args = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--"];
  await git.run({ args: [...args, mirror.git.folder, ref] });
}

/** A linked work tree without a commit would take the branch from the one that has it checked out. */
async function refuseElsewhere(git: Git, branch: string): Promise<void> {
  const args = ["for-each-ref", "--format=%(worktreepath)", "--", `${BRANCHES}${branch}`];
  const elsewhere = (await git.run({ args })).trim();
  if (elsewhere === "") return;
  throw new CollectiveError(
    "REPOSITORY_PUBLISH_REFUSED",
    `${branch} is checked out in ${elsewhere}, and ${git.folder} has no commit of its own`,
    { hint: `publish from ${elsewhere}, or begin here with a branch that has a commit: \`git switch\`` },
  );
}

/** A version the user tagged but never pushed is published as it is, or not at all. */
async function refuseTag(git: Git, head: string, version: number): Promise<void> {
  const tagged = await findCommit(git, `refs/tags/v${version}`);
  if (tagged === undefined || tagged === head) return;
  throw new CollectiveError(
    "REPOSITORY_PUBLISH_REFUSED",
    `there is a tag v${version} in ${git.folder} that is not HEAD`,
    {
      hint: `publish it with \`git push\`, or delete it with \`git tag -d v${version}\``,
    },
  );
}

/** Somebody else published from this branch. */
export function behind(mirror: Mirror, branch: string): CollectiveError {
  return new CollectiveError(
    "REPOSITORY_PUBLISH_REFUSED",
    `${branch} of ${mirror.url} has commits that this folder lacks: somebody else published`,
    { data: { url: mirror.url, branch }, hint: "`git pull --rebase`, then publish again" },
  );
}
