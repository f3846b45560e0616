/** `cui update <cvl> [component]`: makes what runs what the files say, touching only what changed. */
import type { Command } from "commander";
import { configureChange } from "../change-command.ts";
import type { CliContext } from "../context.ts";

export function configure(command: Command, context: CliContext): void {
  configureChange(command, context, "update");
  command
    .option("--latest", "move cvl.lock to the newest versions first, as `cui lock` does")
    .addHelpText("after", "\nExamples:\n  cui update acme.cvl\n  cui update acme.cvl w --latest\n");
}
