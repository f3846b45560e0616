/**
 * One look of the runner: fetches, and rolls out what the protected branch says. It takes no commands; all it knows comes from
 * git, from the forge, and from the state.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../../errors.ts";
import { writeFileAtomically } from "../../io.ts";
import { stepsBetween } from "../../git/history.ts";
import { findPlanRef } from "../plan-refs.ts";
import type { StateStore } from "../../manager/records/state-store.ts";
import { applyCommit, type ApplyResult, type Evidence } from "../../manager/rollout/apply-commit.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { RolloutOptions } from "../../manager/rollout/rollout.ts";
import { readRolloutRecord, type RolloutRecord } from "../../manager/records/rollout-record.ts";
import { reasonLine, rolloutToJson, STATUS_FORMAT } from "../../manager/rollout/rollout-report.ts";
import { readSiteAt } from "../../site/site-at-commit.ts";
import { gitEvidence } from "../git-evidence.ts";
import { mergedPullEvidence } from "../merged-pull.ts";
import { reportRollout, type RolloutNotice } from "../report-rollout.ts";
import { refusesPaths } from "../site-source.ts";
import type { Log } from "./run-log.ts";
import type { RunnerForge } from "./runner-forge.ts";
import type { SiteMirror } from "./site-mirror.ts";
import { pushStatusRef } from "./status-ref.ts";
import { inWorkFolder } from "./work-folder-lock.ts";
import type { CommitId } from "../../git/commit-id.ts";

export interface PassOptions extends Pick<
  RolloutOptions,
  "connect" | "shareObjects" | "loadMacKey" | "env" | "progress" | "limits" | "cache"
> {
  /** Work folder: mirror and lock. */
  readonly dir: string;
  readonly mirror: SiteMirror;
  readonly store: StateStore;
  readonly github: RunnerForge | undefined;
  /** Of the site in the repository, `""` at the top. */
  readonly folder: string;
  /** The protected branch, where the site's policy shall not say. */
  readonly branch: string | undefined;
  readonly environment: string;
  readonly planApp: string;
  readonly acceptRewind: string | undefined;
  readonly retry: boolean;
  readonly log: Log;
  /** Aborted to stop after what is being done. */
  readonly signal: AbortSignal;
}

export interface PassResult {
  /** `idle`: nothing was new. `pending`: something failed that is worth another try soon. */
  readonly outcome: "idle" | "done" | "refused" | "failed" | "pending";
}

const DEFAULT_BRANCH = "main";
/** A runner that was away carries out so many commits one after the other; of more, the newest. */
const MOST_STEPS = 50;
const WAIT_MS = 600_000;

/** Waits for another runner on the same work folder, and looks at what the branch is then. @throws CollectiveError REPOSITORY_…, ROLLOUT_REWIND. */
export async function runPass(options: PassOptions): Promise<PassResult> {
  const result = await inWorkFolder(options, async () => {
    const { mirror, store, folder } = options;
    const branch = await branchOf(options);
    const tip = await mirror.fetch(branch);
    await mirror.fetchPreviewed();
    const record = readRolloutRecord(await store.read(), folder);
    let outcome: PassResult["outcome"] = "idle";
    for (const commit of await commitsToTake(options, record?.evaluated.commit, tip)) {
      const result = await takeCommit({ ...options, branch, tip }, commit);
      outcome = result === "idle" ? outcome : result;
      if (result === "pending") break;
    }
    return { outcome };
  });
  return result ?? { outcome: "idle" };
}

/** What the policy names that was in force last; before anything was rolled out, that of the branch a clone begins with. */
async function branchOf(options: PassOptions): Promise<string> {
  const { branch, mirror, store, folder } = options;
  if (branch !== undefined) return branch;
  const record = readRolloutRecord(await store.read(), folder);
  const known = record?.evaluated.commit;
  const inventory = known === undefined ? undefined : await inventoryAt(options, known);
  if (inventory !== undefined) return inventory.rollout.branch;
  const first = (await mirror.defaultBranch()) ?? DEFAULT_BRANCH;
  const tip = await mirror.fetch(first);
  return (await inventoryAt(options, tip))?.rollout.branch ?? first;
}

/** Undefined where the commit is not here (another work folder) or is no site. */
async function inventoryAt({ mirror, folder }: PassOptions, commit: string): Promise<Inventory | undefined> {
  try {
    return (await readSiteAt({ git: mirror.git, folder, commit })).inventory;
  } catch (error) {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  }
}

/**
 * The newest commit, and before it those that have a plan of their own: each was approved as the step it is. Others came with
 * one push, or nobody previewed them; they are taken together with the newest.
 */
async function commitsToTake(
  { mirror }: PassOptions,
  last: string | undefined,
  tip: CommitId,
): Promise<readonly CommitId[]> {
  if (last === undefined || last === tip) return [tip];
  const steps = await stepsBetween(mirror.git, { from: last, to: tip, limit: MOST_STEPS }).catch(() => []);
  const planned: CommitId[] = [];
  for (const commit of steps.slice(0, -1)) {
    if ((await findPlanRef(mirror.git, commit)) !== undefined) planned.push(commit);
  }
  return [...planned, tip];
}

async function takeCommit(
  options: PassOptions & { readonly branch: string; readonly tip: CommitId },
  commit: CommitId,
): Promise<PassResult["outcome"]> {
  const { mirror, log } = options;
  const short = commit.slice(0, 12);
  const result = await applyCommit({
    ...options,
    ...{ git: mirror.git, siteName: mirror.url, commit, waitMs: WAIT_MS },
    refusePaths: (policy) => refusesPaths(mirror.url, policy),
    findEvidence: (policy) => findEvidence(options, commit, policy),
    onBegin: async ({ source, approvals }) => {
      const names = approvals.persons.map(({ name }) => name).join(", ");
      log(
        `${short}: is rolled out; plan: ${source}; approved by: ${names === "" ? "nobody who is known" : names}`,
      );
      await notify(options, { commit, state: "running", text: "is rolled out" });
    },
  });
  return conclude(options, commit, result);
}

async function findEvidence(
  options: PassOptions & { readonly branch: string },
  commit: string,
  policy: Inventory,
): Promise<Evidence> {
  const { github, mirror, branch, folder, planApp } = options;
  const pull =
    github === undefined
      ? undefined
      : await mergedPullEvidence(github.forge, {
          ...{ repository: github.repository, commit, branch, folder, planApp },
        });
  return pull ?? gitEvidence(mirror.git, commit, policy);
}

async function conclude(
  options: PassOptions,
  commit: string,
  { outcome, report, record }: ApplyResult,
): Promise<PassResult["outcome"]> {
  if (outcome !== "rolled-out" || report === undefined) {
    if (outcome === "known" && record !== undefined) await reportLate(options, record.evaluated);
    return "idle";
  }
  const { log } = options;
  const text = reasonLine(report);
  const isPending = report.isWorthRetrying;
  log(`${commit.slice(0, 12)}: ${report.outcome}: ${text}${isPending ? "; it is tried again" : ""}`);
  for (const { file, networkId, outcome: became, reasons } of report.networks) {
    if (became === "unchanged" || became === "done") continue;
    for (const reason of reasons) log(`${commit.slice(0, 12)}: ${file} (${networkId}): ${became}: ${reason}`);
  }
  const at = record?.evaluated.at ?? new Date().toISOString();
  await tell(options, { commit, state: report.outcome, text }, { ...rolloutToJson(report), at });
  return isPending ? "pending" : report.outcome;
}

/** A runner that was killed between remembering and telling: the next one tells what is remembered, where nothing was told. */
async function reportLate(options: PassOptions, evaluated: RolloutRecord["evaluated"]): Promise<void> {
  const { commit, outcome, reason, at } = evaluated;
  const told = await readFile(reportedFile(options), "utf8").catch(() => "");
  if (told === commit) return;
  const status = { format: STATUS_FORMAT, commit, outcome, reason, at, networks: [] };
  await tell(options, { commit, state: outcome, text: reason }, status, { isFallback: true });
}

function reportedFile({ dir }: PassOptions): string {
  return path.join(dir, "reported");
}

async function tell(
  options: PassOptions,
  notice: Pick<RolloutNotice, "commit" | "state" | "text">,
  status: unknown,
  { isFallback = false } = {},
): Promise<void> {
  const { mirror, dir, log } = options;
  const { commit } = notice;
  const target = { git: mirror.git, dir, url: mirror.url, commit };
  const problem = await pushStatusRef({ ...target, status, isFallback });
  if (problem !== undefined)
    log(`warning: the status ref of ${commit.slice(0, 12)} cannot be pushed: ${problem}`);
  await notify(options, notice);
  await writeFileAtomically(reportedFile(options), commit);
}

async function notify(
  { github, environment, log }: PassOptions,
  notice: Pick<RolloutNotice, "commit" | "state" | "text">,
): Promise<void> {
  if (github === undefined) return;
  const { problems } = await reportRollout(github.forge, {
    repository: github.repository,
    environment,
    ...notice,
  });
  for (const problem of problems) log(`warning: ${problem}`);
}
