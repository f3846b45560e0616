/** Checks of workflows beyond their schema: what a reviewer would look for. Each gives the places that break it. */
import { parse } from "yaml";
import { findPinProblems, listUses, type PinnedActions } from "./pins.ts";

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly "runs-on"?: string | readonly string[];
  readonly "timeout-minutes"?: number;
  readonly permissions?: unknown;
  readonly environment?: unknown;
  readonly uses?: string;
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on?: unknown;
  readonly permissions?: unknown;
  readonly concurrency?: { readonly "cancel-in-progress"?: unknown };
  readonly jobs: Readonly<Record<string, Job>>;
}

type Filters = Readonly<Record<string, unknown>>;

export function findWorkflowProblems(text: string, pinned: PinnedActions): string[] {
  const workflow = parse(text) as Workflow;
  const problems: string[] = [];
  if (JSON.stringify(workflow.permissions) !== "{}") problems.push("permissions: the top is not {}");
  if (JSON.stringify(workflow.on).includes("pull_request_target")) problems.push("on: pull_request_target");
  for (const [name, job] of Object.entries(workflow.jobs)) {
    problems.push(...findJobProblems(workflow, job).map((problem) => `${name}: ${problem}`));
  }
  return [
    ...problems,
    ...findFilterProblems(workflow),
    ...findHiddenUses(workflow, text),
    ...findPinProblems(text, pinned),
  ];
}

/** GitHub refuses a filter beside its opposite only when it runs the workflow, and takes a number for a pattern. */
function findFilterProblems({ on }: Workflow): string[] {
  if (typeof on !== "object" || on === null) return [];
  const problems: string[] = [];
  for (const [event, filters] of Object.entries(on as Readonly<Record<string, Filters | null>>)) {
    for (const name of ["branches", "tags", "paths"]) {
      const lists = [filters?.[name], filters?.[`${name}-ignore`]].filter((list) => list !== undefined);
      if (lists.length > 1) problems.push(`on: ${event} has ${name} and ${name}-ignore`);
      if (!lists.every(isListOfTexts)) problems.push(`on: ${event}: ${name} is no list`);
    }
  }
  return problems;
}

function isListOfTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((entry) => typeof entry === "string");
}

/** Uses that are not on a line of their own, where nobody looks for a pin. */
function findHiddenUses({ jobs }: Workflow, text: string): string[] {
  const seen = new Set(listUses(text).map((use) => use.replace(/ .*/, "")));
  const uses = Object.values(jobs).flatMap((job) => [
    job.uses,
    ...(job.steps ?? []).map((step) => step.uses),
  ]);
  return uses.flatMap((use) =>
    use === undefined || seen.has(use) ? [] : [`pin: ${use}: not on its own line`],
  );
}

function findJobProblems(workflow: Workflow, job: Job): string[] {
  const problems: string[] = [];
  if (job["timeout-minutes"] === undefined) problems.push("no timeout");
  if (typeof job.permissions !== "object" || job.permissions === null)
    problems.push("permissions of its own are missing");
  const isSelfHosted = JSON.stringify(job["runs-on"]).includes("self-hosted");
  if (isSelfHosted) {
    if (job.environment === undefined) problems.push("self-hosted without an environment");
    if (workflow.concurrency?.["cancel-in-progress"] !== false)
      problems.push("self-hosted and may be cancelled");
    if (JSON.stringify(workflow.on).includes("pull_request")) problems.push("self-hosted on a pull request");
  }
  for (const { run = "", uses = "", with: inputs = {} } of job.steps ?? []) {
    // Whoever decides about a value would decide about the script: values come in through `env`.
    if (run.includes("${{")) problems.push(`run has an expression: ${run.slice(0, 80)}`);
    const isCheckout = uses.startsWith("actions/checkout@");
    if (isCheckout && inputs["persist-credentials"] === undefined)
      problems.push("persist-credentials is not said");
  }
  return problems;
}
