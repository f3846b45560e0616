/** Questions about the history of a repository: full commit ids in, full commit ids out. */
import { CollectiveError } from "../errors.ts";
import type { Git } from "./git.ts";
import { isCommitId, type CommitId } from "./commit-id.ts";

/** What a revision names, as a full id; undefined when the repository has no such commit. */
export async function findCommit(git: Git, revision: string): Promise<CommitId | undefined> {
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${revision}^{commit}`];
  const { stdout, exitCode } = await git.status({ args });
  const commit = stdout.trim();
  return exitCode === 0 && isCommitId(commit) ? commit : undefined;
}

/** Also true for equal commits; false for a commit that is not here. */
export async function isAncestor(git: Git, ancestor: string, commit: string): Promise<boolean> {
  if (!isCommitId(ancestor) || !isCommitId(commit)) return false;
  const args = ["merge-base", "--is-ancestor", ancestor, commit];
  return (await git.status({ args, allowedExitCodes: [0, 1, 128] })).exitCode === 0;
}

/** In their order; the first is what the branch was at before a merge. */
export async function parentsOf(git: Git, commit: string): Promise<readonly CommitId[]> {
  const text = await git.run({ args: ["rev-parse", "--end-of-options", `${commit}^@`] });
  return text.split("\n").filter(isCommitId);
}

/** The tree of a commit. */
export async function treeOf(git: Git, commit: string): Promise<string | undefined> {
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${commit}^{tree}`];
  const { stdout, exitCode } = await git.status({ args });
  return exitCode === 0 ? stdout.trim() : undefined;
}

/** What the branch was at, one after the other, after `from` until `to`, which is the last; at most the newest `limit`. */
export async function stepsBetween(
  git: Git,
  { from, to, limit }: { from: string; to: string; limit: number },
): Promise<CommitId[]> {
  const args = ["rev-list", "--first-parent", `--max-count=${limit}`, to, `^${from}`];
  const steps = (await git.run({ args })).split("\n").filter(isCommitId);
  return steps.reverse();
}

/** @throws CollectiveError ROLLOUT_HISTORY_MISSING for a clone that was cut off: who descends from whom cannot be told. */
export async function requireWholeHistory(git: Git): Promise<void> {
  const answer = await git.run({ args: ["rev-parse", "--is-shallow-repository"] });
  if (answer.trim() !== "true") return;
  throw new CollectiveError("ROLLOUT_HISTORY_MISSING", "the clone has only the newest part of the history", {
    hint: "check out with `fetch-depth: 0`, or run `git fetch --unshallow`",
  });
}
