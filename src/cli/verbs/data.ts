/** `cui data list|export`: the data disks of networks, and how data leaves. */
import path from "node:path";
import type { Command } from "commander";
import { CollectiveError } from "../../errors.ts";
import { exportData } from "../../manager/data/export-data.ts";
import { listData, type FoundDisk, type FoundDisks } from "../../manager/data/list-data.ts";
import { LOOK_MS } from "../../manager/observe/observe-hosts.ts";
import { machineName } from "../../network/paths.ts";
import type { CliContext } from "../context.ts";
import { addCopyOptions, copyToFile, copyToJson, renderCopy, type CopyFlags } from "../data-copy.ts";
import { openManager } from "../manager.ts";
import { namedData, networkIdOf, requireKnownName } from "../network-argument.ts";
import { renderTable } from "../render-table.ts";
import { renderBytes } from "../sizes.ts";
import { warnUnreachable } from "../unreachable.ts";

export function configure(command: Command, context: CliContext): void {
  command.addHelpText(
    "after",
    "\nExamples:\n  cui data list acme.cvl\n  cui data export acme.cvl d vdb dns-data.qcow2\n",
  );
  configureList(command.command("list"), context);
  configureExport(command.command("export"), context);
}

interface ListFlags {
  readonly json?: boolean;
  readonly object?: string;
}

function configureList(command: Command, context: CliContext): void {
  command
    .description("show the data disks: where they are, what they take, how full their hosts are")
    .argument("[cvl]", "only the network of this root file, or of this network id")
    .option("--object <name>", "the root object, where the file has several")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExamples:\n  cui data list\n  cui data list acme.cvl --json\n")
    .action(async (cvl: string | undefined, flags: ListFlags) => {
      const manager = await openManager(context);
      const name = cvl === undefined ? undefined : { cvl, object: flags.object };
      const named = name === undefined ? undefined : namedData(manager, context, name);
      const { inventory } = manager.site;
      const found = await listData({ ...manager, inventory, networkId: named?.networkId, limitMs: LOOK_MS });
      if (name !== undefined && named !== undefined && found.disks.length === 0)
        await requireKnownName(manager, context, { name, named });
      if (flags.json === true) {
        context.print(JSON.stringify(found, undefined, 2));
        return;
      }
      warnUnreachable(context, found.unreachable, "which data disks it has is unknown");
      if (found.disks.length === 0) context.print(nothingIn(found));
      else for (const line of renderTable([HEAD, ...found.disks.map(renderDisk)])) context.print(line);
    });
}

function nothingIn({ unreachable }: FoundDisks): string {
  return unreachable.length === 0 ? "there is no data disk" : "the hosts that answer have no data disk";
}

const HEAD = [
  "network",
  "component",
  "device",
  "host",
  "size",
  "on disk",
  "free there",
  "snapshots",
  "state",
  "path",
];

function renderDisk(disk: FoundDisk): string[] {
  return [
    disk.file ?? disk.networkId,
    disk.component || "(root)",
    disk.device,
    disk.host,
    renderBytes(disk.sizeBytes),
    renderBytes(disk.allocatedBytes),
    disk.freeBytes === null ? "-" : `${renderBytes(disk.freeBytes)} of ${renderBytes(disk.totalBytes)}`,
    disk.snapshots === null ? "-" : String(disk.snapshots),
    stateOf(disk),
    disk.path ?? "-",
  ];
}

function stateOf({ state, sizeBytes, isInUse, isExported }: FoundDisk): string {
  if (state === "missing" || state === "unknown") return state;
  const words = [
    ...(state === "left" ? ["left behind"] : []),
    ...(sizeBytes === null ? ["damaged"] : []),
    isInUse === true ? "in use" : "not in use",
    ...(isExported === true ? ["being exported"] : []),
  ];
  return words.join(", ");
}

interface ExportFlags extends CopyFlags {
  readonly json?: boolean;
  readonly object?: string;
}

function configureExport(command: Command, context: CliContext): void {
  addCopyOptions(command)
    .description("copy a data disk into an image file, verified; its machine may run")
    .argument("<cvl>", "the root file, or the network's id")
    .argument("<component>", "the machine; . for a root machine")
    .argument("<device>", "the data disk, vdb")
    .argument("<file>", "where to; it must not be there yet")
    .option("--object <name>", "the root object, where the file has several")
    .option("--json", "print the result as JSON")
    .addHelpText(
      "after",
      `
Of a machine that is stopped, the disk as it is. Of one that runs, the disk as of one moment, as after a power
cut: the guest goes on meanwhile, and its host keeps what it overwrites until the copy is done.

Examples:
  cui data export acme.cvl d vdb dns-data.qcow2
  cui data export acme.cvl w vdb web-data.raw --format raw
`,
    )
    .action(async (cvl: string, component: string, device: string, file: string, flags: ExportFlags) => {
      await runExport(context, { cvl, component: component === "." ? "" : component, device, file, flags });
    });
}

async function runExport(
  context: CliContext,
  what: {
    readonly cvl: string;
    readonly component: string;
    readonly device: string;
    readonly file: string;
    readonly flags: ExportFlags;
  },
): Promise<void> {
  const { cvl, component, device, file, flags } = what;
  if (!/^[a-z]+[0-9]*(:[0-9]+)?$/.test(device))
    throw new CollectiveError("USAGE", `expected a device such as vdb, got ${JSON.stringify(device)}`);
  const manager = await openManager(context);
  const networkId = networkIdOf(manager, context, { cvl, object: flags.object });
  const name = `${device} of ${machineName(component)}`;
  const result = await copyToFile(context, { file, flags, name }, (target) =>
    exportData({
      ...manager,
      ...target,
      ...{ inventory: manager.site.inventory, networkId, file: cvl, component, device },
    }),
  );
  const target = path.resolve(context.cwd, file);
  if (flags.json === true) context.print(copyToJson({ target, format: flags.format }, result));
  else for (const line of renderCopy(result, { file, name })) context.print(line);
}
