/** Every mistake of a checkout's files, beside its line. Works without any token; with one that may, a check run has them too. */
import { visible, type Diagnostic } from "../../diagnostics.ts";
import { escapeText } from "../../plan/escape-markdown.ts";
import { checkAllocation } from "../../manager/change/check-allocation.ts";
import { checkSite, type CheckedNetwork, type CheckOptions } from "../../preview/check-site.ts";
import { policyAt } from "../../preview/preview-site.ts";
import { annotationsOf, type Annotation } from "../annotations.ts";
import { reportCheckRun } from "../check-run.ts";
import { hasCode } from "../forge-error.ts";
import { writeJobSummary } from "../job-summary.ts";
import { parseRepositoryName } from "../repository-name.ts";
import { importCredentials } from "../git-credentials.ts";
import type { JobContext, JobResult } from "./job.ts";
import { printAnnotations } from "./print-annotations.ts";
import { pullRequestCommits } from "./pull-request-commits.ts";
import { readPullRequestEvent, type PullRequestEvent } from "./pull-request-event.ts";
import { isCommitId } from "../../git/commit-id.ts";

export interface CheckInputs {
  readonly format: CheckOptions["format"];
  /** Read-only, for private imports; never used for a fork. */
  readonly importToken: string | undefined;
  readonly refusePaths: boolean;
  readonly timeoutSeconds: number;
  readonly cache?: string | undefined;
}

const CHECK_NAME = "collective/check";

/** Fails when there is an error; warnings alone do not. */
export async function runCheckJob(inputs: CheckInputs, job: JobContext): Promise<JobResult> {
  const pull =
    job.env["GITHUB_EVENT_NAME"]?.startsWith("pull_request") === true ? readPullRequestEvent(job) : undefined;
  const checked = await checkSite({
    git: job.git,
    allow: await allowedImports(job, pull),
    refusePaths: inputs.refusePaths,
    format: inputs.format,
    fetchEnv: pull?.isFork === true ? undefined : importCredentials(inputs.importToken, job.env),
    cache: inputs.cache,
    limits: { timeMs: inputs.timeoutSeconds * 1000 },
    signal: job.signal,
  });
  const { files, textOf } = checked;
  const placed = annotationsOf(checked.diagnostics, textOf);
  const { unplaced } = placed;
  const lacking = checked.networks.flatMap(lackingOf);
  const annotations = [...placed.annotations, ...lacking];
  const counted = [...checked.diagnostics, ...lacking.map(() => ({ severity: "error" as const }))];
  const markdown = renderSummary(files.length, counted, { annotations, unplaced });
  await writeJobSummary(job.env, markdown);
  printUnplaced(job, unplaced);
  const errors = counted.filter(({ severity }) => severity === "error").length;
  const isFailed = errors > 0;
  const isReported = await reportRun(job, {
    pull,
    markdown,
    annotations,
    isFailed,
    title: countOf(counted),
  });
  if (!isReported) printAnnotations(job, annotations);
  const outputs = {
    files: String(files.length),
    errors: String(errors),
    warnings: String(counted.length - errors),
  };
  return { outputs, isFailed };
}

/** What the site lacks for a network is the mistake of no line: it is shown at the first. */
function lackingOf({ file, network, inventory }: CheckedNetwork): Annotation[] {
  const error = checkAllocation(network, inventory);
  if (error === undefined) return [];
  const hint = error.hint === undefined ? "" : `\nhint: ${error.hint}`;
  return [
    {
      path: file,
      ...{ start_line: 1, end_line: 1 },
      annotation_level: "failure",
      title: error.code,
      message: visible(`${error.message}${hint}`),
    },
  ];
}

/** A pull request cannot allow itself more than its base does. */
async function allowedImports(
  job: JobContext,
  pull: PullRequestEvent | undefined,
): Promise<readonly string[] | undefined> {
  const base = pull === undefined ? undefined : (await pullRequestCommits(job.git, pull, job.env)).base;
  try {
    return (await policyAt(job.git, base)).allow;
  } catch (error) {
    if (base !== undefined || !hasCode(error, "UTILITY_INVENTORY_INVALID", "REPOSITORY_FILE_REFUSED"))
      throw error;
    return []; // Its mistakes are among what is reported; without a policy nothing is fetched.
  }
}

interface RunReport {
  readonly pull: PullRequestEvent | undefined;
  readonly markdown: string;
  readonly annotations: readonly Annotation[];
  readonly isFailed: boolean;
  readonly title: string;
}

async function reportRun(job: JobContext, report: RunReport): Promise<boolean> {
  const { pull, markdown, annotations, isFailed, title } = report;
  const sha = pull?.head ?? job.env["GITHUB_SHA"] ?? "";
  if (pull?.isFork === true || !isCommitId(sha)) return false;
  try {
    const forge = job.forge();
    const repository = parseRepositoryName(job.env["GITHUB_REPOSITORY"] ?? "");
    const conclusion = isFailed ? "failure" : "success";
    await reportCheckRun(forge, {
      repository,
      sha,
      name: CHECK_NAME,
      conclusion,
      title,
      summary: markdown,
      annotations,
    });
    return true;
  } catch (error) {
    if (!hasCode(error, "FORGE_NO_TOKEN", "FORGE_FORBIDDEN")) throw error;
    job.print(`No check run: ${visible(error.message)}. Messages stand in this log.`);
    return false;
  }
}

/** In an import, say: no line of this repository is to blame. */
function printUnplaced(job: JobContext, unplaced: readonly Diagnostic[]): void {
  for (const { severity, code, message, span, hint } of unplaced) {
    const place = span === undefined ? "" : `${visible(span.file)}: `;
    job.print(
      `${place}${severity} ${code}: ${visible(message)}${hint === undefined ? "" : ` (${visible(hint)})`}`,
    );
  }
}

function countOf(diagnostics: readonly Pick<Diagnostic, "severity">[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const warnings = diagnostics.length - errors;
  return `${errors} error${errors === 1 ? "" : "s"}, ${warnings} warning${warnings === 1 ? "" : "s"}`;
}

const MOST_LISTED = 100;

function renderSummary(
  files: number,
  diagnostics: readonly Pick<Diagnostic, "severity">[],
  {
    annotations,
    unplaced,
  }: { readonly annotations: readonly Annotation[]; readonly unplaced: readonly Diagnostic[] },
): string {
  const lines = [
    ...annotations.map(
      (entry) =>
        `- **${entry.annotation_level === "failure" ? "error" : "warning"}** ${escapeText(`${entry.path}:${entry.start_line}`, 120)} ${entry.title}: ${escapeText(entry.message.split("\n")[0] ?? "")}`,
    ),
    ...unplaced.map(({ severity, code, message, span }) => {
      return `- **${severity}** ${span === undefined ? "" : `${escapeText(span.file, 120)} `}${code}: ${escapeText(message)}`;
    }),
  ];
  const more = lines.length - MOST_LISTED;
  return [
    `### Collective check: ${countOf(diagnostics)} in ${files} file${files === 1 ? "" : "s"}`,
    "",
    ...lines.slice(0, MOST_LISTED),
    ...(more > 0 ? [`- and ${more} more, in the job's log`] : []),
  ].join("\n");
}
