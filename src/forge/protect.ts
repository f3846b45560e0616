/**
 * `cui protect`: tag ruleset, branch ruleset and environment of a repository. Running it again changes nothing; what people
 * made stricter stays; what cannot be set is said and does not keep the rest from being set.
 */
import { visible } from "../diagnostics.ts";
import { CollectiveError, type ErrorCode } from "../errors.ts";
import { protectEnvironment } from "./protect-environment.ts";
import { protectRuleset } from "./protect-ruleset.ts";
import { branchRuleset, tagRuleset } from "./protection-rules.ts";
import type { ProtectionPart, ProtectionReport, ProtectionStep, ProtectionWishes } from "./protection.ts";
import { repositoryParameters, type Forge } from "./forge.ts";

/** @throws CollectiveError FORGE_… when the repository itself cannot be read. */
export async function protectRepository(forge: Forge, wishes: ProtectionWishes): Promise<ProtectionReport> {
  const { data } = await forge.rest.repos.get(repositoryParameters(wishes.repository));
  const branch = wishes.branch ?? data.default_branch;
  const isDefaultBranch = branch === data.default_branch;
  const { checks, approvals } = wishes;
  const carryOut: Record<ProtectionPart, () => Promise<readonly ProtectionStep[]>> = {
    tags: () => protectRuleset(forge, wishes, { part: "tags", ruleset: tagRuleset() }),
    branch: () => {
      const ruleset = branchRuleset({ branch, isDefaultBranch, checks, approvals });
      return protectRuleset(forge, wishes, { part: "branch", ruleset });
    },
    environment: () => protectEnvironment(forge, wishes, branch),
  };
  const steps: ProtectionStep[] = [];
  for (const part of wishes.parts) {
    try {
      steps.push(...(await carryOut[part]()));
    } catch (error) {
      steps.push(refusal(part, error, data.private));
    }
  }
  const isComplete = !steps.some(({ outcome }) => outcome === "refused");
  return { repository: wishes.repository, steps, isComplete };
}

const names: Readonly<Record<ProtectionPart, string>> = {
  tags: "the versions (tags v*) cannot be protected",
  branch: "the branch cannot be protected",
  environment: "the environment cannot be set",
};

/** What GitHub does not let us set: worth a sentence, not the end; anything else (no network, no token) ends the command. */
const survivable: readonly ErrorCode[] = [
  "FORGE_FORBIDDEN",
  "FORGE_NOT_FOUND",
  "FORGE_REFUSED",
  "FORGE_CONFLICT",
];

function refusal(part: ProtectionPart, error: unknown, isPrivate: boolean): ProtectionStep {
  if (!(error instanceof CollectiveError) || !survivable.includes(error.code)) throw error;
  return {
    part,
    outcome: "refused",
    text: `${names[part]}: ${visible(error.message)}`,
    code: error.code,
    hint: hintFor(error, isPrivate),
  };
}

function hintFor({ code, hint }: CollectiveError, isPrivate: boolean): string {
  const plan =
    "the account's plan may have no such protection for private repositories: make it public, or change the plan";
  const right =
    "the token needs the right to administer the repository (classic: repo; fine-grained: Administration, write)";
  switch (code) {
    case "FORGE_FORBIDDEN":
    case "FORGE_REFUSED":
      return isPrivate ? plan : right;
    case "FORGE_NOT_FOUND":
      return right;
    default:
      return hint ?? "run the command again";
  }
}
