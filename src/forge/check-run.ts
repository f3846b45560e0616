/** A check run of one commit with its annotations; the same report is sent once, however often it is made. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Annotation } from "./annotations.ts";
import { createOnce } from "./create-once.ts";
import { isAmbiguous } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface CheckReport {
  readonly repository: RepositoryName;
  readonly sha: string;
  /** `collective/check` */
  readonly name: string;
  readonly conclusion: "success" | "failure" | "neutral";
  readonly title: string;
  /** Markdown, cut at GitHub's limit of 65,535 characters. */
  readonly summary: string;
  readonly annotations?: readonly Annotation[];
  /** Markdown below the summary, for programs that read it again; left out when it is longer than 60,000 characters. */
  readonly text?: string | undefined;
}

export interface CheckRunResult {
  readonly outcome: "created" | "completed" | "unchanged";
  readonly id: number;
  readonly url: string | null;
}

/** GitHub takes so many in one request; more requests add to them. */
const BATCH = 50;
const MAXIMUM_ANNOTATIONS = 1000;
const MAXIMUM_SUMMARY = 65_535;
const MAXIMUM_TEXT = 60_000;

interface CheckRun {
  readonly id: number;
  readonly html_url: string | null;
  readonly status: string;
  readonly external_id: string | null;
  readonly output: { readonly annotations_count: number };
}

/**
 * Needs a token of an app (a job's own token is one): a person's token gets FORGE_FORBIDDEN.
 * A report that broke off between two batches is carried on where it stopped.
 */
export async function reportCheckRun(forge: Forge, report: CheckReport): Promise<CheckRunResult> {
  const annotations = (report.annotations ?? []).slice(0, MAXIMUM_ANNOTATIONS);
  const output = outputOf(report, annotations.length);
  const digest = digestOf(report);
  const { item, isNew } = await createOnce<CheckRun>(forge, {
    find: () => findRun(forge, report, digest),
    create: async () => {
      const first = { ...output, annotations: annotations.slice(0, BATCH) };
      const state = annotations.length > BATCH ? inProgress : completed(report);
      const { repository, sha, name } = report;
      const run = { ...repositoryParameters(repository), head_sha: sha, name, external_id: digest, ...state };
      return (await forge.rest.checks.create({ ...run, output: first })).data;
    },
  });
  const result = { id: item.id, url: item.html_url };
  if (item.status === "completed") return { outcome: isNew ? "created" : "unchanged", ...result };
  await sendRest(forge, report, { id: item.id, sent: item.output.annotations_count, annotations, output });
  return { outcome: isNew ? "created" : "completed", ...result };
}

const inProgress = { status: "in_progress" } as const;

function completed({ conclusion }: CheckReport): {
  status: "completed";
  conclusion: CheckReport["conclusion"];
} {
  return { status: "completed", conclusion };
}

interface Remaining {
  readonly id: number;
  readonly sent: number;
  readonly annotations: readonly Annotation[];
  readonly output: Output;
}

async function sendRest(forge: Forge, report: CheckReport, remaining: Remaining): Promise<void> {
  const target = { ...repositoryParameters(report.repository), check_run_id: remaining.id };
  const { annotations, output } = remaining;
  let { sent } = remaining;
  let failures = 0;
  while (sent < annotations.length) {
    const batch = annotations.slice(sent, sent + BATCH);
    try {
      // Never repeated blindly: a batch whose answer was lost would be there twice. GitHub's own count decides.
      const request = { retries: 0 };
      await forge.rest.checks.update({
        ...target,
        ...inProgress,
        output: { ...output, annotations: batch },
        request,
      });
      sent += batch.length;
    } catch (error) {
      failures += 1;
      if (!isAmbiguous(error) || failures > forge.limits.retries) throw error;
      await sleep(forge.limits.pauseMs * 2 ** (failures - 1));
      sent = (await forge.rest.checks.get(target)).data.output.annotations_count;
    }
  }
  await forge.rest.checks.update({ ...target, ...completed(report), output });
}

async function findRun(forge: Forge, report: CheckReport, digest: string): Promise<CheckRun | undefined> {
  const { data } = await forge.rest.checks.listForRef({
    ...repositoryParameters(report.repository),
    ref: report.sha,
    check_name: report.name,
    filter: "latest",
    per_page: 100,
  });
  return data.check_runs.find(({ external_id: id }) => id === digest);
}

interface Output {
  readonly title: string;
  readonly summary: string;
  readonly text?: string;
}

function outputOf(report: CheckReport, shown: number): Output {
  const hidden = (report.annotations ?? []).length - shown;
  const note = hidden > 0 ? `**${hidden} more messages are in the job's log.**\n\n` : "";
  const { title, summary, text = "" } = report;
  const shortened = { title: title.slice(0, 255), summary: `${note}${summary}`.slice(0, MAXIMUM_SUMMARY) };
  return text === "" || text.length > MAXIMUM_TEXT ? shortened : { ...shortened, text };
}

function digestOf({ conclusion, title, summary, annotations = [], text }: CheckReport): string {
  const parts = [conclusion, title, summary, annotations];
  return createHash("sha256")
    .update(JSON.stringify(text === undefined ? parts : [...parts, text]))
    .digest("hex");
}
