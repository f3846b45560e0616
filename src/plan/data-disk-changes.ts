/** What becomes of a machine's data disks. Nothing here ever deletes one: what is let go of is kept. */
import type { ComponentPath } from "../cvl/tree.ts";
import { makeDiagnostic, type Diagnostic } from "../diagnostics.ts";
import type { MachineDescription } from "../network/description.ts";
import { formatBytes, formatOrigin } from "./format.ts";
import type { ActionClass, DataDiskActionKind } from "./action-kinds.ts";
import type { MissingDataDisk, PlanFacts, Reason } from "./plan.ts";
import { machineName } from "../network/paths.ts";

export interface DiskChange {
  readonly kind: DataDiskActionKind;
  readonly device: string;
  readonly class: ActionClass;
  readonly reasons: readonly Reason[];
}

export interface DataDiskComparison {
  readonly changes: readonly DiskChange[];
  /** Why the machine is restarted. */
  readonly reasons: readonly Reason[];
  /** Their spans are undefined: the message names the place. */
  readonly refusals: readonly Diagnostic[];
  /** For a machine that is to be started: the disks it would not find. */
  readonly missing: readonly Diagnostic[];
}

export function compareDataDisks(
  running: MachineDescription,
  wanted: MachineDescription,
  facts: Pick<PlanFacts, "missingDataDisks" | "newDataDisks"> = {},
): DataDiskComparison {
  const place = formatOrigin(wanted.origins["datadisks"] ?? running.origins["datadisks"]);
  const at = (text: string): Reason => (place === undefined ? { text } : { text, place });
  const before = new Map(running.dataDisks.map((disk) => [disk.device, disk.sizeBytes]));
  const changes: DiskChange[] = [];
  const refusals: Diagnostic[] = [];
  const missing: Diagnostic[] = [];
  for (const { device, sizeBytes } of wanted.dataDisks) {
    const old = before.get(device);
    before.delete(device);
    const name = diskName(wanted.path, device);
    const gone = old === undefined ? undefined : facts.missingDataDisks?.get(name);
    if (gone !== undefined && facts.newDataDisks?.has(name) === true) {
      const text = `data disk ${device} made anew, ${formatBytes(sizeBytes)}, empty: the one on ${gone.host} is gone`;
      changes.push({ kind: "create-data-disk", device, class: "data", reasons: [at(text)] });
    } else if (gone !== undefined) {
      missing.push(refuseMissing(wanted, device, gone));
    } else if (old === undefined) {
      const text = `data disk ${device} added, ${formatBytes(sizeBytes)}, empty`;
      changes.push({ kind: "create-data-disk", device, class: "none", reasons: [at(text)] });
    } else if (old < sizeBytes) {
      const text = `data disk ${device} grows from ${formatBytes(old)} to ${formatBytes(sizeBytes)}`;
      changes.push({ kind: "resize-data-disk", device, class: "restart", reasons: [at(text)] });
    } else if (old > sizeBytes) {
      refusals.push(refuseShrinking(wanted, device, { old, sizeBytes, place }));
    }
  }
  for (const device of before.keys()) {
    missing.push(...refuseLettingGo(wanted, device, facts));
    const text = `data disk ${device} is no longer listed; it stays on its host, unused`;
    changes.push({ kind: "detach-data-disk", device, class: "data", reasons: [at(text)] });
  }
  return { changes, reasons: changes.flatMap((change) => change.reasons), refusals, missing };
}

/** The data disks of a machine that is new; one that `existing` lists is there from before. */
export function newDataDisks(
  wanted: MachineDescription,
  existing: ReadonlySet<string> | undefined,
): DiskChange[] {
  const place = formatOrigin(wanted.origins["datadisks"]);
  const changes: DiskChange[] = [];
  for (const { device, sizeBytes } of wanted.dataDisks) {
    if (existing?.has(diskName(wanted.path, device)) === true) continue;
    const text = `data disk ${device}, ${formatBytes(sizeBytes)}, empty`;
    const reason = place === undefined ? { text } : { text, place };
    changes.push({ kind: "create-data-disk", device, class: "none", reasons: [reason] });
  }
  return changes;
}

/** How facts name a data disk: `w:vdb`. */
export function diskName(path: ComponentPath, device: string): string {
  return `${path}:${device}`;
}

/** Of what is missing nobody would know any more when it comes back. */
export function refuseLettingGo(
  { path }: MachineDescription,
  device: string,
  facts: Pick<PlanFacts, "missingDataDisks" | "newDataDisks">,
): readonly Diagnostic[] {
  const name = diskName(path, device);
  const gone = facts.missingDataDisks?.get(name);
  if (gone === undefined || facts.newDataDisks?.has(name) === true) return [];
  return [
    makeDiagnostic(
      "PLAN_DATA_DISK_MISSING",
      `the data disk ${device} of ${machineName(path)} is missing, so it cannot be let go of: ${placeOf(gone)}`,
      undefined,
      { hint: `${wayBack(gone)}; only \`--new-data-disk ${name}\` goes on without it` },
    ),
  ];
}

function refuseMissing({ path }: MachineDescription, device: string, gone: MissingDataDisk): Diagnostic {
  return makeDiagnostic(
    "PLAN_DATA_DISK_MISSING",
    `the data disk ${device} of ${machineName(path)} is missing: ${placeOf(gone)}`,
    undefined,
    { hint: `${wayBack(gone)}; only \`--new-data-disk ${diskName(path, device)}\` makes a new, empty one` },
  );
}

function placeOf({ host, isHostKnown }: MissingDataDisk): string {
  return isHostKnown
    ? `host ${host}, which had it, has it no longer`
    : `host ${host}, which had it, is not in utility.yaml any more`;
}

function wayBack({ host, isHostKnown, attic }: MissingDataDisk): string {
  if (!isHostKnown) return `add ${host} again with \`cui host add\``;
  return attic === undefined
    ? "bring its file back (is a file system not mounted?)"
    : `the attic of ${attic} has one of that name: \`cui attic list\` shows it, \`cui attic restore\` brings it back`;
}

function refuseShrinking(
  wanted: MachineDescription,
  device: string,
  disk: { readonly old: number; readonly sizeBytes: number; readonly place: string | undefined },
): Diagnostic {
  const place = disk.place === undefined ? "" : ` (${disk.place})`;
  return makeDiagnostic(
    "PLAN_DATA_DISK_SHRINKS",
    `the data disk ${device} of ${machineName(wanted.path)} would shrink from ${formatBytes(disk.old)} to ${formatBytes(disk.sizeBytes)}${place}`,
    undefined,
    { hint: "restore its size: growing a data disk is possible, shrinking is not" },
  );
}
