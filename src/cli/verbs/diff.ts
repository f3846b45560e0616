/** `cui diff <rev> [<rev>] [<cvl>]`: the plan between two commits of a site. */
import path from "node:path";
import type { Command } from "commander";
import { placeDiagnostic, visible, type TextOf } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import type { Git } from "../../git/git.ts";
import { renderPlan } from "../../plan/render-terminal.ts";
import type { PreviewedNetwork } from "../../preview/compare-root.ts";
import { UNLIMITED } from "../../preview/preview-limits.ts";
import { compareSite, type SiteComparison } from "../../preview/preview-site.ts";
import { findSite } from "../../site/site.ts";
import type { CliContext } from "../context.ts";
import { printDiagnostics } from "../cvl-program.ts";
import { gitOf } from "../git-of.ts";

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
  const compared = await compare(gitOf(context), { before, after, file }, options.object);
  const { networks, diagnostics, textOf } = compared;
  printDiagnostics(diagnostics, textOf, context);
  if (options.json === true) printJson(context, networks, textOf);
  else printPlans(context, networks, { before, after });
  requireAll(networks);
}

/** Names are relative to the folder the command runs in, wherever in the site that is. */
async function compare(
  git: Git,
  { before, after, file }: Arguments,
  object: string | undefined,
): Promise<SiteComparison> {
  const cwd = git.folder;
  const folder = await siteFolder(cwd);
  const shown = (name: string): string => path.relative(cwd, path.join(folder, name));
  const compared = await compareSite({
    git: git.at(folder),
    base: before,
    head: after,
    isSite: true,
    limits: UNLIMITED,
    nameOf: (name, side) => {
      const rev = side === "base" ? before : after;
      return rev === undefined ? shown(name) : `${rev}:${shown(name)}`;
    },
    ...(file === undefined ? {} : { root: { file: insideOf(folder, path.resolve(cwd, file)), object } }),
  });
  const networks = compared.networks.map((network) => ({ ...network, file: shown(network.file) }));
  if (networks.length > 0) return { ...compared, networks };
  const sides = `neither in ${visible(before)} nor in ${visible(after ?? "the working tree")}`;
  throw new CollectiveError(
    "INVALID_INPUT",
    file === undefined ? `${folder} has no root CVL file, ${sides}` : `${visible(file)} exists ${sides}`,
    { hint: "name the root file: cui diff HEAD~1 acme.cvl" },
  );
}

/** Outside a site the folder itself is compared. */
async function siteFolder(cwd: string): Promise<string> {
  try {
    return (await findSite(cwd)).folder;
  } catch (error) {
    if (error instanceof CollectiveError && error.code === "UTILITY_NO_SITE") return cwd;
    throw error;
  }
}

/** `/` between folders; a file outside the site keeps its way out, which is refused where it is read. */
function insideOf(folder: string, absolute: string): string {
  return path.relative(folder, absolute).split(path.sep).join("/");
}

function printJson(context: CliContext, comparisons: readonly PreviewedNetwork[], textOf: TextOf): void {
  const list = comparisons.map(({ file, isBefore, isAfter, plan, diagnostics }) => ({
    file,
    isBefore,
    isAfter,
    plan,
    diagnostics: diagnostics.map((diagnostic) => placeDiagnostic(diagnostic, textOf)),
  }));
  context.print(JSON.stringify(list, undefined, 2));
}

function printPlans(
  context: CliContext,
  comparisons: readonly PreviewedNetwork[],
  sides: { readonly before: string; readonly after: string | undefined },
): void {
  const colour = context.isTerminal && context.env["NO_COLOR"] === undefined;
  const printed = comparisons.flatMap((comparison) => {
    if (comparison.plan === null) return [];
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

function requireAll(comparisons: readonly PreviewedNetwork[]): void {
  const broken = comparisons.filter(({ plan }) => plan === null).map(({ file }) => visible(file));
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
