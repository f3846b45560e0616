/**
 * The rollout of a merged commit, on a self-hosted runner that reaches the hosts. Nothing is believed that was not computed
 * here or told by the forge now: not the event, not a plan somebody made, not the working tree.
 */
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { connectHost } from "../../host/connect-host.ts";
import type { Git } from "../../git/git.ts";
import { findCommit, isAncestor } from "../../git/history.ts";
import { openStateStore, stateDirectoryOf, tidyStateStore } from "../../manager/records/state-store.ts";
import { originUrl } from "../../appliance/root-file.ts";
import { applyCommit, type ApplyResult } from "../../manager/rollout/apply-commit.ts";
import type { Progress } from "../../manager/change/progress.ts";
import { reasonLine, rolloutToJson } from "../../manager/rollout/rollout-report.ts";
import { shareObjects } from "../../appliance/share-objects.ts";
import { loadMacKey } from "../../manager/change/sensitive.ts";
import type { ConnectHost } from "../../manager/observe/observe-hosts.ts";
import { hasCode } from "../forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "../forge.ts";
import { gitEvidence } from "../git-evidence.ts";
import { writeJobSummary } from "../job-summary.ts";
import { mergedPullEvidence } from "../merged-pull.ts";
import { parseRepositoryName } from "../repository-name.ts";
import { renderRollout } from "../render-rollout.ts";
import { reportRollout, type RolloutNotice } from "../report-rollout.ts";
import { refusesPaths } from "../site-source.ts";
import type { JobContext, JobResult } from "./job.ts";
import { isCommitId, type CommitId } from "../../git/commit-id.ts";

export interface ApplyInputs {
  /** The site's folder from the top of the repository, as `siteFolderOf` gives it. */
  readonly folder: string;
  /** The protected branch; default the repository's default branch. */
  readonly branch: string | undefined;
  /** Of the deployment. */
  readonly environment: string;
  /** Slug of the app whose plan is believed. */
  readonly planApp: string;
  /** A commit the branch was rewound or rewritten to, where that is right. */
  readonly acceptRewind: string | undefined;
  /** Roll the commit out again although it was refused or failed before. */
  readonly retry: boolean;
  /** How long to wait for another rollout of the site. */
  readonly waitSeconds: number;
}

/** What a test gives in place of the real thing. */
export interface ApplyParts {
  readonly connect?: ConnectHost;
  readonly cache?: string;
  readonly limits?: { readonly readyMs: number };
}

/** @throws CollectiveError ROLLOUT_OFF_BRANCH, ROLLOUT_REWIND, ROLLOUT_HISTORY_MISSING, FORGE_…: nothing was changed then. */
export async function runApplyJob(
  inputs: ApplyInputs,
  job: JobContext,
  parts: ApplyParts = {},
): Promise<JobResult> {
  const forge = job.forge();
  const repository = parseRepositoryName(job.env["GITHUB_REPOSITORY"] ?? "");
  const commit = commitOf(job);
  const branch =
    inputs.branch ?? (await forge.rest.repos.get(repositoryParameters(repository))).data.default_branch;
  const tip = await tipOf(forge, { repository, branch, commit });
  await requireHere(job.git, commit);
  const known = { inputs, job, forge, repository, commit, branch };
  const notify = createNotifier(known);
  const result = await rollOut(known, { tip, parts, notify });
  return conclude(known, { result, notify });
}

interface Known {
  readonly inputs: ApplyInputs;
  readonly job: JobContext;
  readonly forge: Forge;
  readonly repository: RepositoryName;
  readonly commit: CommitId;
  readonly branch: string;
}

type Notify = (state: RolloutNotice["state"], text: string) => Promise<number | undefined>;

async function rollOut(
  { inputs, job, forge, repository, commit, branch }: Known,
  { tip, parts, notify }: { tip: CommitId; parts: ApplyParts; notify: Notify },
): Promise<ApplyResult> {
  const { git, env } = job;
  const stateDirectory = stateDirectoryOf(env);
  const store = await openStateStore(stateDirectory);
  const { folder } = inputs;
  const siteName = await originUrl(git);
  const result = await applyCommit({
    ...{ git, folder, commit, tip, siteName, store, env },
    ...{ connect: parts.connect ?? connectHost, cache: parts.cache, limits: parts.limits },
    refusePaths: (policy) => refusesPaths(siteName, policy),
    shareObjects: (image) => shareObjects(git, image, parts.cache),
    loadMacKey: () => loadMacKey(stateDirectory),
    progress: printProgress(job),
    waitMs: inputs.waitSeconds * 1000,
    acceptRewind: inputs.acceptRewind,
    retry: inputs.retry,
    isAncestor: async (older, newer) =>
      (await isAncestor(git, older, newer)) || isAncestorOnForge(forge, { repository, older, newer }),
    findEvidence: async (policy) => {
      const pull = { repository, commit, branch, folder, planApp: inputs.planApp };
      return (await mergedPullEvidence(forge, pull)) ?? gitEvidence(git, commit, policy);
    },
    onBegin: async () => {
      await notify("running", "is rolled out");
    },
  });
  await tidyStateStore(stateDirectory);
  return result;
}

/** A push says what was pushed; anything else what it runs for. Both only name a commit, which the forge is asked about. */
function commitOf({ event, env }: JobContext): CommitId {
  const { after } = (typeof event === "object" && event !== null ? event : {}) as { after?: unknown };
  const commit = typeof after === "string" ? after : (env["GITHUB_SHA"] ?? "");
  if (isCommitId(commit)) return commit;
  throw new CollectiveError("INVALID_INPUT", "neither the event nor GITHUB_SHA names a commit", {
    hint: "run the action for a push of the protected branch",
  });
}

/** The newest commit of the branch. @throws CollectiveError ROLLOUT_OFF_BRANCH when the commit is not on it. */
async function tipOf(
  forge: Forge,
  { repository, branch, commit }: { repository: RepositoryName; branch: string; commit: CommitId },
): Promise<CommitId> {
  const { data } = await forge.rest.repos.getBranch({ ...repositoryParameters(repository), branch });
  const tip = data.commit.sha;
  if (tip === commit) return commit;
  if (isCommitId(tip) && (await isAncestorOnForge(forge, { repository, older: commit, newer: tip })))
    return tip;
  throw new CollectiveError(
    "ROLLOUT_OFF_BRANCH",
    `expected a commit of the branch ${visible(branch)}, and ${commit} is none (any more); nothing was changed`,
    {
      data: { commit, tip },
      hint: "only what was merged is rolled out; run the workflow for pushes of that branch",
    },
  );
}

async function isAncestorOnForge(
  forge: Forge,
  { repository, older, newer }: { repository: RepositoryName; older: string; newer: string },
): Promise<boolean> {
  if (older === newer) return true;
  try {
    const basehead = `${older}...${newer}`;
    const target = { ...repositoryParameters(repository), basehead, per_page: 1 };
    const { status } = (await forge.rest.repos.compareCommitsWithBasehead(target)).data;
    return status === "ahead" || status === "identical";
  } catch (error) {
    if (hasCode(error, "FORGE_NOT_FOUND")) return false;
    throw error;
  }
}

async function requireHere(git: Git, commit: string): Promise<void> {
  if ((await findCommit(git, commit)) !== undefined) return;
  throw new CollectiveError("ROLLOUT_HISTORY_MISSING", `the checkout does not have the commit ${commit}`, {
    hint: "check the repository out before this step, with `fetch-depth: 0`",
  });
}

function createNotifier({ job, forge, repository, commit, inputs }: Known): Notify {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name, GITHUB_RUN_ID: run } = job.env;
  const logUrl =
    server === undefined || run === undefined ? undefined : `${server}/${name ?? ""}/actions/runs/${run}`;
  return async (state, text) => {
    const notice = { repository, commit, environment: inputs.environment, state, text, logUrl };
    const { deployment, problems } = await reportRollout(forge, notice);
    for (const problem of problems) job.print(`::warning title=not reported::${problem}`);
    return deployment;
  };
}

async function conclude(
  { job, commit }: Known,
  { result, notify }: { result: ApplyResult; notify: Notify },
): Promise<JobResult> {
  const { outcome, report, evidence, record } = result;
  if (outcome === "superseded") {
    const newer = record?.evaluated.commit ?? "";
    job.print(`${commit} is not rolled out: ${newer}, which is newer, was already`);
    return { outputs: outputsOf({ outcome, reason: `superseded by ${newer}` }) };
  }
  const final = report?.outcome ?? record?.evaluated.outcome ?? "failed";
  const reason = report === undefined ? (record?.evaluated.reason ?? "") : reasonLine(report);
  if (report !== undefined) {
    await writeJobSummary(job.env, renderRollout(report, evidence?.source ?? ""));
    for (const { file, outcome: became, reasons } of report.networks) {
      job.print(
        `${visible(file)}: ${became}${reasons.length === 0 ? "" : `: ${visible(reasons.join("; "))}`}`,
      );
    }
  } else {
    job.print(`${commit} was rolled out before: ${final}: ${visible(reason)}`);
  }
  const deployment = await notify(final, reason);
  const networks = report === undefined ? undefined : JSON.stringify(rolloutToJson(report));
  return {
    outputs: outputsOf({
      outcome: outcome === "known" && final === "done" ? "unchanged" : final,
      reason,
      networks,
      deployment,
    }),
    isFailed: final !== "done",
  };
}

function outputsOf(result: {
  outcome: string;
  reason: string;
  networks?: string | undefined;
  deployment?: number | undefined;
}): Record<string, string> {
  const { outcome, reason, networks = "", deployment } = result;
  return {
    outcome,
    reason,
    report: networks,
    "deployment-id": deployment === undefined ? "" : String(deployment),
  };
}

/** A line for what begins and what ends; a network's and a component's names come from the repository. */
function printProgress(job: JobContext): Progress {
  const print = (text: string): void => {
    job.print(visible(text.split("\n")[0] ?? ""));
  };
  return {
    begin: (_, title) => {
      print(title);
    },
    end: (id, detail) => {
      print(`${id}: ${detail ?? "done"}`);
    },
    fail: (id, message) => {
      print(`${id}: FAILED (${message})`);
    },
    skip: (_, message) => {
      print(message);
    },
    note: print,
  };
}
