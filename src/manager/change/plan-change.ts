/** What a start or an update would do to a network: evaluated with its addresses, compared with what runs. Changes nothing. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { MachineDescription, NetworkDescription } from "../../network/description.ts";
import { refuseNestedNetworks } from "../../network/missing.ts";
import { isWithin } from "../../network/paths.ts";
import { diffNetworks, mostSevere } from "../../plan/diff-networks.ts";
import { diskName } from "../../plan/data-disk-changes.ts";
import { digestPlan } from "../../plan/digest.ts";
import type { Action, Plan, PlanFacts } from "../../plan/plan.ts";
import { restrictPlan } from "../../plan/restrict-plan.ts";
import type { Inventory } from "../../site/inventory.ts";
import { blacklistFacts } from "../../site/policy.ts";
import { ambiguousDataDisks } from "../observe/ambiguous-data-disks.ts";
import { missingDataDisks, requireMissing } from "../observe/missing-data-disks.ts";
import { isServing, type ObservedMachine, type ObservedNetwork } from "../observe/observe-network.ts";
import type { ObservedHosts } from "../observe/observe-hosts.ts";
import { pausedMachines } from "../observe/paused.ts";
import { unseenWarnings } from "../observe/unknown.ts";
import { joinTaken, requireUnshared, usedOnHosts } from "../observe/used-on-hosts.ts";
import { allocate } from "../placement/allocate.ts";
import { assignedValues } from "../placement/assigned-values.ts";
import { startingMachines } from "../placement/capacity.ts";
import { sizeRefusals, type SizeQuestion } from "../placement/sizes.ts";
import { interfacePath, NOTHING_ALLOCATED, type NetworkAllocation } from "../records/allocation.ts";
import type { StateSnapshot } from "../records/state-snapshot.ts";
import { describeRunning, takenByOthers, type Incarnation, type NetworkState } from "../records/state.ts";
import type { Appliance, Evaluated } from "./root-appliance.ts";
import { sensitiveMacs, suppliedSecrets } from "./sensitive.ts";

export interface ChangeQuestion {
  readonly kind: "start" | "update";
  readonly networkId: string;
  /** Only this component and what lies below it. */
  readonly component: ComponentPath | undefined;
  /** Data disks to make anew, empty, `w:vdb`: they must be missing. */
  readonly newDataDisks?: ReadonlySet<string> | undefined;
  readonly appliance: Appliance;
  readonly inventory: Inventory;
  readonly state: NetworkState | undefined;
  readonly snapshot: StateSnapshot;
  readonly observedHosts: ObservedHosts;
  readonly observed: ObservedNetwork;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly macKey: Uint8Array;
  /** Bytes to fetch for each machine, for the forecast. */
  readonly fetchBytes?: ReadonlyMap<ComponentPath, number>;
}

/** The network as it is wanted. */
export interface Wanted {
  /** With every address, also those that this change would take. */
  readonly evaluated: Evaluated;
  readonly allocation: NetworkAllocation;
  /** Sensitive values from the environment, by full path. */
  readonly supplied: ReadonlyMap<string, readonly string[]>;
}

export interface PlannedChange {
  /** Holds the actions that this change is to carry out. */
  readonly plan: Plan;
  /** The left side of the plan; null when nothing of the network is known. */
  readonly running: NetworkDescription | null;
  /** Components whose changes `start` leaves to `update`. */
  readonly pending: readonly ComponentPath[];
  /** Components that stay stopped because they were stopped on purpose. */
  readonly leftStopped: readonly ComponentPath[];
}

/** With what the state has assigned already; what a user must mend first shows here. */
export function evaluateKept({ appliance, inventory, state }: ChangeQuestion): Evaluated {
  const allocation = state?.record.allocation ?? NOTHING_ALLOCATED;
  return appliance.evaluate({ assigned: assignedValues({ allocation, inventory, description: undefined }) });
}

/** Takes addresses and tags that are free, in memory alone. @throws CollectiveError UTILITY_UNKNOWN_COMPONENT, UTILITY_IN_USE, and as `allocate`. */
export function evaluateWanted(question: ChangeQuestion, first: Evaluated): Wanted {
  const { networkId, appliance, inventory, state, snapshot, observedHosts } = question;
  requireComponent(first.network, question.component);
  const kept = state?.record.allocation ?? NOTHING_ALLOCATED;
  const used = usedOnHosts(networkId, observedHosts, inventory);
  requireUnshared(kept, used);
  const taken = joinTaken(takenByOthers(snapshot, networkId), used);
  const allocation = allocate({ networkId, description: first.network, kept, taken, inventory });
  const supplied = suppliedSecrets(first.network, question.env);
  const evaluated = evaluateWhole({ appliance, allocation, inventory, supplied });
  return { evaluated, allocation, supplied };
}

/** The same with the addresses that are kept alone, so that a plan shows `(assigned at start)` for those it would take. */
export function evaluateAsShown(
  { appliance, inventory, state }: ChangeQuestion,
  { supplied }: Wanted,
): Evaluated {
  const allocation = state?.record.allocation ?? NOTHING_ALLOCATED;
  return evaluateWhole({ appliance, allocation, inventory, supplied });
}

/** Compares what runs with what is wanted, and shows the latter as `shown` has it. */
export function planChange(
  question: ChangeQuestion,
  { evaluated }: Wanted,
  shown: NetworkDescription,
): PlannedChange {
  const { running, facts } = runningSide(question, evaluated);
  const whole = diffNetworks(running, shown, facts);
  const restricted = question.component === undefined ? whole : restrictPlan(whole, question.component);
  const { actions, pending, leftStopped } = chooseActions(question, restricted);
  const left = new Set([...pending, ...leftStopped]);
  const sizes = sizeQuestion(question, actions, shown);
  const plan: Plan = {
    ...restricted,
    class: mostSevere(actions),
    actions,
    warnings: [
      ...restricted.warnings,
      ...unseenWarnings(question.observedHosts, question.state, question.component),
    ],
    refusals: [
      ...refuseNestedNetworks(shown),
      ...restricted.refusals.filter(({ component }) => component === undefined || !left.has(component)),
      ...sizeRefusals(sizes),
    ],
    planDigest: digestPlan(restricted, running),
  };
  return { plan, running, pending, leftStopped };
}

/** What sizes are judged by: the machines that these actions start, and those that go on. */
export function sizeQuestion(
  { networkId, observedHosts, observed }: ChangeQuestion,
  actions: readonly Action[],
  wanted: NetworkDescription,
): SizeQuestion {
  const starting = startingMachines(actions, { networkId, observedHosts, observed, wanted });
  const changed = new Set(starting.map(({ component }) => component));
  for (const { kind, component } of actions) if (kind === "remove") changed.add(component);
  const staying = [...observed.machines.values()].filter(
    (machine) => isServing(machine) && !changed.has(machine.component),
  );
  return { networkId, wanted, actions, starting, staying: staying.length, observedHosts };
}

/** Every value known: addresses first, then what follows from them (default routes), then the rest. */
function evaluateWhole(options: {
  appliance: Appliance;
  allocation: NetworkAllocation;
  inventory: Inventory;
  supplied: ReadonlyMap<string, readonly string[]>;
}): Evaluated {
  const { appliance, allocation, inventory, supplied } = options;
  const addressed = appliance.evaluate({
    assigned: assignedValues({ allocation, inventory, description: undefined }),
  });
  const assigned = assignedValues({ allocation, inventory, description: addressed.network });
  return appliance.evaluate({ assigned, supplied });
}

/** What runs, as the plan's left side: with what is stopped, and what only the manager knows. */
function runningSide(
  question: ChangeQuestion,
  wanted: Evaluated,
): { running: NetworkDescription | null; facts: PlanFacts } {
  const { state, observed, observedHosts, networkId, appliance } = question;
  const machines: MachineDescription[] = [];
  const stopped = new Set<ComponentPath>();
  const sensitiveChanged = new Set<string>();
  for (const machine of observed.machines.values()) {
    const incarnation = machine.runs ?? machine.record.current ?? removedBeforeItRan(machine, wanted);
    if (incarnation === null) continue;
    machines.push(incarnation.description);
    if (!isServing(machine)) stopped.add(machine.component);
    for (const name of changedSecrets(question, wanted, incarnation)) {
      sensitiveChanged.add(interfacePath(machine.component, name));
    }
  }
  const disks = [...observedHosts.reached.values()].flatMap(({ inventory }) => inventory.dataDisks);
  const existing = disks.filter((disk) => !disk.inAttic && disk.id.networkId === networkId);
  const missing = missingDataDisks(networkId, observed, observedHosts);
  return {
    running: state === undefined || machines.length === 0 ? null : describeRunning(state.record, machines),
    facts: {
      stopped,
      sensitiveChanged,
      paused: pausedMachines(observed, observedHosts, state?.record.file ?? ""),
      missingDataDisks: missing,
      ambiguousDataDisks: ambiguousDataDisks(networkId, observed, observedHosts),
      newDataDisks: requireMissing(question.newDataDisks, {
        missing,
        known: dataDisksOf(question, wanted),
        option: "--new-data-disk",
      }),
      existingDataDisks: new Set(existing.map((disk) => diskName(disk.id.component, disk.device))),
      withdrawn: appliance.withdrawn,
      blacklisted: blacklistFacts(wanted.network, question.inventory.blacklist),
      warnings: appliance.warnings,
      ...(question.fetchBytes === undefined ? {} : { fetchBytes: question.fetchBytes }),
      ...(appliance.inputs === undefined ? {} : { inputs: appliance.inputs }),
    },
  };
}

/** What the state knows, and what the files ask for. */
function dataDisksOf({ observed }: ChangeQuestion, { network }: Evaluated): string[] {
  const recorded = [...observed.machines.values()].map(({ component, record }) => ({
    component,
    disks: (record.current ?? record.next)?.description.dataDisks ?? [],
  }));
  const wanted = Object.entries(network.machines).map(([component, { dataDisks }]) => ({
    component,
    disks: dataDisks,
  }));
  return [...recorded, ...wanted].flatMap(({ component, disks }) =>
    disks.map(({ device }) => diskName(component, device)),
  );
}

/** One whose first start failed and that is no longer declared: it goes as one that ran, with what it has on its host. */
function removedBeforeItRan({ component, record }: ObservedMachine, wanted: Evaluated): Incarnation | null {
  return component in wanted.network.machines ? null : record.next;
}

function changedSecrets(
  question: ChangeQuestion,
  { tree, network }: Evaluated,
  running: Incarnation,
): string[] {
  const machine = network.machines[running.description.path];
  if (machine === undefined) return [];
  const macs = sensitiveMacs(machine, { tree, key: question.macKey, networkId: question.networkId });
  return Object.keys(macs).filter((name) => macs[name] !== running.sensitive[name]);
}

/** `start` touches only what does not serve; `update` leaves alone what was stopped on purpose. */
function chooseActions(
  question: ChangeQuestion,
  plan: Plan,
): Pick<PlannedChange, "pending" | "leftStopped"> & { readonly actions: readonly Action[] } {
  const { kind, component, observed } = question;
  const pending = new Set<ComponentPath>();
  const leftStopped = new Set<ComponentPath>();
  const isWanted = (action: Action): boolean => {
    const path = action.component;
    if (path === undefined || action.kind === "await")
      return kind === "update" || action.kind !== "remove-segment";
    const machine = observed.machines.get(path);
    if (kind === "start") {
      const isIdle = machine === undefined || !isServing(machine);
      if (action.kind === "resume" || (isIdle && action.kind !== "remove")) return true;
      if (action.class !== "none") pending.add(path);
      return false;
    }
    const isNamed = component !== undefined && isWithin(path, component);
    if (machine?.record.phase !== "stopped" || isNamed || action.kind === "remove") return true;
    leftStopped.add(path);
    return false;
  };
  return { actions: plan.actions.filter(isWanted), pending: [...pending], leftStopped: [...leftStopped] };
}

function requireComponent(network: NetworkDescription, component: ComponentPath | undefined): void {
  if (component === undefined || component in network.machines || component in network.networks) return;
  const known = Object.keys(network.machines).slice(0, 20).join(", ");
  throw new CollectiveError(
    "UTILITY_UNKNOWN_COMPONENT",
    `${network.appliance} has no component ${component}`,
    {
      hint: `its machines are ${known}`,
    },
  );
}
