/** The plan from what runs to what is wanted: pure, so that CI, a preview and the manager come to the same one. */
import type { ComponentPath } from "../cvl/tree.ts";
import type { MachineDescription, NetworkDescription } from "../network/description.ts";
import { markLosses } from "./data-losses.ts";
import { digestInputs } from "./digest.ts";
import { forecastOf } from "./forecast.ts";
import { worse, type ActionClass } from "./action-kinds.ts";
import { changeMachine, stopMachine, type MachineChange } from "./machine-change.ts";
import { orderActions } from "./order-actions.ts";
import { PLAN_FORMAT } from "./plan-schema.ts";
import type { Action, Plan, PlanFacts, PlanWarning, Refusal } from "./plan.ts";
import type { Sides } from "./sides.ts";
import { collectNotes, collectRefusals, collectWarnings } from "./warnings.ts";

/** Everything that must be done so that `wanted` runs; `running` is null when nothing does. */
export function diffNetworks(
  running: NetworkDescription | null,
  wanted: NetworkDescription,
  facts: PlanFacts = {},
): Plan {
  const changes = compareMachines(running, wanted, facts);
  return assemble({ running, wanted }, changes, facts);
}

/** Stops every machine, in the reverse of the boot order; segments, addresses and data disks are kept. */
export function planStop(running: NetworkDescription, facts: PlanFacts = {}): Plan {
  const changes = new Map<ComponentPath, MachineChange>();
  for (const machine of Object.values(running.machines)) {
    if (facts.stopped?.has(machine.path) !== true) changes.set(machine.path, stopMachine(machine));
  }
  return assemble({ running, wanted: null }, changes, facts);
}

/** Removes everything: data goes to the attic, addresses and segments are released. */
export function planRemove(running: NetworkDescription, facts: PlanFacts = {}): Plan {
  const nothing = { ...running, machines: {}, segments: {}, networks: {}, nestedNetworks: [], missing: [] };
  return diffNetworks(running, nothing, facts);
}

/** The most severe class of some actions. */
export function mostSevere(actions: readonly Action[]): ActionClass {
  return actions.reduce<ActionClass>((found, action) => worse(found, action.class), "none");
}

function compareMachines(
  running: NetworkDescription | null,
  wanted: NetworkDescription,
  facts: PlanFacts,
): Map<ComponentPath, MachineChange> {
  const before = new Map<ComponentPath, MachineDescription>(Object.entries(running?.machines ?? {}));
  const after = new Map<ComponentPath, MachineDescription>(Object.entries(wanted.machines));
  const changes = new Map<ComponentPath, MachineChange>();
  for (const path of new Set([...after.keys(), ...before.keys()])) {
    const change = changeMachine(before.get(path), after.get(path), facts);
    if (change !== undefined) changes.set(path, change);
  }
  return markLosses(changes, facts.fullDataDisks);
}

function assemble(sides: Sides, changes: ReadonlyMap<ComponentPath, MachineChange>, facts: PlanFacts): Plan {
  const actions = orderActions(sides, changes);
  const described = sides.wanted ?? sides.running;
  const appliance = described?.appliance ?? "";
  const warnings: readonly PlanWarning[] = collectWarnings(changes, facts, appliance);
  const notes = collectNotes(changes);
  const refusals: readonly Refusal[] = collectRefusals(changes, facts, appliance);
  return {
    format: PLAN_FORMAT,
    appliance,
    class: mostSevere(actions),
    actions,
    forecast: forecastOf(actions, sides.running, facts),
    warnings,
    ...(notes.length === 0 ? {} : { notes }),
    refusals,
    inputDigest: described === null ? "" : digestInputs(described, facts.inputs),
  };
}
