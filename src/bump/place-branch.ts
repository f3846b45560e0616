/** A bump's branch at the remote: made, moved or left, but never over a person's work. */
import { BUMP_PREFIX } from "./branch.ts";
import { isBumpCommit, isSameBump } from "./commit.ts";
import {
  deleteBumpBranch,
  pushBumpBranch,
  readBumpRemote,
  wordsOf,
  type BumpPush,
  type BumpRemote,
} from "./remote.ts";
import type { Git } from "../git/git.ts";
import type { PreparedBump, PreparedBumps } from "./prepare-bumps.ts";

export interface PlacedBranch {
  /** `edited`: a person's commits are on it, and stay. */
  readonly outcome: "created" | "updated" | "unchanged" | "edited" | "refused";
  /** What the branch holds now. */
  readonly commit: string;
  /** Why it was refused, in the repository's words. */
  readonly said?: string;
}

const MAX_ROUNDS = 4;

export async function placeBranch(
  git: Git,
  { remote }: Pick<PreparedBumps, "remote">,
  bump: PreparedBump,
): Promise<PlacedBranch> {
  let current = remote.bumpBranches.get(bump.branch);
  for (let round = 1; ; round += 1) {
    if (current !== undefined) {
      if (await isSameBump(git, current, bump.commit)) return { outcome: "unchanged", commit: current };
      if (!(await isBumpCommit(git, current))) return { outcome: "edited", commit: current };
    }
    const { result, commit } = await pushOver(git, bump, current);
    if (result.kind === "ok") {
      return { outcome: current === undefined ? "created" : "updated", commit };
    }
    if (result.kind !== "stale" || round === MAX_ROUNDS) {
      return { outcome: "refused", commit: current ?? bump.commit, said: wordsOf(result) };
    }
    current = (await readAgain(git, remote)).bumpBranches.get(bump.branch);
  }
}

/** Branches of bumps that nobody proposes any more go, unless a person worked on them or the repository keeps all branches. */
export async function removeMootBranches(
  git: Git,
  { remote, bumps, found }: Pick<PreparedBumps, "remote" | "bumps" | "found">,
  branchOf: (group: string) => string,
): Promise<readonly string[]> {
  const wanted = new Set([
    ...bumps.map(({ branch }) => branch),
    ...found.problems.map(({ group }) => branchOf(group)),
  ]);
  const removed: string[] = [];
  for (const [branch, commit] of remote.bumpBranches) {
    if (wanted.has(branch) || !(await isBumpCommit(git, commit))) continue;
    const { kind } = await deleteBumpBranch(git, branch, commit);
    if (kind === "ok") removed.push(branch);
  }
  return removed;
}

/** Where a branch may only go forward, what it held becomes the second parent. */
async function pushOver(
  git: Git,
  bump: PreparedBump,
  current: string | undefined,
): Promise<{ readonly result: BumpPush; readonly commit: string }> {
  const target = { git, branch: bump.branch, expected: current };
  const result = await pushBumpBranch({ ...target, commit: bump.commit });
  if (result.kind !== "forward-only" && result.kind !== "denied") return { result, commit: bump.commit };
  if (current === undefined) return { result, commit: bump.commit };
  const forward = await bump.commitOnto(current);
  return { result: await pushBumpBranch({ ...target, commit: forward }), commit: forward };
}

async function readAgain(git: Git, { branch }: BumpRemote): Promise<BumpRemote> {
  return readBumpRemote({ git, prefix: BUMP_PREFIX, branch });
}
