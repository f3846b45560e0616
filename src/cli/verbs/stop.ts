/** `cui stop <cvl> [component]`: stops machines in the reverse of the boot order; data and addresses stay. */
import type { Command } from "commander";
import { stopNetwork } from "../../manager/apply/stop-network.ts";
import { renderTimes, timesToJson } from "../change-command.ts";
import type { CliContext } from "../context.ts";
import { nameNetwork, openManager } from "../manager.ts";
import { DEFAULT_STOP_SECONDS, parseSeconds } from "../seconds.ts";
import { createProgressView } from "../render-progress.ts";

interface Flags {
  readonly json?: boolean;
  readonly object?: string;
  readonly timeout: string;
  readonly takeOver?: boolean;
}

export function configure(command: Command, context: CliContext): void {
  command
    .argument("<cvl>", "the root file")
    .argument("[component]", "only this component and what lies below it")
    .option("--object <name>", "the root object, where the file has several")
    .option("--timeout <seconds>", "how long a guest may take before it is destroyed", DEFAULT_STOP_SECONDS)
    .option("--take-over", "take the network from a manager on another machine that is certainly dead")
    .option("--json", "print the result as JSON")
    .addHelpText("after", "\nExamples:\n  cui stop acme.cvl\n  cui stop acme.cvl w\n")
    .action(async (cvl: string, component: string | undefined, flags: Flags) => {
      await runStop(context, { cvl, component, flags });
    });
}

async function runStop(
  context: CliContext,
  { cvl, component, flags }: { cvl: string; component: string | undefined; flags: Flags },
): Promise<void> {
  const stopMs = 1000 * parseSeconds("--timeout", flags.timeout, { least: 0 });
  const manager = await openManager(context);
  const { networkId, file } = nameNetwork(manager, { cwd: context.cwd, cvl, object: flags.object });
  const progress = createProgressView(context, { quiet: flags.json === true });
  try {
    const result = await stopNetwork({
      ...manager,
      networkId,
      file,
      component,
      inventory: manager.site.inventory,
      progress,
      limits: { stopMs },
      takeOver: flags.takeOver ?? false,
    });
    await Promise.all([progress.close(), manager.tidy()]);
    const { outcomes, warnings, timeline } = result;
    const actions = outcomes.map(({ action, outcome }) => ({
      id: action.id,
      component: action.component,
      state: outcome.state,
    }));
    if (flags.json === true) {
      context.print(
        JSON.stringify({ network: networkId, actions, warnings, ...timesToJson(timeline) }, undefined, 2),
      );
      return;
    }
    for (const warning of warnings) context.warn(`warning: ${warning}`);
    const stopped =
      actions.length === 0
        ? "nothing runs"
        : `stopped ${actions.length} machine${actions.length === 1 ? "" : "s"}`;
    context.print(`${stopped} in ${renderTimes(timeline)}`);
  } finally {
    await progress.close();
  }
}
