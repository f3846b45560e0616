/**
 * The second half of a preview where the first may not write: a job of the default branch (workflow_run) that takes the
 * artifact of a pull request's run for hostile. Which pull request and which head it is about is GitHub's word, the text is
 * rendered here from plans that were checked, and what is approved is computed from them again.
 */
import * as z from "zod";
import { CollectiveError } from "../../errors.ts";
import { approvedNetwork, APPROVAL_FORMAT, type Approval } from "../../plan/approval.ts";
import { hasCode } from "../forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "../forge.ts";
import { writeJobSummary } from "../job-summary.ts";
import { collectPages } from "../pages.ts";
import { readPreviewArtifact, type PreviewArtifact } from "../preview-artifact.ts";
import { reportPreviewCheck } from "../preview-check.ts";
import { renderPreviewComment } from "../preview-comment.ts";
import { parseRepositoryName } from "../repository-name.ts";
import { upsertStickyComment } from "../sticky-comment.ts";
import type { JobContext, JobResult } from "./job.ts";
import { checkName, commentKey } from "./plan-job.ts";
import { commitIdSchema } from "../../git/commit-id-schema.ts";

export interface CommentInputs {
  /** Where the artifact was unpacked. */
  readonly directory: string;
  readonly artifactName: string;
  /** As the plan job has it. */
  readonly site: string;
}

const schema = z.object({
  workflow_run: z.object({
    event: z.string().max(100),
    head_sha: commitIdSchema,
    head_branch: z.string().min(1).max(1024).nullable(),
    head_repository: z.object({ owner: z.object({ login: z.string().max(100) }) }).nullable(),
  }),
});

interface Pull {
  readonly number: number;
  readonly state: string;
  readonly head: { readonly sha: string };
  readonly base: { readonly ref: string; readonly repo: { readonly full_name: string } };
}

/** @throws CollectiveError FORGE_…; FORGE_ARTIFACT_REFUSED and FORGE_PULL_MISMATCH for an artifact that lies. */
export async function runCommentJob(inputs: CommentInputs, job: JobContext): Promise<JobResult> {
  const run = readRun(job);
  if (run.event !== "pull_request") return nothing(job, "the run before was not of a pull request");
  const repository = parseRepositoryName(job.env["GITHUB_REPOSITORY"] ?? "");
  const artifact = await readPreviewArtifact(inputs.directory);
  const forge = job.forge();
  const pulls = await pullsOf(forge, repository, run);
  if (pulls.length === 0) return nothing(job, "no open pull request has this head any more");
  const pull = choosePull(pulls, artifact, run.head_sha);
  await requireBase(forge, repository, { pull, base: artifact.base });
  const isForgeable = await changesWorkflows(forge, repository, pull.number);
  return report({ inputs, job, forge, repository, artifact, pull, isForgeable });
}

function readRun({ event }: JobContext): z.infer<typeof schema>["workflow_run"] {
  const result = schema.safeParse(event);
  if (result.success) return result.data.workflow_run;
  throw new CollectiveError(
    "FORGE_EVENT_UNEXPECTED",
    "this job runs after the run of a pull request, and its event has none",
    { hint: "start it with `on: workflow_run`" },
  );
}

function nothing(job: JobContext, why: string): JobResult {
  job.print(`Nothing to comment: ${why}.`);
  return { outputs: { "comment-url": "" } };
}

/** Open pull requests whose head this is, by GitHub's own list. */
async function pullsOf(
  forge: Forge,
  repository: RepositoryName,
  run: z.infer<typeof schema>["workflow_run"],
): Promise<readonly Pull[]> {
  if (run.head_repository === null || run.head_branch === null) return [];
  const pages = forge.paginate.iterator(forge.rest.pulls.list, {
    ...repositoryParameters(repository),
    state: "open",
    head: `${run.head_repository.owner.login}:${run.head_branch}`,
    per_page: 100,
  });
  const pulls: readonly Pull[] = await collectPages(pages, "pull requests of one branch");
  return pulls.filter(({ head }) => head.sha === run.head_sha);
}

/** Of several with the same head the artifact may choose; it cannot name another. */
function choosePull(pulls: readonly Pull[], { number, head, approval }: PreviewArtifact, sha: string): Pull {
  const found = pulls.find((pull) => pull.number === number);
  if (found !== undefined && head === sha && approval.head === sha) return found;
  throw mismatch(
    `it speaks of pull request ${number} at ${head.slice(0, 12)}, and the run was of ${pulls.map((pull) => `${pull.number}`).join(", ")} at ${sha.slice(0, 12)}`,
  );
}

/** The commit the plan starts at must have been on the branch the pull request goes to: policy was read there. */
async function requireBase(
  forge: Forge,
  repository: RepositoryName,
  { pull, base }: { readonly pull: Pull; readonly base: string },
): Promise<void> {
  const parameters = {
    ...repositoryParameters(repository),
    basehead: `${base}...${pull.base.ref}`,
    per_page: 1,
  };
  try {
    const { data } = await forge.rest.repos.compareCommitsWithBasehead(parameters);
    if (data.status === "ahead" || data.status === "identical") return;
  } catch (error) {
    if (!hasCode(error, "FORGE_NOT_FOUND")) throw error;
  }
  throw mismatch(`its base ${base.slice(0, 12)} is no commit of the branch it goes to`);
}

function mismatch(why: string): CollectiveError {
  return new CollectiveError("FORGE_PULL_MISMATCH", `the artifact is not of this pull request: ${why}`, {
    hint: "nothing was written; the pull request may have changed the workflow that makes the artifact",
  });
}

/** The run that made the artifact ran what the pull request says: with another workflow it may have written anything. */
async function changesWorkflows(forge: Forge, repository: RepositoryName, number: number): Promise<boolean> {
  const parameters = { ...repositoryParameters(repository), pull_number: number, per_page: 100 };
  const pages = forge.paginate.iterator(forge.rest.pulls.listFiles, parameters);
  const files: readonly { filename: string; previous_filename?: string }[] = await collectPages(
    pages,
    "changed files",
  );
  // GitHub lists no more than 3000.
  return (
    files.length >= 3000 || files.some((file) => [file.filename, file.previous_filename].some(isWorkflow))
  );
}

function isWorkflow(file: string | undefined): boolean {
  return file?.toLowerCase().startsWith(".github/") === true;
}

const FORGEABLE =
  "This pull request changes .github/, so it may have written this preview itself. Look at cui diff before you believe it.";

interface Report {
  readonly inputs: CommentInputs;
  readonly job: JobContext;
  readonly forge: Forge;
  readonly repository: RepositoryName;
  readonly artifact: PreviewArtifact;
  readonly pull: Pull;
  readonly isForgeable: boolean;
}

async function report(options: Report): Promise<JobResult> {
  const { inputs, job, forge, repository, artifact, pull, isForgeable } = options;
  const { networks, policyChanges, base, head } = artifact;
  const name = inputs.artifactName.replaceAll(/[^A-Za-z0-9._-]/g, "-");
  const markdown = renderPreviewComment({
    networks,
    policyChanges,
    base,
    head,
    wholePlan: `the artifact \`${name}\` of this run`,
    ...(isForgeable ? { warning: FORGEABLE } : {}),
  });
  await writeJobSummary(job.env, markdown);
  const isApplicable = networks.every(({ plan }) => plan !== null && plan.refusals.length === 0);
  const approval = approvalOf(artifact, isForgeable);
  const check = { repository, name: checkName(inputs.site), networks, approval, summary: markdown };
  await reportPreviewCheck(forge, { ...check, isApplicable: isApplicable && !isForgeable });
  const comment = await upsertStickyComment(forge, {
    repository,
    pullNumber: pull.number,
    key: commentKey(inputs.site),
    body: markdown,
    head,
  });
  if (comment.outcome === "superseded") job.print("The pull request has a newer head: its own run comments.");
  return { outputs: { "comment-url": comment.url ?? "" } };
}

/** From the plans that are shown, so that what is approved is what was read; from a run that may be forged, nothing. */
function approvalOf({ networks, base, head }: PreviewArtifact, isForgeable: boolean): Approval {
  const approved = networks.flatMap(({ file, object, plan }) =>
    plan === null || isForgeable
      ? []
      : [approvedNetwork(object === undefined ? { file } : { file, object }, plan)],
  );
  return { format: APPROVAL_FORMAT, base, head, networks: approved };
}
