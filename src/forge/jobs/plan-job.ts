/**
 * The preview of a pull request: one comment, a check run, the job's summary, and the whole plan as files. It needs no cluster
 * and no secret; for a fork it needs no token either, and the comment is the business of the comment job.
 */
import path from "node:path";
import { visible } from "../../diagnostics.ts";
import type { CollectiveError } from "../../errors.ts";
import { APPROVAL_FORMAT, type Approval } from "../../plan/approval.ts";
import { previewSite, type SitePreview } from "../../preview/preview-site.ts";
import { annotationsOf, type Annotation } from "../annotations.ts";
import { hasCode } from "../forge-error.ts";
import { writeJobSummary } from "../job-summary.ts";
import { writePreviewArtifact } from "../preview-artifact.ts";
import { PLAN_CHECK, reportPreviewCheck } from "../preview-check.ts";
import { isChange, previewClass, renderPreviewComment } from "../preview-comment.ts";
import { upsertStickyComment } from "../sticky-comment.ts";
import { importCredentials } from "../git-credentials.ts";
import type { JobContext, JobResult } from "./job.ts";
import { printAnnotations } from "./print-annotations.ts";
import { pullRequestCommits, pushPlanRef } from "./pull-request-commits.ts";
import { readPullRequestEvent, type PullRequestEvent } from "./pull-request-event.ts";

export interface PlanInputs {
  /** The site's folder in the workspace, `.` for its top. */
  readonly site: string;
  /** Where the whole plan goes as files, relative to the workspace or absolute. */
  readonly outputDirectory: string;
  /** How the workflow calls the artifact it makes of them. */
  readonly artifactName: string;
  readonly isCommenting: boolean;
  /** Read-only, for private imports; never used for a fork. */
  readonly importToken: string | undefined;
  /** Publish the approval under refs/collective/plans/ too. */
  readonly pushRef: boolean;
  /** Refuse imports of paths and file URLs; only a test has them. */
  readonly refusePaths: boolean;
  readonly timeoutSeconds: number;
  readonly cache?: string | undefined;
}

/** @throws CollectiveError FORGE_…, REPOSITORY_COMMIT_MISSING; what is wrong with the site is in the comment, and fails the job. */
export async function runPlanJob(inputs: PlanInputs, job: JobContext): Promise<JobResult> {
  const pull = readPullRequestEvent(job);
  const preview = await previewPull(inputs, job, pull);
  const { networks, policyChanges, isApplicable, approval } = preview;
  const { base, head } = approval;
  const wholePlan = `the artifact \`${inputs.artifactName.replaceAll(/[^A-Za-z0-9._-]/g, "-")}\` of this run`;
  const markdown = renderPreviewComment({ networks, policyChanges, base, head, wholePlan });
  const artifact = { number: pull.number, head, base, networks, policyChanges, approval };
  const folder = path.resolve(job.git.folder, inputs.outputDirectory);
  await writePreviewArtifact(folder, artifact, markdown);
  await writeJobSummary(job.env, markdown);
  const annotations = annotationsIn(inputs.site, preview);
  const reported = await report({ inputs, job, pull, preview, markdown, annotations });
  if (!reported.hasCheckRun) printAnnotations(job, annotations);
  const digests = Object.fromEntries(approval.networks.map(({ file, inputDigest }) => [file, inputDigest]));
  return {
    outputs: {
      class: previewClass(networks),
      changed: String(isChange(networks)),
      applicable: String(isApplicable),
      "input-digests": JSON.stringify(digests),
      "comment-url": reported.commentUrl ?? "",
      directory: folder,
    },
    isFailed: !isApplicable,
  };
}

type Previewed = Pick<
  SitePreview,
  "networks" | "policyChanges" | "isApplicable" | "approval" | "diagnostics" | "textOf"
>;

/** The preview; what forbids one as a whole becomes one that says so. The approval speaks of the pull request's own head. */
async function previewPull(inputs: PlanInputs, job: JobContext, pull: PullRequestEvent): Promise<Previewed> {
  const commits = await pullRequestCommits(job.git, pull, job.env);
  try {
    const preview = await previewSite({
      git: job.git.at(path.resolve(job.git.folder, inputs.site)),
      ...commits,
      cache: inputs.cache,
      refusePaths: inputs.refusePaths,
      fetchEnv: pull.isFork ? undefined : importCredentials(inputs.importToken, job.env),
      limits: { timeMs: inputs.timeoutSeconds * 1000 },
      signal: job.signal,
    });
    return { ...preview, approval: { ...preview.approval, head: pull.head } };
  } catch (error) {
    if (!isOfTheSite(error)) throw error;
    const problems = [`${error.code}: ${visible(error.message)}`];
    const approval: Approval = { format: APPROVAL_FORMAT, base: commits.base, head: pull.head, networks: [] };
    const network = { file: "utility.yaml", plan: null, problems, isBefore: true, isAfter: true };
    const nothing = { diagnostics: [], textOf: () => undefined };
    return {
      networks: [{ ...network, ...nothing }],
      policyChanges: [],
      isApplicable: false,
      approval,
      ...nothing,
    };
  }
}

function isOfTheSite(error: unknown): error is CollectiveError {
  return hasCode(
    error,
    "PREVIEW_TIMED_OUT",
    "PREVIEW_TOO_LARGE",
    "UTILITY_INVENTORY_INVALID",
    "REPOSITORY_FILE_REFUSED",
    "REPOSITORY_FILE_TOO_LARGE",
  );
}

/** Annotations name files from the top of the repository. */
function annotationsIn(site: string, { diagnostics, textOf }: Previewed): readonly Annotation[] {
  const { annotations } = annotationsOf(diagnostics, textOf);
  return annotations.map((entry) => ({
    ...entry,
    path: path.posix.join(path.posix.normalize(site), entry.path),
  }));
}

interface Report {
  readonly inputs: PlanInputs;
  readonly job: JobContext;
  readonly pull: PullRequestEvent;
  readonly preview: Previewed;
  readonly markdown: string;
  readonly annotations: readonly Annotation[];
}

/** Comment and check run, as far as this job may make them. */
async function report({ inputs, job, pull, preview, markdown, annotations }: Report): Promise<{
  readonly commentUrl?: string | undefined;
  readonly hasCheckRun: boolean;
}> {
  if (pull.isFork) {
    job.print(
      "This comes from a fork: its comment is made by the workflow that runs after this one (workflow_run).",
    );
    return { hasCheckRun: false };
  }
  const { networks, approval, isApplicable } = preview;
  if (inputs.pushRef) await pushPlanRef(job.git, approval.head, JSON.stringify(approval));
  const name = checkName(inputs.site);
  const check = {
    repository: pull.repository,
    name,
    networks,
    approval,
    summary: markdown,
    isApplicable,
    annotations,
  };
  const run = await ifAllowed(job, "check run", async () => reportPreviewCheck(job.forge(), check));
  if (!inputs.isCommenting) return { hasCheckRun: run !== undefined };
  const comment = await ifAllowed(job, "comment", async () =>
    upsertStickyComment(job.forge(), {
      repository: pull.repository,
      pullNumber: pull.number,
      key: commentKey(inputs.site),
      body: markdown,
      head: pull.head,
    }),
  );
  if (comment?.outcome === "superseded")
    job.print("The pull request has a newer head: its own run comments.");
  return { commentUrl: comment?.url, hasCheckRun: run !== undefined };
}

/** `collective/plan`; a site below the top of its repository has a check of its own. */
export function checkName(site: string): string {
  const folder = path.posix.normalize(site).replace(/\/+$/, "");
  return folder === "." ? PLAN_CHECK : `${PLAN_CHECK}/${folder}`;
}

/** What the comment is found again by. */
export function commentKey(site: string): string {
  return `plan ${path.posix.normalize(site).replace(/\/+$/, "")}`;
}

/** Without a token, or with one that may only read, there is less to see; the plan is the same. */
async function ifAllowed<Result>(
  job: JobContext,
  what: string,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!hasCode(error, "FORGE_NO_TOKEN", "FORGE_FORBIDDEN")) throw error;
    job.print(
      `No ${what}: ${visible(error.message)}. The summary and the artifact of this run have the plan.`,
    );
    return undefined;
  }
}
