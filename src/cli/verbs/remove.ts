/** `cui remove <cvl>`: a network leaves state, tags and addresses; its data goes to the attic. */
import type { Command } from "commander";
import { describeRemoval, removeNetwork, type RemovedNetwork } from "../../manager/apply/remove-network.ts";
import { removeNetworkEntry } from "../../site/edit-inventory.ts";
import { editSite } from "../../site/site.ts";
import { CollectiveError } from "../../errors.ts";
import { confirm } from "../confirm.ts";
import type { CliContext } from "../context.ts";
import { addLostDataDiskOption, type LostDataDiskFlag } from "../new-data-disk.ts";
import { DEFAULT_STOP_SECONDS, parseSeconds } from "../seconds.ts";
import { nameNetwork, openManager } from "../manager.ts";
import { createProgressView } from "../render-progress.ts";

interface Flags extends LostDataDiskFlag {
  readonly json?: boolean;
  readonly object?: string;
  readonly stop?: boolean;
  readonly timeout?: string;
  readonly takeOver?: boolean;
  readonly yes?: boolean;
}

export function configure(command: Command, context: CliContext): void {
  addLostDataDiskOption(command)
    .argument("<cvl>", "the root file; it need not be there any more")
    .option("--object <name>", "the root object, where the file has several")
    .option("--stop", "stop it first, where it runs")
    .option(
      "--timeout <seconds>",
      "with --stop: how long a guest may take before it is destroyed (default: 180)",
    )
    .option("--yes", "do not ask")
    .option("--take-over", "take the network from a manager on another machine that is certainly dead")
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `
Data disks go to the attic of their host (cui attic list), where only cui attic purge removes them. Tags, addresses and the id in
utility.yaml are free again.

Examples:
  cui stop acme.cvl && cui remove acme.cvl
  cui remove acme.cvl --stop --yes
`,
    )
    .action(async (cvl: string, flags: Flags) => {
      await runRemove(context, cvl, flags);
    });
}

async function runRemove(context: CliContext, cvl: string, flags: Flags): Promise<void> {
  if (flags.timeout !== undefined && flags.stop !== true)
    throw new CollectiveError("USAGE", "--timeout is for --stop: without it nothing is stopped");
  const stopMs = 1000 * parseSeconds("--timeout", flags.timeout ?? DEFAULT_STOP_SECONDS, { least: 0 });
  const manager = await openManager(context, { writes: true });
  const { networkId, file } = nameNetwork(manager, { cwd: context.cwd, cvl, object: flags.object });
  const progress = createProgressView(context, { quiet: flags.json === true });
  const { inventory, folder } = manager.site;
  const options = {
    ...{
      ...manager,
      networkId,
      file,
      inventory,
      progress,
      limits: { stopMs },
      takeOver: flags.takeOver ?? false,
    },
    ...{ lostDataDisks: flags.lostDataDisk, stopFirst: flags.stop === true },
  };
  try {
    await confirm(context, questionOf(await describeRemoval(options), file), flags);
    const removed = await removeNetwork(options);
    await editSite(folder, (text) => removeNetworkEntry(text, networkId), { onWait: context.warn });
    await Promise.all([progress.close(), manager.tidy()]);
    if (flags.json === true) context.print(JSON.stringify(removed, undefined, 2));
    else for (const line of reportOf(removed, file)) context.print(line);
  } finally {
    await progress.close();
  }
}

function questionOf({ machines, dataDisks, lostDataDisks }: RemovedNetwork, file: string): readonly string[] {
  return [
    `remove ${file}: ${machines.join(", ") || "no machines"}; its tags and addresses are free then`,
    ...dataDisks.map((disk) => `the data disk ${disk} goes to the attic there`),
    ...lostDataDisks.map((disk) => `the data disk ${disk} is lost, and is let go of`),
  ];
}

function reportOf({ machines, dataDisks, lostDataDisks }: RemovedNetwork, file: string): readonly string[] {
  return [
    `removed ${file} (${machines.length} machine${machines.length === 1 ? "" : "s"})`,
    ...dataDisks.map((disk) => `  in the attic: ${disk}`),
    ...lostDataDisks.map((disk) => `  lost: ${disk}`),
  ];
}
