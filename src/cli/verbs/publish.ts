/** `cui publish <repository> <cvl>`: the next version of an appliance. */
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { publish, type PublishedVersion } from "../../publish/publish.ts";
import type { CliContext } from "../context.ts";
import { printDiagnostics } from "../cvl-program.ts";
import { gitOf } from "../git-of.ts";

interface Options {
  readonly object?: string;
  readonly message?: string;
  readonly json?: boolean;
}

export function configure(command: Command, context: CliContext): void {
  command
    .argument("<repository>", "path or URL of the repository")
    .argument("<cvl>", "the CVL file; its folder is published")
    .option("--object <name>", "the object, where the file has several")
    .option("-m, --message <text>", "message of the commit")
    .option("--json", "print what was published as JSON")
    .addHelpText("after", '\nExample:\n  cui publish /srv/appliances/DNS DNS.cvl -m "Take the libc update"\n')
    .action(async (repository: string, cvl: string, options: Options) => {
      const { published, diagnostics, textOf } = await publish(gitOf(context), {
        repository,
        cvl,
        cwd: context.cwd,
        onWait: context.warn,
        ...(options.object === undefined ? {} : { object: options.object }),
        ...(options.message === undefined ? {} : { message: options.message }),
      });
      printDiagnostics(diagnostics, textOf, context);
      if (published === undefined) {
        throw new CollectiveError("INVALID_INPUT", `${cvl} has errors; nothing was published`);
      }
      if (options.json === true) context.print(JSON.stringify(published, undefined, 2));
      else for (const line of describe(published)) context.print(line);
    });
}

function describe({ url, version, commit, disks, sentBytes }: PublishedVersion): string[] {
  return [
    ...disks.map(({ source, addedBytes, isUnchanged }) =>
      isUnchanged ? `${source}: unchanged` : `${source}: ${mebibytes(addedBytes)} of new chunks`,
    ),
    `Published v${version} to ${url} (commit ${commit.slice(0, 12)}, ${mebibytes(sentBytes)} sent).`,
  ];
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 2 : 0)} MiB`;
}
