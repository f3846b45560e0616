/** Who approved a commit, and of what, as far as git alone tells: plan refs and SSH signatures. */
import { readApproval } from "../plan/approval.ts";
import type { Git } from "../git/git.ts";
import { findPlanRef } from "./plan-refs.ts";
import { distinctSigners, signaturesOf } from "../git/signatures.ts";
import type { Evidence } from "../manager/rollout/apply-commit.ts";
import type { Approvals } from "../manager/rollout/approval-policy.ts";
import type { Inventory } from "../site/inventory.ts";

/** @throws CollectiveError INVALID_INPUT when the plan ref holds no approval: it was not made by a plan job. */
export async function gitEvidence(git: Git, commit: string, policy: Inventory): Promise<Evidence> {
  const plan = await findPlanRef(git, commit);
  const approval = plan === undefined ? undefined : readApproval(plan.json, plan.ref);
  const approvals = await signedApprovals(git, commit, policy);
  if (plan === undefined || approval?.head !== plan.commit) {
    const notCounted = plan === undefined ? [] : [`${plan.ref} (speaks of another commit)`];
    return {
      approval: undefined,
      approvals: { ...approvals, notCounted: [...approvals.notCounted, ...notCounted] },
      source: "no plan was recorded",
    };
  }
  return { approval, approvals, source: plan.ref };
}

async function signedApprovals(git: Git, commit: string, policy: Inventory): Promise<Approvals> {
  const { valid, refused } = await signaturesOf({
    git,
    commit,
    allowedSigners: policy.approval.signers,
  });
  const persons = distinctSigners(valid).map(({ signer, how }) => ({ name: signer, how }));
  return { persons, notCounted: refused };
}
