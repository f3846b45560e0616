/** What a reader must know beside the actions, and what forbids them. */
import type { ComponentPath } from "../cvl/tree.ts";
import { visible } from "../diagnostics.ts";
import { displayPath } from "../network/paths.ts";
import { ACTION_KINDS } from "./action-kinds.ts";
import { refuseAmbiguousDisks, warnOfAmbiguousDisks } from "./ambiguous-data-disks.ts";
import { cut } from "./format.ts";
import type { MachineChange } from "./machine-change.ts";
import type { PlanFacts, PlanWarning, Refusal } from "./plan.ts";

export function collectWarnings(
  changes: ReadonlyMap<ComponentPath, MachineChange>,
  facts: PlanFacts,
  appliance: string,
): PlanWarning[] {
  const name = (path: ComponentPath): string => displayPath(path, appliance);
  const warnings: PlanWarning[] = [];
  for (const [component, why] of facts.withdrawn ?? []) {
    warnings.push({
      component,
      message: `${name(component)}: its version is withdrawn: ${cut(visible(why), 200)}`,
    });
  }
  for (const [component, why] of facts.blacklisted ?? []) {
    const change = changes.get(component);
    if (change !== undefined && ACTION_KINDS[change.kind].needsImage === true) continue;
    warnings.push({
      component,
      message: `${name(component)}: it runs a blacklisted version: ${cut(visible(why), 200)}`,
    });
  }
  for (const [disk, { host }] of facts.missingDataDisks ?? []) {
    const component = disk.slice(0, disk.lastIndexOf(":"));
    const change = changes.get(component);
    if (change?.kind === "remove" || (change !== undefined && ACTION_KINDS[change.kind].needsImage === true))
      continue;
    const device = disk.slice(component.length + 1);
    const message = `${name(component)}: its data disk ${device} is missing on ${host}`;
    warnings.push({ component, message: `${message}, and it will not start again without it` });
  }
  warnings.push(...warnOfAmbiguousDisks(changes, facts, appliance));
  for (const change of changes.values()) {
    const message = describeNewOwner(change, name(change.path));
    if (message !== undefined) warnings.push({ component: change.path, message });
  }
  return [...warnings, ...(facts.warnings ?? [])];
}

export function collectRefusals(
  changes: ReadonlyMap<ComponentPath, MachineChange>,
  facts: PlanFacts,
  appliance: string,
): Refusal[] {
  const refusals: Refusal[] = refuseAmbiguousDisks(changes, facts, appliance);
  for (const { path, refusals: found } of changes.values()) {
    for (const refusal of found) refusals.push({ ...refusal, component: path });
  }
  for (const [component, why] of facts.blacklisted ?? []) {
    const change = changes.get(component);
    if (change === undefined || ACTION_KINDS[change.kind].needsImage !== true) continue;
    refusals.push({
      code: "PLAN_BLACKLISTED",
      severity: "error",
      message: `${displayPath(component, appliance)} would start a blacklisted version: ${cut(visible(why), 200)}`,
      span: undefined,
      hint: "choose another version of it",
      component,
    });
  }
  return refusals;
}

/** Data disks stay with the component's name, so a different appliance of that name finds the data of the one before. */
function describeNewOwner({ kind, running, wanted }: MachineChange, name: string): string | undefined {
  if (kind !== "replace" || running === undefined || wanted === undefined) return undefined;
  const [before, after] = [running.image.source.url, wanted.image.source.url];
  const kept = wanted.dataDisks.filter(({ device }) =>
    running.dataDisks.some((disk) => disk.device === device),
  );
  if (before === after || kept.length === 0) return undefined;
  return `${name}: the data disk ${kept.map((disk) => disk.device).join(", ")} was written by ${cut(visible(before), 100)} and goes to ${cut(visible(after), 100)}`;
}
