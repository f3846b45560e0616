/** `cui plan <cvl> [component]`: what a start or an update would do now. */
import path from "node:path";
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { checkOutputFile, writeOutputFile } from "../../user-file.ts";
import { PLAN_FILE } from "../../plan/read-plan.ts";
import { renderPlan } from "../../plan/render-terminal.ts";
import { diskFetchBytes } from "../../appliance/bytes-to-fetch.ts";
import { loadSiteAppliance } from "../../manager/change/load-site-appliance.ts";
import { previewNetwork, type ImagePair } from "../../manager/change/preview-network.ts";
import { withMirrors, type Mirrors } from "../../appliance/mirrors.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
import { addNewDataDiskOption, type NewDataDiskFlag } from "../new-data-disk.ts";
import { nameNetwork, openManager } from "../manager.ts";

interface Flags extends NewDataDiskFlag {
  readonly json?: boolean;
  readonly out?: string;
  readonly object?: string;
}

export function configure(command: Command, context: CliContext): void {
  addNewDataDiskOption(command)
    .argument("<cvl>", "the root file")
    .argument("[component]", "only this component and what lies below it")
    .option("--object <name>", "the root object, where the file has several")
    .option("--out <file>", "also write the plan to a file")
    .option("--json", "print the plan as JSON")
    .addHelpText("after", "\nExamples:\n  cui plan acme.cvl\n  cui plan acme.cvl w --out plan.json\n")
    .action(async (cvl: string, component: string | undefined, flags: Flags) => {
      const out = flags.out === undefined ? undefined : path.resolve(context.cwd, flags.out);
      if (out !== undefined) await checkOutputFile(out, PLAN_FILE);
      const git = gitOf(context);
      const manager = await openManager(context);
      const { inventory } = manager.site;
      const { networkId } = nameNetwork(manager, { cwd: context.cwd, cvl, object: flags.object });
      const plan = await previewNetwork({
        ...manager,
        networkId,
        component,
        newDataDisks: flags.newDataDisk,
        inventory,
        env: context.env,
        countBytes: (pairs) => withMirrors(git, (mirrors) => countBytes(mirrors, pairs)),
        loadAppliance: () =>
          loadSiteAppliance({
            git,
            cwd: context.cwd,
            file: cvl,
            object: flags.object,
            inventory,
            versions: "locked",
            writeLock: false,
          }),
      });
      const json = JSON.stringify(plan, undefined, 2);
      if (out !== undefined) await writeOutputFile(out, `${json}\n`, PLAN_FILE);
      context.print(flags.json === true ? json : renderPlan(plan, { colour: context.isTerminal }));
      if (plan.refusals.length > 0) {
        throw new CollectiveError("UTILITY_REFUSED", "the plan cannot be applied: its refusals say why");
      }
    });
}

async function countBytes(
  mirrors: Mirrors,
  pairs: ReadonlyMap<string, ImagePair>,
): Promise<ReadonlyMap<string, number>> {
  const counted = await Promise.all(
    [...pairs].map(async ([component, { wanted, running }]) => {
      const bytes = await diskFetchBytes({ mirrors, wanted, have: running === undefined ? [] : [running] });
      return [component, bytes] as const;
    }),
  );
  return new Map(counted);
}
