/** `cui lock [<cvl>]`: moves every import to the newest version its pin allows. */
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { moveLock, type LockChange } from "../../appliance/move-lock.ts";
import type { CliContext } from "../context.ts";
import { printDiagnostics } from "../cvl-program.ts";
import { cvlFilesIn } from "../cvl-files.ts";
import { gitOf } from "../git-of.ts";

export function configure(command: Command, context: CliContext): void {
  command
    .argument("[cvl]", "the root file; without one, all CVL files of the folder")
    .option("--json", "print every import with its version before and after as JSON")
    .addHelpText("after", "\nExample:\n  cui lock office.cvl && git diff cvl.lock\n")
    .action(async (cvl: string | undefined, options: { readonly json?: boolean }) => {
      const { cwd } = context;
      const files = cvl === undefined ? await cvlFilesIn(cwd) : [cvl];
      const report = await moveLock(gitOf(context), { cwd, files, keepsOthers: cvl !== undefined });
      printDiagnostics(report.diagnostics, report.textOf, context);
      if (report.changes === undefined) {
        throw new CollectiveError("INVALID_INPUT", "the lock stays as it is: there are errors");
      }
      if (options.json === true) context.print(JSON.stringify(report.changes, undefined, 2));
      else for (const change of report.changes) context.print(describe(change));
    });
}

function describe({ url, pin, from, to }: LockChange): string {
  const pinned = pin === "*" ? "" : ` (pinned to ${pin})`;
  if (to === undefined) return `${url}: v${from ?? 0} is no longer needed`;
  if (from === to) return `${url}: v${to}${pinned}`;
  return from === undefined ? `${url}: new at v${to}${pinned}` : `${url}: v${from} → v${to}${pinned}`;
}
