/** The commits of a pull request in the job's checkout, which may be shallow; and what merging it would make. */
import { CollectiveError } from "../../errors.ts";
import type { Git } from "../../git/git.ts";
import { gitCredentialVariables, ownRepositoryUrl } from "../git-credentials.ts";
import type { JobContext } from "./job.ts";
import type { PullRequestEvent } from "./pull-request-event.ts";
import { push } from "../../git/push.ts";
import { isCommitId } from "../../git/commit-id.ts";
import { readCommit } from "../../git/commits.ts";

const FETCH_MS = 120_000;

export interface PreviewedCommits {
  /** What the change starts at, and whose policy holds. */
  readonly base: string;
  /** What is looked at: the merge GitHub made of both, where the checkout has it, else the head. */
  readonly head: string;
}

/**
 * Fetches what is missing. GitHub checks out the merge of head and base: its content is what merging gives, also when the
 * head's branch is behind, so that is what is previewed.
 * @throws CollectiveError REPOSITORY_COMMIT_MISSING.
 */
export async function pullRequestCommits(
  git: Git,
  pull: Pick<PullRequestEvent, "base" | "head" | "number">,
  env: JobContext["env"],
): Promise<PreviewedCommits> {
  const checkedOut = env["GITHUB_SHA"];
  const isCommit = checkedOut !== undefined && isCommitId(checkedOut);
  const parents = isCommit ? ((await readCommit(git, checkedOut))?.parents ?? []) : [];
  const [first, second, ...more] = parents;
  const isMerge = second === pull.head && more.length === 0;
  const commits =
    isMerge && first !== undefined && checkedOut !== undefined
      ? { base: first, head: checkedOut }
      : { base: pull.base, head: pull.head };
  for (const commit of [commits.base, commits.head])
    await ensureCommit(git, commit, { number: pull.number, env });
  return commits;
}

async function ensureCommit(
  git: Git,
  commit: string,
  { number, env }: { readonly number: number; readonly env: JobContext["env"] },
): Promise<void> {
  if (await hasCommit(git, commit)) return;
  // First as the checkout itself would; a private repository's may have kept no credentials: then with the job's token.
  // A head of a fork may only be reachable by the name of the pull request.
  for (const credentials of [{}, ownCredentials(env)]) {
    for (const wanted of [commit, `refs/pull/${number}/head`]) {
      await git.with(credentials).status({
        args: ["fetch", "--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "origin", wanted],
        allowedExitCodes: [0, 1, 128],
        timeoutMs: FETCH_MS,
      });
      if (await hasCommit(git, commit)) return;
    }
  }
  throw new CollectiveError(
    "REPOSITORY_COMMIT_MISSING",
    `the checkout has no commit ${commit}, and it cannot be fetched`,
    {
      data: { commit },
      hint: "actions/checkout with fetch-depth: 0 brings all; a force push may have removed it",
    },
  );
}

/** The job's token for its own repository, nowhere else. */
function ownCredentials(env: JobContext["env"]): Record<string, string> {
  const token = env["GITHUB_TOKEN"] ?? "";
  if (token === "") return {};
  return gitCredentialVariables([{ urlPrefix: ownRepositoryUrl(env), token }], env);
}

async function hasCommit(git: Git, commit: string): Promise<boolean> {
  const args = ["cat-file", "-e", `${commit}^{tree}`];
  return (await git.status({ args })).exitCode === 0;
}

/** Publishes the approval of `head` as a blob under refs/collective/plans/, with the checkout's own credentials. */
export async function pushPlanRef(git: Git, head: string, json: string): Promise<void> {
  const blob = await git.run({ args: ["hash-object", "-w", "--stdin"], input: json });
  const refspec = `+${blob.trim()}:refs/collective/plans/${head}`;
  const result = await push(git, { to: "origin", refspecs: [refspec], timeoutMs: FETCH_MS });
  if (result.kind === "ok") return;
  throw new CollectiveError("REPOSITORY_UNREACHABLE", `the plan cannot be pushed: ${result.said}`, {
    hint: "the job needs `contents: write`, and a checkout that kept its credentials",
  });
}
