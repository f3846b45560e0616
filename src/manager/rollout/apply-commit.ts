/**
 * From a commit of the protected branch to a rollout, once: one at a time works on a site, what was done is remembered, and
 * policy comes from what the branch was before.
 *
 * Policy in force is that of the newest commit that was looked at before, so a commit cannot loosen what it is judged by; it
 * is that of the first parent when nothing was rolled out yet. A commit that was refused counts as looked at: a change of
 * policy that was merged together with something that may not be done is in force for the next push.
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CollectiveError } from "../../errors.ts";
import type { Approval } from "../../plan/approval.ts";
import { canonicalJson } from "../../plan/digest.ts";
import { isAncestor, parentsOf, requireWholeHistory } from "../../git/history.ts";
import type { StateStore } from "../records/state-store.ts";
import type { Approvals } from "./approval-policy.ts";
import type { Inventory } from "../../site/inventory.ts";
import { ownState } from "../records/own-state.ts";
import { acquireLease, type Lease } from "../records/lease.ts";
import { rolloutSite, type RolloutOptions } from "./rollout.ts";
import {
  positionOf,
  readRolloutRecord,
  writeRolloutRecord,
  type RolloutRecord,
} from "../records/rollout-record.ts";
import { reasonLine, type RolloutReport } from "./rollout-report.ts";
import { readSiteAt, type SiteAtCommit } from "../../site/site-at-commit.ts";
import type { CommitId } from "../../git/commit-id.ts";

/** What is known of who approved a commit, and of what. */
export interface Evidence {
  readonly approval: Approval | undefined;
  readonly approvals: Approvals;
  /** Where the approval was found: `the check run of #12`; for people. */
  readonly source: string;
}

export interface ApplyCommitOptions extends Omit<
  RolloutOptions,
  "commit" | "site" | "policy" | "previewPolicy" | "approval" | "approvals" | "refusePaths"
> {
  readonly commit: CommitId;
  /** The newest commit of the protected branch. */
  readonly tip: CommitId;
  /** Asked once the rollout is ours; who may sign is in the policy. */
  readonly findEvidence: (policy: Inventory) => Promise<Evidence>;
  /** Whether imports of paths of this machine are refused under the policy in force. */
  readonly refusePaths: (policy: Inventory) => boolean;
  /** Where more of the history is known than the clone has; default the clone. */
  readonly isAncestor?: ((older: string, newer: string) => Promise<boolean>) | undefined;
  readonly acceptRewind?: string | undefined;
  /** Also a commit that was looked at before and did not come to run. */
  readonly retry?: boolean | undefined;
  /** How long to wait for another rollout of the site. */
  readonly waitMs: number;
  /** Called when it is clear that there is something to do. */
  readonly onBegin?: ((evidence: Evidence) => Promise<void>) | undefined;
}

export interface ApplyResult {
  /**
   * - `rolled-out`: it was carried out now, as the report says.
   * - `known`: it was looked at before, and nothing is new.
   * - `superseded`: something newer of the branch was looked at already.
   */
  readonly outcome: "rolled-out" | "known" | "superseded";
  readonly report: RolloutReport | undefined;
  readonly evidence: Evidence | undefined;
  /** What was known before, or is known now. */
  readonly record: RolloutRecord | undefined;
}

/** Stands for the site where a network's id would: no network can have it. */
const SITE_LEASE = "@rollout";
const RETRY_LEASE_MS = 500;

/**
 * @throws CollectiveError ROLLOUT_REWIND, ROLLOUT_HISTORY_MISSING, UTILITY_NETWORK_BUSY after waiting, UTILITY_INVENTORY_INVALID, and what `findEvidence` throws;
 *   then nothing was changed and nothing is remembered.
 */
export async function applyCommit(options: ApplyCommitOptions): Promise<ApplyResult> {
  await requireWholeHistory(options.git);
  const lease = await waitForLease(options);
  try {
    return await applyUnderLease(options);
  } finally {
    await lease.release();
  }
}

async function applyUnderLease(given: ApplyCommitOptions): Promise<ApplyResult> {
  const options = { ...given, store: await storeOfSite(given) };
  const { git, folder, commit, store } = options;
  const record = readRolloutRecord(await store.read(), folder);
  const isOlder = options.isAncestor ?? ((older, newer) => isAncestor(git, older, newer));
  const position = await positionOf({ ...options, record, isAncestor: isOlder });
  const nothing = { report: undefined, evidence: undefined, record };
  if (position === "superseded") return { ...nothing, outcome: "superseded" };
  const isAgain = position === "again";
  if (isAgain && record?.evaluated.outcome === "done") return { ...nothing, outcome: "known" };
  const site = await readSiteAt({ git, commit, folder });
  const policyCommit = await policyCommitOf(options, record, isAgain);
  const policy = (await readPolicy(options, policyCommit))?.inventory ?? site.inventory;
  const evidence = await options.findEvidence(policy);
  const digest = digestEvidence(evidence);
  if (isAgain && options.retry !== true && record?.evaluated.evidence === digest) {
    return { ...nothing, evidence, outcome: "known" };
  }
  await options.onBegin?.(evidence);
  const previewPolicy = await previewPolicyOf(options, { evidence, policyCommit });
  const { approval, approvals } = evidence;
  const refusePaths = options.refusePaths(policy);
  const parts = { site, policy, previewPolicy, approval, approvals, refusePaths };
  const report = await rolloutSite({ ...options, ...parts });
  const evaluated: RolloutRecord["evaluated"] = {
    commit,
    policy: policyCommit,
    outcome: report.outcome,
    evidence: digest,
    reason: reasonLine(report).slice(0, 500),
    at: new Date().toISOString(),
  };
  // What may succeed when it is tried again is not remembered: the next try then is the same as this one.
  if (!report.isWorthRetrying) await writeRolloutRecord(store, folder, { evaluated });
  return { outcome: "rolled-out", report, evidence, record: readRolloutRecord(await store.read(), folder) };
}

/** What another site's rollouts left behind says nothing of this one's branch. @throws CollectiveError STATE_OTHER_SITE. */
async function storeOfSite({ git, commit, folder, store }: ApplyCommitOptions): Promise<StateStore> {
  // A commit whose utility.yaml cannot be read is refused later, if it is to be rolled out at all.
  const site = await readSiteAt({ git, commit, folder }).catch(() => undefined);
  return ownState(store, site?.inventory.site);
}

/** A commit that is looked at again is judged by what it was judged by before: not by itself. */
async function policyCommitOf(
  { git, commit }: ApplyCommitOptions,
  record: RolloutRecord | undefined,
  isAgain: boolean,
): Promise<CommitId | null> {
  if (record !== undefined) return isAgain ? record.evaluated.policy : record.evaluated.commit;
  return (await parentsOf(git, commit))[0] ?? null;
}

/** Undefined where there is none: the first commit of a site, or one whose parent was no site yet. */
async function readPolicy(
  { git, folder }: ApplyCommitOptions,
  commit: string | null,
): Promise<SiteAtCommit | undefined> {
  if (commit === null) return undefined;
  try {
    return await readSiteAt({ git, commit, folder });
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "REPOSITORY_FILE_MISSING") return undefined;
    throw error;
  }
}

/**
 * The preview may have been made before the policy in force was merged. Its base must have been on the branch before the
 * commit; then it is used for nothing but to compute the input digest as the preview did.
 */
async function previewPolicyOf(
  options: ApplyCommitOptions,
  { evidence, policyCommit }: { evidence: Evidence; policyCommit: string | null },
): Promise<Inventory | undefined> {
  const base = evidence.approval?.base;
  if (base === undefined || base === policyCommit) return undefined;
  const { git, commit } = options;
  const before = [(await parentsOf(git, commit))[0], policyCommit].filter((known) => known != null);
  for (const known of before) {
    if (await isAncestor(git, base, known)) return (await readPolicy(options, base))?.inventory;
  }
  return undefined;
}

function digestEvidence({ approval, approvals }: Evidence): string {
  const persons = approvals.persons.map(({ name }) => name).sort();
  return createHash("sha256")
    .update(canonicalJson({ approval: approval ?? null, persons }))
    .digest("hex");
}

async function waitForLease(options: { store: StateStore; commit: string; waitMs: number }): Promise<Lease> {
  const deadline = Date.now() + options.waitMs;
  for (;;) {
    try {
      return await acquireLease({
        store: options.store,
        networkId: SITE_LEASE,
        command: `rollout of ${options.commit.slice(0, 12)}`,
      });
    } catch (error) {
      const isBusy = error instanceof CollectiveError && error.code === "UTILITY_NETWORK_BUSY";
      if (!isBusy || Date.now() >= deadline) throw error;
      await sleep(RETRY_LEASE_MS);
    }
  }
}
