/** `cui protect [<owner/name>]`: makes GitHub keep the promises the rest relies on. */
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { forgeFromEnvironment } from "../../forge/client.ts";
import { protectRepository } from "../../forge/protect.ts";
import { PROTECTION_PARTS, type ProtectionPart, type ProtectionReport } from "../../forge/protection.ts";
import { formatRepositoryName, parseRepositoryName, repositoryOfClone } from "../../forge/repository-name.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";

interface Options {
  readonly only?: readonly string[];
  readonly branch?: string;
  readonly check?: readonly string[];
  readonly approvals: string;
  readonly environment: string;
  readonly reviewer?: readonly string[];
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const DEFAULT_CHECK = "collective/plan";
const MAXIMUM_APPROVALS = 10;

export function configure(command: Command, context: CliContext): void {
  command
    .argument("[repository]", "owner/name; default: GITHUB_REPOSITORY, else the clone's origin")
    .option("--only <part>", `${PROTECTION_PARTS.join(", ")}; can be given again`, collect)
    .option("--branch <name>", "the branch that says what runs; default: the default branch")
    .option(
      "--check <name>",
      `a status check a pull request needs, ${DEFAULT_CHECK} by default; can be given again`,
      collect,
    )
    .option("--approvals <n>", "approving reviews a pull request needs", "1")
    .option("--environment <name>", "the environment rollouts run in", "production")
    .option("--reviewer <user|org/team>", "who may approve a rollout; can be given again", collect)
    .option("--dry-run", "say what would be set, set nothing")
    .option("--json", "print the report as JSON")
    .addHelpText(
      "after",
      "\nNeeds GITHUB_TOKEN with the right to administer the repository. What is stricter already stays.\n" +
        "\nExample:\n  cui protect acme/site --reviewer acme/operators\n  cui protect acme/DNS --only tags\n",
    )
    .action(async (repository: string | undefined, options: Options) => {
      await protect(repository, options, context);
    });
}

async function protect(argument: string | undefined, options: Options, context: CliContext): Promise<void> {
  const parts = checkParts(options.only ?? []);
  const approvals = checkApprovals(options.approvals);
  const named = argument ?? context.env["GITHUB_REPOSITORY"];
  const repository =
    named === undefined ? await repositoryOfClone(gitOf(context)) : parseRepositoryName(named);
  const report = await protectRepository(forgeFromEnvironment(context.env), {
    repository,
    parts,
    ...(options.branch === undefined ? {} : { branch: options.branch }),
    checks: options.check ?? [DEFAULT_CHECK],
    approvals,
    environment: options.environment,
    reviewers: options.reviewer ?? [],
    dryRun: options.dryRun ?? false,
  });
  if (options.json === true) context.print(JSON.stringify(report, undefined, 2));
  else print(report, context);
  if (!report.isComplete) {
    throw new CollectiveError("FORGE_PROTECTION_INCOMPLETE", "not everything could be protected; see above", {
      hint: "what was set stays set; run the command again when the cause is gone",
    });
  }
}

const OUTCOME_WIDTH = "would create".length;

function print({ repository, steps }: ProtectionReport, context: CliContext): void {
  context.print(formatRepositoryName(repository));
  for (const { outcome, text, hint } of steps) {
    context.print(`  ${outcome.padEnd(OUTCOME_WIDTH)}  ${text}`);
    if (hint !== undefined) context.print(`  ${" ".repeat(OUTCOME_WIDTH)}  hint: ${hint}`);
  }
}

function checkParts(only: readonly string[]): readonly ProtectionPart[] {
  const unknown = only.find((part) => !(PROTECTION_PARTS as readonly string[]).includes(part));
  if (unknown !== undefined) {
    throw new CollectiveError("USAGE", `--only expects ${PROTECTION_PARTS.join(", ")}, got "${unknown}"`);
  }
  return only.length === 0 ? PROTECTION_PARTS : PROTECTION_PARTS.filter((part) => only.includes(part));
}

function checkApprovals(text: string): number {
  const approvals = Number(text);
  if (/^\d+$/.test(text) && approvals <= MAXIMUM_APPROVALS) return approvals;
  throw new CollectiveError(
    "USAGE",
    `--approvals expects a number from 0 to ${MAXIMUM_APPROVALS}, got "${text}"`,
  );
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
