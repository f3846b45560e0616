/** `cui init <template> <dir>`: starts an appliance, a network or a site from a template. */
import path from "node:path";
import type { Command } from "commander";
import { initAppliance, type InitReport } from "../../setup/init.ts";
import { TEMPLATES } from "../../setup/template.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
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
    .action(
      async (
        template: string,
        dir: string,
        options: { name?: string; base?: string; renovate?: boolean; actions?: string },
      ) => {
        const report = await initAppliance(gitOf(context), {
          template,
          directory: dir,
          cwd: context.cwd,
          name: options.name,
          base: options.base,
          hasRenovate: options.renovate === true,
          hooks: context.program,
          actions: options.actions,
          server: context.env["GITHUB_SERVER_URL"],
        });
        context.print(`Made ${report.names.object} in ${dir}: ${report.template.summary}. Next:`);
        for (const line of nextSteps(report, context.cwd)) context.print(`  ${line}`);
        if (options.actions === undefined) {
          context.print(
            "For GitHub, put the release of Collective's actions into .github/workflows: --actions does it.",
          );
        }
      },
    );
}

function nextSteps({ template, directory, names }: InitReport, cwd: string): string[] {
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
