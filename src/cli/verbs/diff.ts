/** `cui diff <rev> [<rev>] [<cvl>]`: the plan between two commits of a site. */
import type { Command } from "commander";
import { renderDiagnostic, visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { renderPlan } from "../../plan/render-terminal.ts";
import { compareRevisions, type Comparison } from "../../utility/compare-revisions.ts";
import type { CliContext } from "../context.ts";

interface DiffOptions {
  readonly json?: boolean;
  readonly object?: string;
}

export function configure(command: Command, context: CliContext): void {
  command
    .argument("<rev>", "the commit to start from")
    .argument("[rev]", "the commit to end with; without one, the working tree")
    .argument("[cvl]", "one root file; without one, every network of the site")
    .option("--object <name>", "the root object, where the file has several")
    .option("--json", "print the plans as JSON")
    .addHelpText("after", "\nExample:\n  cui diff HEAD~1\n  cui diff main my-branch acme.cvl\n")
    .action((before: string, second: string | undefined, third: string | undefined, options: DiffOptions) =>
      diff(context, parseArguments(before, second, third), options),
    );
}

interface Arguments {
  readonly before: string;
  readonly after: string | undefined;
  readonly file: string | undefined;
}

/** A word that ends with `.cvl` is a file: `cui diff HEAD acme.cvl` leaves the second commit out. */
function parseArguments(before: string, second: string | undefined, third: string | undefined): Arguments {
  if (before.endsWith(".cvl")) {
    throw new CollectiveError("USAGE", `expected a commit first, but ${visible(before)} is a file`, {
      hint: "cui diff HEAD acme.cvl",
    });
  }
  if (third === undefined && second?.endsWith(".cvl") === true)
    return { before, after: undefined, file: second };
  return { before, after: second, file: third };
}

async function diff(
  context: CliContext,
  { before, after, file }: Arguments,
  options: DiffOptions,
): Promise<void> {
  const comparisons = await compareRevisions({
    cwd: context.cwd,
    before,
    after,
    file,
    ...(options.object === undefined ? {} : { object: options.object }),
  });
  for (const { diagnostics, textOf } of comparisons) {
    for (const diagnostic of diagnostics) context.warn(renderDiagnostic(diagnostic, textOf));
  }
  if (options.json === true) printJson(context, comparisons);
  else printPlans(context, comparisons, { before, after });
  requireAll(comparisons);
}

function printJson(context: CliContext, comparisons: readonly Comparison[]): void {
  const list = comparisons.map(({ file, isBefore, isAfter, plan, diagnostics }) => ({
    file,
    isBefore,
    isAfter,
    plan: plan ?? null,
    diagnostics,
  }));
  context.print(JSON.stringify(list, undefined, 2));
}

function printPlans(
  context: CliContext,
  comparisons: readonly Comparison[],
  sides: { readonly before: string; readonly after: string | undefined },
): void {
  const colour = context.isTerminal && context.env["NO_COLOR"] === undefined;
  const printed = comparisons.flatMap((comparison) => {
    if (comparison.plan === undefined) return [];
    const { file, isBefore, isAfter, plan } = comparison;
    const afterName = visible(sides.after ?? "the working tree");
    const heading = !isBefore
      ? `${visible(file)} is new in ${afterName}: everything starts\n`
      : !isAfter
        ? `${visible(file)} is gone in ${afterName}: everything is removed\n`
        : comparisons.length > 1
          ? `${visible(file)}\n`
          : "";
    return [`${heading}${renderPlan(plan, { colour })}`];
  });
  if (printed.length > 0) context.print(printed.join("\n\n"));
}

function requireAll(comparisons: readonly Comparison[]): void {
  const broken = comparisons.filter(({ plan }) => plan === undefined).map(({ file }) => visible(file));
  if (broken.length > 0) {
    throw new CollectiveError("INVALID_INPUT", `${broken.join(", ")} cannot be planned: there are errors`);
  }
  const refused = comparisons
    .filter(({ plan }) => (plan?.refusals.length ?? 0) > 0)
    .map(({ file }) => visible(file));
  if (refused.length > 0) {
    throw new CollectiveError("PLAN_REFUSED", `the plan of ${refused.join(", ")} must not be carried out`, {
      hint: "the lines that begin with `refused` say why",
    });
  }
}
