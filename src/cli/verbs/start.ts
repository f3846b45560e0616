/** `cui start <cvl> [component]`: starts what does not run. */
import type { Command } from "commander";
import { configureChange } from "../change-command.ts";
import type { CliContext } from "../context.ts";

export function configure(command: Command, context: CliContext): void {
  configureChange(command, context, "start");
  command.addHelpText(
    "after",
    `
Machines that run already are left alone. Sensitive parameters are taken from the environment:
CUI_SECRET_<Root>__<path>__<parameter>, with __ for each dot of the path.

Examples:
  cui start acme.cvl
  CUI_SECRET_AcmeOffice__l__rootpw=… cui start acme.cvl l
`,
  );
}
