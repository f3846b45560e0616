/**
 * Decides a start or an update: what must be done, where each machine goes, which addresses it gets. Changes nothing; whatever
 * forbids the change is thrown here, before anything was touched.
 */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { MachineDescription, NetworkDescription } from "../../network/description.ts";
import { refuseNestedNetworks, requireComplete } from "../../network/missing.ts";
import { isWithin, machineName } from "../../network/paths.ts";
import { ACTION_KINDS, hasStep } from "../../plan/action-kinds.ts";
import type { Action, Plan } from "../../plan/plan.ts";
import type { NetworkAllocation } from "../records/allocation.ts";
import type { Incarnation } from "../records/state.ts";
import { placeChange } from "./choose-hosts.ts";
import type { MachineGoal } from "./operation.ts";
import { parameterLines } from "./parameter-lines.ts";
import {
  evaluateKept,
  evaluateWanted,
  planChange,
  type ChangeQuestion,
  type PlannedChange,
} from "./plan-change.ts";
import { refuse } from "./refuse.ts";
import type { Evaluated } from "./root-appliance.ts";
import { requireSecrets, sensitiveMacs } from "./sensitive.ts";

export interface DecideOptions extends ChangeQuestion {
  /** Grows with every operation: makes the labels of what it starts its own. */
  readonly token: number;
}

export interface Decision extends PlannedChange {
  readonly description: NetworkDescription;
  readonly allocation: NetworkAllocation;
  readonly goals: ReadonlyMap<ComponentPath, MachineGoal>;
}

export function decide(options: DecideOptions): Decision {
  const first = evaluateKept(options);
  refuse(
    [...refuseNestedNetworks(first.network), ...requireComplete(first.network)],
    options.appliance.textOf,
  );
  const wanted = evaluateWanted(options, first);
  const { evaluated, allocation, supplied } = wanted;
  const { network } = evaluated;
  const planned = planChange(options, wanted, network);
  refuse(planned.plan.refusals);
  requireSeen(options, planned.plan);
  const touched = touchedMachines(planned.plan.actions, network);
  requireGrowth(options, touched);
  requireSecrets(touched, { appliance: network.appliance, supplied });
  const { plan, hosts } = placeChange(options, planned.plan, network);
  const goals = makeGoals(options, { wanted: evaluated, plan, hosts });
  return { ...planned, plan, description: network, allocation, goals };
}

/** A change that nothing can be seen of has not been made: where it would do nothing, that is no success. */
function requireSeen({ observedHosts, observed, component = "" }: DecideOptions, plan: Plan): void {
  const { reached, missed } = observedHosts;
  const why = [...missed.values()]
    .map(({ entry, error }) => `host ${entry.name}: ${error.message}`)
    .join("; ");
  const [first] = missed.values();
  if (first === undefined) return;
  const asked = [...observed.machines.values()].filter((machine) => isWithin(machine.component, component));
  const isBlind = asked.length > 0 && asked.every(({ state }) => state === "unseen");
  if (reached.size > 0 && !(isBlind && !plan.actions.some(({ kind }) => hasStep(kind)))) return;
  throw new CollectiveError(
    "UTILITY_HOST_UNREACHABLE",
    reached.size === 0 ? `no host can be used: ${why}` : `nothing can be seen of what should run: ${why}`,
    {
      cause: first.error,
      data: { hosts: [...missed.keys()] },
      hint: first.error.hint ?? "bring the hosts back; nothing was changed",
    },
  );
}

/** A disk that lies on a host may be larger than what the plan knows of: one that was detached, or left by a lost state. */
function requireGrowth(
  { observedHosts, networkId }: DecideOptions,
  machines: readonly MachineDescription[],
): void {
  const disks = [...observedHosts.reached.values()]
    .flatMap(({ inventory }) => inventory.dataDisks)
    .filter(({ id, inAttic }) => id.networkId === networkId && !inAttic);
  for (const { path, dataDisks } of machines) {
    for (const { device, sizeBytes } of dataDisks) {
      const found = disks.find((disk) => disk.id.component === path && disk.device === device);
      if (found === undefined || found.sizeBytes <= sizeBytes) continue;
      throw new CollectiveError(
        "UTILITY_DISK_SHRINK",
        `the data disk ${device} of ${machineName(path)} has ${found.sizeBytes} bytes, and datadisks asks for ${sizeBytes}`,
        { hint: "a data disk can grow, not shrink: ask for its size or more; nothing was changed" },
      );
    }
  }
}

function touchedMachines(actions: readonly Action[], wanted: NetworkDescription): MachineDescription[] {
  return actions
    .filter((action) => ACTION_KINDS[action.kind].needsImage === true || action.kind === "send-parameters")
    .flatMap((action) => wanted.machines[action.component ?? ""] ?? []);
}

function makeGoals(
  options: DecideOptions,
  parts: {
    wanted: Evaluated;
    plan: Plan;
    hosts: ReadonlyMap<ComponentPath, string>;
  },
): Map<ComponentPath, MachineGoal> {
  const { wanted, plan, hosts } = parts;
  const goals = new Map<ComponentPath, MachineGoal>();
  for (const { component, kind } of plan.actions) {
    const description = component === undefined ? undefined : wanted.network.machines[component];
    if (component === undefined || description === undefined || kind === "await") continue;
    const isLeftAlone = kind === "note" || kind === "resume";
    const known = options.observed.machines.get(component);
    const macs = sensitiveMacs(description, {
      tree: wanted.tree,
      key: options.macKey,
      networkId: options.networkId,
    });
    const before = known?.runs ?? null;
    goals.set(component, {
      host: hosts.get(component) ?? known?.host ?? "",
      incarnation: {
        plan: `${plan.inputDigest.slice(0, 16)}.${options.token}`,
        description,
        sensitive: isLeftAlone ? { ...before?.sensitive, ...macs } : macs,
      },
      newDevices: newDevices(plan, component),
      parameterLines: isLeftAlone ? [] : parameterLines(description, wanted.tree),
      previous: before === null ? undefined : previousOf(before, wanted),
    });
  }
  return goals;
}

function newDevices({ actions }: Plan, component: ComponentPath): ReadonlySet<string> {
  return new Set(
    actions.flatMap((action) =>
      action.kind === "create-data-disk" && action.component === component ? [action.device] : [],
    ),
  );
}

/** The lines of what ran before; undefined when it had a value that cannot be made any more. */
function previousOf(before: Incarnation, wanted: Evaluated): MachineGoal["previous"] {
  try {
    return { incarnation: before, parameterLines: parameterLines(before.description, wanted.tree) };
  } catch (error) {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  }
}
