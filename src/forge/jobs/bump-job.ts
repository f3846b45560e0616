/** The job that keeps an appliance or a site up to date: one pull request for each bump. */
import path from "node:path";
import { visible } from "../../diagnostics.ts";
import { escapeText } from "../../plan/escape-markdown.ts";
import { withMirrors } from "../../appliance/mirrors.ts";
import { workflowNote } from "../annotations.ts";
import type { RepositoryName } from "../forge.ts";
import { writeJobSummary } from "../job-summary.ts";
import { openBumps, openReportJson, type OpenedBump, type OpenReport } from "../open-bumps.ts";
import type { JobContext, JobResult } from "./job.ts";

export interface BumpInputs {
  readonly repository: RepositoryName;
  /** The folder in the workspace, `.` for its top. */
  readonly directory: string;
  /** Default: the default branch. */
  readonly branch: string | undefined;
  /** Folder of the mirrors. */
  readonly cache?: string | undefined;
}

/**
 * Running it again, or twice at the same time, comes to the same pull requests. It fails when a group could not be bumped;
 * the others are done.
 * @throws CollectiveError FORGE_…, REPOSITORY_…, INVALID_INPUT when bump.yaml, utility.yaml or the CVL of the base have mistakes.
 */
export async function runBumpJob(inputs: BumpInputs, job: JobContext): Promise<JobResult> {
  const { repository, branch, cache } = inputs;
  const git = job.git.at(path.resolve(job.git.folder, inputs.directory));
  const report = await withMirrors(
    git,
    (mirrors) => openBumps({ git, mirrors, forge: job.forge(), repository, branch }),
    { cache },
  );
  for (const opened of report.opened) job.print(visible(describe(opened)));
  for (const number of report.closed) job.print(`closed #${number}: nothing to propose any more`);
  for (const { group, error } of report.found.problems) {
    job.print(workflowNote("error", `${group} cannot be bumped`, visibleLines(error.message)));
  }
  for (const { url, version, why } of report.found.heldBack) {
    job.print(visible(`held back: ${url} v${version}, ${why}`));
  }
  await writeJobSummary(job.env, renderSummary(report));
  const numbers = report.opened.flatMap(({ number }) => number ?? []);
  const merged = report.opened.filter(({ outcome }) => outcome === "merged");
  return {
    outputs: {
      "pull-requests": numbers.join(","),
      merged: merged.flatMap(({ number }) => number ?? []).join(","),
      closed: report.closed.join(","),
      report: JSON.stringify(openReportJson(report)),
    },
    isFailed: report.found.problems.length > 0 || report.opened.some(({ outcome }) => outcome === "refused"),
  };
}

function describe({ bump, outcome, number, note }: OpenedBump): string {
  const where = number === undefined ? "" : ` (#${number})`;
  return `${outcome}: ${bump.title}${where}${note === undefined ? "" : `: ${note}`}`;
}

const MOST_ROWS = 200;

function renderSummary({ opened, closed, found }: OpenReport): string {
  const rows = opened.slice(0, MOST_ROWS).map(({ bump, outcome, number, note }) => {
    const pull = number === undefined ? "" : `#${number}`;
    return `| ${pull} | ${bump.title} | ${bump.preview.class ?? "error"} | ${outcome} | ${note === undefined ? "" : cell(note)} |`;
  });
  const table =
    rows.length === 0
      ? ["Nothing is newer."]
      : ["| | bump | class | outcome | |", "| --- | --- | --- | --- | --- |", ...rows];
  const problems = found.problems
    .slice(0, MOST_ROWS)
    .map(
      ({ group, error }) => `- ${group} cannot be bumped: ${escapeText(error.message.split("\n")[0] ?? "")}`,
    );
  const gone =
    closed.length === 0
      ? []
      : [
          "",
          `Closed, since nobody proposes them any more: ${closed.map((number) => `#${number}`).join(", ")}`,
        ];
  return ["### Bumps", "", ...table, ...gone, "", ...problems].join("\n");
}

function cell(text: string): string {
  return escapeText(text).replaceAll("|", "\\|");
}

function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}
