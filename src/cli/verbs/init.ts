/** `cui init <template> <dir>`: starts an appliance, a network or a site from a template. */
import path from "node:path";
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { initAppliance, type InitOptions } from "../../setup/init.ts";
import { TEMPLATES, usesBase } from "../../setup/template.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
import { parseActions, parseNames, parseTemplate } from "../init-arguments.ts";
import { quoteForShell } from "../on-manager.ts";

export function configure(command: Command, context: CliContext): void {
  const width = Math.max(...TEMPLATES.map(({ name }) => name.length));
  command
    .argument("<template>", `one of ${TEMPLATES.map(({ name }) => name).join(", ")}`)
    .argument("<dir>", "a new or empty folder")
    .option("--name <Name>", "name of the appliance (default: made from the folder's name)")
    .option("--base <url>", "derived, site: the repository to derive from (default: ../Office)")
    .option("--renovate", "derived, site: add a configuration for Renovate; see docs/bump.md")
    .option(
      "--actions <owner/repo@ref>",
      "the release of Collective's GitHub actions that the workflows use; a tag becomes the full commit it has now",
    )
    .addHelpText(
      "after",
      [
        "",
        "Templates:",
        ...TEMPLATES.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
        "",
        "Example:",
        "  cui init web Web && cd Web && sh build.sh",
      ].join("\n"),
    )
    .action(async (template: string, dir: string, flags: Flags) => {
      const wanted = readFlags(template, path.resolve(context.cwd, dir), flags);
      await initAppliance(gitOf(context), {
        ...wanted,
        hooks: context.program,
        server: context.env["GITHUB_SERVER_URL"],
      });
      context.print(`Made ${wanted.names.object} in ${dir}: ${wanted.template.summary}. Next:`);
      for (const line of nextSteps(wanted, context.cwd)) context.print(`  ${line}`);
      if (flags.actions === undefined) {
        context.print(
          "For GitHub, put the release of Collective's actions into .github/workflows: --actions does it.",
        );
      }
    });
}

interface Flags {
  readonly name?: string;
  readonly base?: string;
  readonly renovate?: boolean;
  readonly actions?: string;
}

/** @throws CollectiveError USAGE. */
function readFlags(templateName: string, directory: string, flags: Flags): InitOptions {
  const template = parseTemplate(templateName);
  const names = parseNames(template, { directory, name: flags.name, base: flags.base });
  const hasRenovate = flags.renovate === true;
  if (hasRenovate && !usesBase(template)) {
    const message = `--renovate goes with the templates derived and site, not ${template.name}`;
    throw new CollectiveError("USAGE", message);
  }
  const actions = flags.actions === undefined ? undefined : parseActions(flags.actions);
  return { template, directory, names, hasRenovate, actions };
}

function nextSteps({ template, directory, names }: InitOptions, cwd: string): string[] {
  const enter = `cd ${quoteForShell(path.relative(cwd, directory) || ".")}`;
  const file = `${names.object}.cvl`;
  if (template.kind === "site") {
    return [
      enter,
      "cui host add … && cui vlan add … && cui address add …",
      `cui plan ${file}`,
      `cui start ${file}`,
    ];
  }
  const repository = `../repositories/${names.object}`;
  const make =
    template.kind !== "machine"
      ? `cui check ${file}`
      : template.name === "debian"
        ? "sudo sh build.sh"
        : "sh build.sh";
  return [enter, make, `cui create ${repository}`, `cui publish ${repository} ${file}`];
}
