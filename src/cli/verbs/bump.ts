/** `cui bump`: newer versions of what is imported, into the working tree, onto branches, or as pull requests. */
import type { Command } from "commander";
import { visible } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { withMirrors } from "../../appliance/mirrors.ts";
import { applyBumps } from "../../bump/apply-bumps.ts";
import type { FoundBumps } from "../../bump/find-bumps.ts";
import { describeChange } from "../../bump/prepare-bumps.ts";
import { pushBumps, type PushReport } from "../../bump/push-bumps.ts";
import { forgeFromEnvironment } from "../../forge/client.ts";
import { openBumps, openReportJson, type OpenReport } from "../../forge/open-bumps.ts";
import { parseRepositoryName, repositoryOfClone } from "../../forge/repository-name.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";

interface Options {
  readonly dryRun?: boolean;
  readonly push?: boolean;
  readonly pr?: boolean;
  readonly repository?: string;
  readonly json?: boolean;
  readonly branch?: string;
}

export function configure(command: Command, context: CliContext): void {
  command
    .option("--dry-run", "only show what is newer")
    .option("--push", "leave the working tree alone: push a branch collective/bump/<group> for each group")
    .option("--pr", "also open, update and close pull requests on GitHub, one a group")
    .option("--repository <owner/name>", "with --pr; default: GITHUB_REPOSITORY, else the clone's origin")
    .option("--branch <name>", "with --push or --pr: what bumps start from; default: origin's default branch")
    .option("--json", "print the report as JSON")
    .addHelpText(
      "after",
      "\nNewer versions of every import: of cvl.lock, and of pins (version => …) in the folder's own CVL files.\n" +
        "bump.yaml beside them holds the rules; see docs/bump.md.\n" +
        "\nExample:\n  cui bump && git diff\n  cui bump --push\n  GITHUB_TOKEN=$(gh auth token) cui bump --pr\n",
    )
    .action(async (options: Options) => {
      if (options.pr === true) await openAll(context, options);
      else if (options.push === true) await pushAll(context, options);
      else await applyAll(context, options);
    });
}

async function applyAll(context: CliContext, options: Options): Promise<void> {
  if (options.branch !== undefined || options.repository !== undefined) {
    throw new CollectiveError("USAGE", "--branch and --repository go with --push or --pr");
  }
  const found = await applyBumps({ git: gitOf(context), isDryRun: options.dryRun === true });
  if (options.json === true) {
    const changes = found.bumps.flatMap((bump) => bump.changes);
    const files = found.bumps.flatMap((bump) => [...bump.files.keys()]);
    context.print(JSON.stringify({ changes, files, heldBack: found.heldBack }, undefined, 2));
    return;
  }
  for (const { changes } of found.bumps) for (const change of changes) context.print(describeChange(change));
  if (found.bumps.length === 0) context.print("nothing is newer");
  printHeldBack(context, found);
}

function refuseDryRun({ dryRun }: Options): void {
  if (dryRun !== true) return;
  throw new CollectiveError("USAGE", "--dry-run goes with neither --push nor --pr", {
    hint: "`cui bump --dry-run` shows what is newer in the working tree",
  });
}

async function openAll(context: CliContext, options: Options): Promise<void> {
  refuseDryRun(options);
  const { env } = context;
  const git = gitOf(context);
  const named = options.repository ?? env["GITHUB_REPOSITORY"];
  const repository = named === undefined ? await repositoryOfClone(git) : parseRepositoryName(named);
  const forge = forgeFromEnvironment(env);
  const report = await withMirrors(git, (mirrors) =>
    openBumps({ git, mirrors, forge, repository, branch: options.branch }),
  );
  if (options.json === true) context.print(JSON.stringify(openReportJson(report), undefined, 2));
  else printOpened(context, report);
  refuseFailures({ found: report.found, outcomes: report.opened });
}

function printOpened(context: CliContext, { opened, closed, found }: OpenReport): void {
  for (const { bump, outcome, url, note } of opened) {
    context.print(`${outcome.padEnd(9)}  ${bump.title}${url === undefined ? "" : `  ${url}`}`);
    for (const line of bump.summary.split("\n")) context.print(`           ${line}`);
    if (note !== undefined) context.print(`           ${visible(note)}`);
  }
  for (const number of closed) context.print(`closed     #${number}: nothing to propose any more`);
  if (opened.length + closed.length + found.problems.length === 0) context.print("nothing is newer");
  for (const { group, error } of found.problems) context.warn(`${group}: ${error.message}`);
  printHeldBack(context, found);
}

async function pushAll(context: CliContext, options: Options): Promise<void> {
  refuseDryRun(options);
  if (options.repository !== undefined) throw new CollectiveError("USAGE", "--repository goes with --pr");
  const git = gitOf(context);
  const report = await withMirrors(git, (mirrors) => pushBumps({ git, mirrors, branch: options.branch }));
  if (options.json === true) context.print(JSON.stringify(pushReportJson(report), undefined, 2));
  else printPushed(context, report);
  refuseFailures({ found: report.found, outcomes: report.pushed });
}

function printPushed(context: CliContext, { pushed, removed, found }: PushReport): void {
  for (const { bump, outcome, branch, version, note } of pushed) {
    const where = version === undefined ? branch : `${branch}, v${version}`;
    context.print(`${outcome.padEnd(9)}  ${bump.title}  (${where})`);
    for (const line of bump.summary.split("\n")) context.print(`           ${line}`);
    if (note !== undefined) context.print(`           ${note}`);
  }
  for (const branch of removed) context.print(`removed    ${branch}: nothing to propose any more`);
  if (pushed.length + removed.length + found.problems.length === 0) context.print("nothing is newer");
  for (const { group, error } of found.problems) context.warn(`${group}: ${error.message}`);
  printHeldBack(context, found);
}

function printHeldBack(context: CliContext, { heldBack }: FoundBumps): void {
  for (const { url, version, why } of heldBack)
    context.print(`${url}: v${version} is held back, ${visible(why)}`);
}

function pushReportJson({ pushed, removed, found }: PushReport): unknown {
  return {
    bumps: pushed.map(({ bump, outcome, branch, commit, version, note }) => ({
      group: bump.group,
      title: bump.title,
      outcome,
      branch,
      commit,
      version: version ?? null,
      class: bump.preview.class ?? null,
      note: note ?? null,
      changes: bump.changes,
    })),
    removed,
    problems: found.problems.map(({ group, error }) => ({ group, message: error.message })),
    heldBack: found.heldBack,
  };
}

/** Everything that can be done is done before the command fails. */
function refuseFailures({
  found,
  outcomes,
}: {
  readonly found: FoundBumps;
  readonly outcomes: readonly { readonly outcome: string; readonly bump: { readonly group: string } }[];
}): void {
  const groups = [
    ...outcomes.filter(({ outcome }) => outcome === "refused").map(({ bump }) => bump.group),
    ...found.problems.map(({ group }) => group),
  ];
  if (groups.length === 0) return;
  throw new CollectiveError("BUMP_REFUSED", `${groups.join(", ")} could not be bumped; see above`, {
    hint: "the other groups are done; running the command again changes nothing about them",
  });
}
