/** The pull request a commit of the protected branch came from: what was previewed for it, and who approved it. */
import { visible } from "../diagnostics.ts";
import { readApproval, type Approval } from "../plan/approval.ts";
import type { Evidence } from "../manager/rollout/apply-commit.ts";
import type { Person, Approvals } from "../manager/rollout/approval-policy.ts";
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";
import { collectPages } from "./pages.ts";

export interface MergedPullOptions {
  readonly repository: RepositoryName;
  /** The merged commit: a merge, a squash, or the last commit of a rebase. */
  readonly commit: string;
  readonly branch: string;
  /** Of the site in the repository, `""` at the top: it names the check. */
  readonly folder: string;
  /** Slug of the app whose check runs are believed. */
  readonly planApp: string;
}

interface Pull {
  readonly number: number;
  readonly user: User | null;
  readonly author_association: string;
  readonly head: { readonly sha: string };
  readonly base: { readonly ref: string };
  readonly merged_at: string | null;
  readonly merge_commit_sha: string | null;
}

interface User {
  readonly login: string;
  readonly type: string;
}

const PLAN_CHECK = "collective/plan";
const PLAN_BLOCK = /^```json collective-approval\n([\s\S]*?)\n```$/m;

/** Undefined when the commit came from no pull request of the branch. */
export async function mergedPullEvidence(
  forge: Forge,
  options: MergedPullOptions,
): Promise<Evidence | undefined> {
  const pull = await findPull(forge, options);
  if (pull === undefined) return undefined;
  const found = (await approvalOfCheck(forge, options, pull)) ?? (await approvalOfRef(forge, options, pull));
  const approvals = await approvalsOf(forge, options, pull);
  const source = found?.source ?? `no plan of #${pull.number} was recorded`;
  return { approval: found?.approval, approvals, source };
}

async function findPull(forge: Forge, options: MergedPullOptions): Promise<Pull | undefined> {
  const { repository, commit, branch } = options;
  const pages = forge.paginate.iterator(forge.rest.repos.listPullRequestsAssociatedWithCommit, {
    ...repositoryParameters(repository),
    commit_sha: commit,
    per_page: 100,
  });
  const pulls: readonly Pull[] = await collectPages(pages, "pull requests of a commit");
  return pulls.find(
    (pull) => pull.merged_at !== null && pull.merge_commit_sha === commit && pull.base.ref === branch,
  );
}

interface FoundApproval {
  readonly approval: Approval;
  readonly source: string;
}

/** Anybody's app may make a check run of that name: only ours is believed. */
async function approvalOfCheck(
  forge: Forge,
  { repository, folder, planApp }: MergedPullOptions,
  pull: Pull,
): Promise<FoundApproval | undefined> {
  const { data } = await forge.rest.checks.listForRef({
    ...repositoryParameters(repository),
    ref: pull.head.sha,
    check_name: folder === "" ? PLAN_CHECK : `${PLAN_CHECK}/${folder}`,
    filter: "latest",
    per_page: 100,
  });
  const run = data.check_runs
    .filter(({ app, status }) => app?.slug === planApp && status === "completed")
    .sort((a, b) => b.id - a.id)[0];
  const json = PLAN_BLOCK.exec(run?.output.text?.replaceAll("\r\n", "\n") ?? "")?.[1];
  return json === undefined ? undefined : readFor(json, `the check run of #${pull.number}`, pull);
}

async function approvalOfRef(
  forge: Forge,
  { repository }: MergedPullOptions,
  pull: Pull,
): Promise<FoundApproval | undefined> {
  const target = repositoryParameters(repository);
  const ref = `collective/plans/${pull.head.sha}`;
  try {
    const { object } = (await forge.rest.git.getRef({ ...target, ref })).data;
    const { data } = await forge.rest.git.getBlob({ ...target, file_sha: object.sha });
    return readFor(Buffer.from(data.content, "base64").toString("utf8"), `refs/${ref}`, pull);
  } catch (error) {
    if (hasCode(error, "FORGE_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** A plan of an older head says nothing about this one. @throws CollectiveError INVALID_INPUT. */
function readFor(json: string, source: string, pull: Pull): FoundApproval | undefined {
  const approval = readApproval(json, source);
  return approval.head === pull.head.sha ? { approval, source } : undefined;
}

/** The author and who approved of the head as it was merged; each with the right to write, none of them a program. */
async function approvalsOf(forge: Forge, options: MergedPullOptions, pull: Pull): Promise<Approvals> {
  const persons: Person[] = [];
  const notCounted: string[] = [];
  const consider = async (user: User | null, association: string, how: string): Promise<void> => {
    if (user === null || persons.some(({ name }) => name === user.login)) return;
    const problem = await problemOf(forge, options.repository, { user, association });
    if (problem === undefined) persons.push({ name: user.login, how });
    else notCounted.push(`${visible(user.login)} (${problem})`);
  };
  await consider(pull.user, pull.author_association, "author");
  for (const [, review] of await latestReviews(forge, options, pull)) {
    const { user, author_association: association, state, commit_id: commit } = review;
    if (user === null || user.login === pull.user?.login) continue;
    if (state === "APPROVED" && commit === pull.head.sha) await consider(user, association, "approved");
    else
      notCounted.push(`${visible(user.login)} (${state === "APPROVED" ? OLDER : (STATES[state] ?? state)})`);
  }
  return { persons, notCounted };
}

const OLDER = "approved an older commit";
const STATES: Readonly<Record<string, string>> = {
  CHANGES_REQUESTED: "asks for changes",
  DISMISSED: "the approval was dismissed",
};

interface Review {
  readonly user: User | null;
  readonly state: string;
  readonly commit_id: string | null;
  readonly author_association: string;
}

/** Of each person the last review that says yes or no: a comment changes nothing. */
async function latestReviews(
  forge: Forge,
  { repository }: MergedPullOptions,
  pull: Pull,
): Promise<ReadonlyMap<string, Review>> {
  const pages = forge.paginate.iterator(forge.rest.pulls.listReviews, {
    ...repositoryParameters(repository),
    pull_number: pull.number,
    per_page: 100,
  });
  const reviews: readonly Review[] = await collectPages(pages, "reviews");
  const latest = new Map<string, Review>();
  for (const review of reviews) {
    if (review.state === "COMMENTED" || review.state === "PENDING" || review.user === null) continue;
    latest.set(review.user.login, review);
  }
  return latest;
}

const INSIDERS = new Set(["OWNER", "MEMBER", "COLLABORATOR"]);

/** Why somebody is not counted. Where the token may not ask for the right to write, the association has to do. */
async function problemOf(
  forge: Forge,
  repository: RepositoryName,
  { user, association }: { user: User; association: string },
): Promise<string | undefined> {
  if (user.type !== "User") return "a program";
  if (!INSIDERS.has(association)) return "no right to write";
  const target = { ...repositoryParameters(repository), username: user.login };
  try {
    const { permission } = (await forge.rest.repos.getCollaboratorPermissionLevel(target)).data;
    return ["admin", "maintain", "write"].includes(permission) ? undefined : "no right to write";
  } catch (error) {
    if (!hasCode(error, "FORGE_FORBIDDEN", "FORGE_NOT_FOUND")) throw error;
    return undefined;
  }
}
