/** `cui attic restore`: data comes back under its component, or out into a file. */
import path from "node:path";
import type { Command } from "commander";
import { CollectiveError } from "../errors.ts";
import { exportEntry } from "../manager/data/export-data.ts";
import { restoreFromAttic, type DecidedRestore } from "../manager/data/restore-from-attic.ts";
import { machineName } from "../network/paths.ts";
import { confirm } from "./confirm.ts";
import type { CliContext } from "./context.ts";
import { addCopyOptions, copyToFile, copyToJson, renderCopy, type CopyFlags } from "./data-copy.ts";
import { nameNetwork, openManager } from "./manager.ts";
import { createProgressView } from "./render-progress.ts";

interface Flags extends CopyFlags {
  readonly device?: string;
  readonly file?: string;
  readonly json?: boolean;
  readonly object?: string;
  readonly takeOver?: boolean;
  readonly yes?: boolean;
}

interface Arguments {
  readonly entry: string;
  readonly cvl: string | undefined;
  readonly component: string;
  readonly flags: Flags;
}

export function configureAtticRestore(command: Command, context: CliContext): void {
  addCopyOptions(command)
    .description("give a data disk of the attic back to a component that is stopped, or copy it into a file")
    .argument("<entry>", "its id, or how that begins")
    .argument("[cvl]", "the root file of the network that gets it")
    .argument("[component]", "the machine; none for a root machine")
    .option("--device <device>", "as which data disk; default the one it was")
    .option("--file <file>", "copy it into this file, verified; the entry stays in the attic")
    .option("--object <name>", "the root object, where the file has several")
    .option("--take-over", "take the network from a manager on another machine that is certainly dead")
    .option("--yes", "do not ask")
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `
The component must be stopped, and lie on the host whose attic has the entry. The data disk that it has now goes
to the attic itself: nothing is overwritten.

Examples:
  cui stop acme.cvl w && cui attic restore 3f2a1c9b0d4e acme.cvl w && cui start acme.cvl w
  cui attic restore 3f2a1c9b0d4e --file web-data.qcow2
`,
    )
    .action(async (entry: string, cvl: string | undefined, component: string | undefined, flags: Flags) => {
      const given = { entry, cvl, component: component === "." ? "" : (component ?? ""), flags };
      await (flags.file === undefined ? toComponent(context, given) : toFile(context, given, flags.file));
    });
}

async function toComponent(context: CliContext, { entry, cvl, component, flags }: Arguments): Promise<void> {
  if (cvl === undefined) {
    throw new CollectiveError("USAGE", "expected a root file and a component, or --file", {
      hint: "cui attic restore 3f2a1c9b0d4e acme.cvl w",
    });
  }
  if (flags.force === true) throw new CollectiveError("USAGE", "--force goes with --file");
  const manager = await openManager(context, { writes: true });
  const { networkId, file } = nameNetwork(manager, { cwd: context.cwd, cvl, object: flags.object });
  const progress = createProgressView(context, { quiet: flags.json === true });
  const { takeOver = false, device } = flags;
  const restored = await restoreFromAttic({
    ...{ ...manager, networkId, file, component, entry, device, progress, takeOver },
    inventory: manager.site.inventory,
    onDecided: (decided) => confirm(context, questionOf(decided), flags),
  });
  await Promise.all([progress.close(), manager.tidy()]);
  if (flags.json === true) {
    context.print(JSON.stringify({ network: networkId, ...restored }, undefined, 2));
    return;
  }
  for (const warning of restored.warnings) context.warn(`warning: ${warning}`);
  context.print(
    `${restored.device} of ${machineName(component)} on ${restored.host} is ${restored.entry.id} again`,
  );
  if (restored.putAside !== null)
    context.print(`  in the attic: what it had until now, as ${restored.putAside}`);
}

function questionOf({ replaces, device, component, entry }: DecidedRestore): readonly string[] {
  if (!replaces) return [];
  return [
    `the data disk ${device} that ${machineName(component)} has now goes to the attic of ${entry.host}, ${entry.id} takes its place`,
  ];
}

async function toFile(context: CliContext, given: Arguments, file: string): Promise<void> {
  const { entry, cvl, flags } = given;
  if (cvl !== undefined || flags.device !== undefined)
    throw new CollectiveError("USAGE", "expected a root file and a component, or --file, not both");
  const manager = await openManager(context);
  const name = `entry ${entry}`;
  const result = await copyToFile(context, { file, flags, name }, (target) =>
    exportEntry({ ...manager, ...target, inventory: manager.site.inventory, entry }),
  );
  const target = path.resolve(context.cwd, file);
  if (flags.json === true) context.print(copyToJson({ target, format: flags.format }, result));
  else for (const line of renderCopy(result, { file, name })) context.print(line);
}
