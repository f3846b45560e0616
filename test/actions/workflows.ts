/** Checks of workflows beyond their schema: what a reviewer would look for. Each gives the places that break it. */
import { parse } from "yaml";

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
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on?: unknown;
  readonly permissions?: unknown;
  readonly concurrency?: { readonly "cancel-in-progress"?: unknown };
  readonly jobs: Readonly<Record<string, Job>>;
}

export function findWorkflowProblems(text: string): string[] {
  const workflow = parse(text) as Workflow;
  const problems: string[] = [];
  if (JSON.stringify(workflow.permissions) !== "{}") problems.push("permissions: the top is not {}");
  if (JSON.stringify(workflow.on).includes("pull_request_target")) problems.push("on: pull_request_target");
  for (const [name, job] of Object.entries(workflow.jobs)) {
    problems.push(...findJobProblems(workflow, job).map((problem) => `${name}: ${problem}`));
  }
  for (const line of text.split("\n")) {
    if (/^\s*(- )?uses:/.test(line) && !/@[0-9a-f]{40} # \S/.test(line)) problems.push(`pin: ${line.trim()}`);
  }
  return problems;
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
