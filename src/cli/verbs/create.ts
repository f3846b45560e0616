/** `cui create <repository>`: an empty appliance repository. */
import path from "node:path";
import type { Command } from "commander";
import { createRepository } from "../../setup/create.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";

export function configure(command: Command, context: CliContext): void {
  command
    .argument("<repository>", "path of the new repository")
    .addHelpText(
      "after",
      "\nExample:\n  cui create /srv/appliances/DNS && cui publish /srv/appliances/DNS DNS.cvl\n",
    )
    .action(async (repository: string) => {
      await createRepository(gitOf(context).at(path.resolve(context.cwd, repository)), {
        hooks: context.program,
      });
      context.print(`Created the repository ${repository}.`);
    });
}
