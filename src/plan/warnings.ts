/** What a reader must know beside the actions, and what forbids them. */
import type { ComponentPath } from "../cvl/tree.ts";
import { visible } from "../diagnostics.ts";
import type { MachineDescription } from "../network/description.ts";
import { displayPath } from "../network/paths.ts";
import { ACTION_KINDS } from "./action-kinds.ts";
import { refuseAmbiguousDisks, warnOfAmbiguousDisks } from "./ambiguous-data-disks.ts";
import { cut } from "./format.ts";
import type { MachineChange } from "./machine-change.ts";
import type { Plan, PlanFacts, PlanWarning, Refusal } from "./plan.ts";

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
  for (const [component, { why, mend, resumes }] of facts.paused ?? []) {
    if (resumes === "now") continue; // an action of the plan says so
    warnings.push({
      component,
      message: `${name(component)}: it is paused: ${why}; ${mend}`,
      about: "paused",
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

/** Machines that are new and keep nothing: what they write lies on a disk that is thrown away. */
export function collectNotes(changes: ReadonlyMap<ComponentPath, MachineChange>): NonNullable<Plan["notes"]> {
  const components = [...changes.values()]
    .filter(({ running, wanted }) => running === undefined && isForgetful(wanted))
    .map(({ path }) => path);
  return components.length === 0 ? [] : [{ components, message: FORGETS }];
}

const FORGETS = "no data disk: what it writes is gone at the next stop or update";

function isForgetful(wanted: MachineDescription | undefined): boolean {
  return wanted !== undefined && wanted.dataDisks.length === 0 && wanted.image.programDisks.length > 0;
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
