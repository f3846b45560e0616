/** The environment a rollout runs in: who approves, and from which branch alone it runs. */
import { CollectiveError } from "../errors.ts";
import { createOnce } from "./create-once.ts";
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge } from "./forge.ts";
import type { ProtectionStep, ProtectionWishes, Reviewer } from "./protection.ts";

interface ReviewerId {
  readonly type: "User" | "Team";
  readonly id: number;
}

interface PresentEnvironment {
  readonly waitTimer: number;
  readonly preventSelfReview: boolean;
  readonly reviewers: readonly ReviewerId[];
  readonly hasBranchPolicies: boolean;
}

const MAXIMUM_REVIEWERS = 6;

export async function protectEnvironment(
  forge: Forge,
  wishes: ProtectionWishes,
  branch: string,
): Promise<readonly ProtectionStep[]> {
  const present = await findEnvironment(forge, wishes);
  const asked = await Promise.all(wishes.reviewers.map((reviewer) => findReviewer(forge, reviewer)));
  const reviewers = unite(present?.reviewers ?? [], asked);
  if (reviewers.length > MAXIMUM_REVIEWERS) {
    throw new CollectiveError(
      "FORGE_REFUSED",
      `GitHub takes at most ${MAXIMUM_REVIEWERS} reviewers of an environment`,
      {
        data: { reasons: [] },
        hint: "name a team",
      },
    );
  }
  const isDone =
    present !== undefined && present.hasBranchPolicies && reviewers.length === present.reviewers.length;
  if (!isDone && !wishes.dryRun) await putEnvironment(forge, wishes, { present, reviewers });
  const policies = present?.hasBranchPolicies === true ? await listPolicies(forge, wishes) : [];
  const hasPolicy = policies.includes(branch);
  if (!hasPolicy && !wishes.dryRun) await createPolicy(forge, wishes, branch);
  const outcome = present === undefined ? "create" : isDone && hasPolicy ? undefined : "update";
  const text = `environment ${wishes.environment}: ${approvalOf(reviewers.length)}, from the branch ${branch} alone`;
  return [
    { part: "environment", outcome: outcomeOf(outcome, wishes.dryRun), text },
    ...notes({ reviewers: reviewers.length, others: policies.filter((name) => name !== branch) }),
  ];
}

function outcomeOf(change: "create" | "update" | undefined, dryRun: boolean): ProtectionStep["outcome"] {
  if (change === undefined) return "unchanged";
  if (change === "create") return dryRun ? "would create" : "created";
  return dryRun ? "would update" : "updated";
}

function approvalOf(reviewers: number): string {
  return reviewers === 0
    ? "nobody has to approve"
    : `one of ${reviewers} reviewer${reviewers === 1 ? "" : "s"} approves`;
}

function notes({ reviewers, others }: { reviewers: number; others: readonly string[] }): ProtectionStep[] {
  const result: ProtectionStep[] = [];
  if (reviewers === 0) {
    const text = "a rollout waits for nobody: whatever is merged runs";
    result.push({
      part: "environment",
      outcome: "note",
      text,
      hint: "--reviewer alice, or --reviewer acme/operators",
    });
  }
  if (others.length > 0) {
    const text = `other branches may run a rollout, too: ${others.join(", ")}`;
    result.push({ part: "environment", outcome: "note", text, hint: "Settings, Environments removes them" });
  }
  return result;
}

function environmentParameters({ repository, environment }: ProtectionWishes): {
  readonly owner: string;
  readonly repo: string;
  readonly environment_name: string;
} {
  return { ...repositoryParameters(repository), environment_name: environment };
}

async function findEnvironment(
  forge: Forge,
  wishes: ProtectionWishes,
): Promise<PresentEnvironment | undefined> {
  try {
    const { data } = await forge.rest.repos.getEnvironment(environmentParameters(wishes));
    const rules = data.protection_rules ?? [];
    const review = rules.flatMap((rule) => ("reviewers" in rule ? [rule] : []))[0];
    const timer = rules.flatMap((rule) => ("wait_timer" in rule ? [rule] : []))[0];
    const reviewers = (review?.reviewers ?? []).flatMap(({ type, reviewer }): ReviewerId[] =>
      type === undefined || reviewer === undefined ? [] : [{ type, id: reviewer.id }],
    );
    return {
      waitTimer: timer?.wait_timer ?? 0,
      preventSelfReview: review?.prevent_self_review ?? false,
      reviewers,
      hasBranchPolicies: data.deployment_branch_policy?.custom_branch_policies === true,
    };
  } catch (error) {
    if (hasCode(error, "FORGE_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** The call replaces every setting: those that are there are sent along. */
async function putEnvironment(
  forge: Forge,
  wishes: ProtectionWishes,
  { present, reviewers }: { present: PresentEnvironment | undefined; reviewers: readonly ReviewerId[] },
): Promise<void> {
  await forge.rest.repos.createOrUpdateEnvironment({
    ...environmentParameters(wishes),
    wait_timer: present?.waitTimer ?? 0,
    prevent_self_review: present?.preventSelfReview ?? false,
    reviewers: reviewers.length === 0 ? null : [...reviewers],
    deployment_branch_policy: { protected_branches: false, custom_branch_policies: true },
  });
}

async function listPolicies(forge: Forge, wishes: ProtectionWishes): Promise<string[]> {
  const parameters = { ...environmentParameters(wishes), per_page: 100 };
  const { data } = await forge.rest.repos.listDeploymentBranchPolicies(parameters);
  return data.branch_policies.flatMap(({ name }) => (name === undefined ? [] : [name]));
}

async function createPolicy(forge: Forge, wishes: ProtectionWishes, branch: string): Promise<void> {
  await createOnce(forge, {
    find: async () => (await listPolicies(forge, wishes)).find((name) => name === branch),
    create: async () => {
      const policy = { name: branch, type: "branch" } as const;
      await forge.rest.repos.createDeploymentBranchPolicy({ ...environmentParameters(wishes), ...policy });
      return branch;
    },
  });
}

async function findReviewer(forge: Forge, reviewer: Reviewer): Promise<ReviewerId> {
  const [org = "", team] = reviewer.split("/");
  if (team === undefined)
    return { type: "User", id: (await forge.rest.users.getByUsername({ username: org })).data.id };
  return { type: "Team", id: (await forge.rest.teams.getByName({ org, team_slug: team })).data.id };
}

function unite(present: readonly ReviewerId[], asked: readonly ReviewerId[]): ReviewerId[] {
  const added = asked.filter(
    ({ type, id }) => !present.some((entry) => entry.type === type && entry.id === id),
  );
  return [...present, ...added];
}
