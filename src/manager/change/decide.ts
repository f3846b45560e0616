/**
 * Decides a start or an update: what must be done, where each machine goes, which addresses it gets. Changes nothing; whatever
 * forbids the change is thrown here, before anything was touched.
 */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { MachineDescription, NetworkDescription } from "../../network/description.ts";
import { isWithin, machineName } from "../../network/paths.ts";
import { refuseNestedNetworks, requireComplete } from "../../network/missing.ts";
import { ACTION_KINDS } from "../../plan/action-kinds.ts";
import { diffNetworks, gravest } from "../../plan/diff-networks.ts";
import { digestPlan } from "../../plan/digest.ts";
import { restrictPlan } from "../../plan/restrict-plan.ts";
import type { Action, Plan, PlanFacts } from "../../plan/plan.ts";
import type { StateSnapshot } from "../records/state-store.ts";
import { isServing, type Actual } from "../observe/actual.ts";
import { allocate } from "../placement/allocate.ts";
import { interfacePath, NOTHING_ALLOCATED, type NetworkAllocation } from "../records/allocation.ts";
import type { Appliance, Evaluated } from "./root-appliance.ts";
import { assignedValues } from "../placement/assigned-values.ts";
import { computeRooms, placeable } from "../placement/capacity.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { MachineGoal } from "./operation.ts";
import { parameterLines } from "./parameter-lines.ts";
import { place } from "../placement/place.ts";
import { blacklistFacts } from "../../site/policy.ts";
import { refuse } from "./refuse.ts";
import { requireSecrets, sensitiveMacs, suppliedSecrets } from "./sensitive.ts";
import { describeRunning, takenByOthers, type Incarnation, type NetworkState } from "../records/state.ts";
import { requireHost, type Survey } from "../observe/survey.ts";

export interface DecideOptions {
  readonly kind: "start" | "update";
  readonly networkId: string;
  /** Only this component and what lies below it. */
  readonly component: ComponentPath | undefined;
  readonly appliance: Appliance;
  readonly inventory: Inventory;
  readonly state: NetworkState | undefined;
  readonly snapshot: StateSnapshot;
  readonly survey: Survey;
  readonly actual: Actual;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly macKey: Uint8Array;
  /** Grows with every operation: makes the stamps of what it starts its own. */
  readonly token: number;
  /** Bytes to fetch for each machine, for the forecast. */
  readonly fetchBytes?: ReadonlyMap<ComponentPath, number>;
  /** Show what is not assigned yet as such, ask for no secret, make no goals. */
  readonly isPreview?: boolean;
}

export interface Decision {
  /** Holds the actions that this operation carries out. */
  readonly plan: Plan;
  /** The left side of the plan; null when nothing of the network is known. */
  readonly running: NetworkDescription | null;
  readonly description: NetworkDescription;
  readonly allocation: NetworkAllocation;
  readonly goals: ReadonlyMap<ComponentPath, MachineGoal>;
  /** Components whose changes `start` leaves to `update`. */
  readonly pending: readonly ComponentPath[];
  /** Components that stay stopped because they were stopped on purpose. */
  readonly leftStopped: readonly ComponentPath[];
}

export function decide(options: DecideOptions): Decision {
  const { networkId, appliance, inventory, state } = options;
  const kept = state?.record.allocation ?? NOTHING_ALLOCATED;
  const first = appliance.evaluate({
    assigned: assignedValues({ allocation: kept, inventory, description: undefined }),
  });
  const nested = refuseNestedNetworks(first.network);
  refuse(
    [...(options.isPreview === true ? [] : nested), ...requireComplete(first.network)],
    appliance.textOf,
  );
  requireComponent(first.network, options.component);
  const allocation = allocate({
    networkId,
    description: first.network,
    kept,
    taken: takenByOthers(options.snapshot, networkId),
    inventory,
  });
  const supplied = suppliedSecrets(first.network, options.env);
  const wanted = evaluateWhole({ appliance, allocation, inventory, supplied });
  const { running, facts } = runningSide(options, wanted);
  const compared =
    options.isPreview === true ? evaluateWhole({ appliance, allocation: kept, inventory, supplied }) : wanted;
  const whole = diffNetworks(running, compared.network, facts);
  const restricted = options.component === undefined ? whole : restrictPlan(whole, options.component);
  const { actions, pending, leftStopped } = chooseActions(options, restricted);
  const left = new Set([...pending, ...leftStopped]);
  const plan: Plan = {
    ...restricted,
    class: gravest(actions),
    actions,
    refusals: [
      ...nested.map((diagnostic) => ({ ...diagnostic, component: undefined })),
      ...restricted.refusals.filter(({ component }) => component === undefined || !left.has(component)),
    ],
    planDigest: digestPlan(restricted, running),
  };
  const decision = { plan, pending, leftStopped, description: wanted.network, allocation, running };
  if (options.isPreview === true) {
    if (plan.refusals.length === 0) chooseHosts(options, actions, wanted.network);
    return { ...decision, goals: new Map() };
  }
  refuse(plan.refusals);
  const touched = touchedMachines(actions, wanted.network);
  requireGrowth(options, touched);
  requireSecrets(touched, { appliance: wanted.network.appliance, supplied });
  const hosts = chooseHosts(options, actions, wanted.network);
  return { ...decision, goals: makeGoals(options, { wanted, plan, hosts }) };
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
  options: DecideOptions,
  wanted: Evaluated,
): { running: NetworkDescription | null; facts: PlanFacts } {
  const { state, actual, survey, networkId, appliance } = options;
  const machines: MachineDescription[] = [];
  const stopped = new Set<ComponentPath>();
  const sensitiveChanged = new Set<string>();
  for (const machine of actual.machines.values()) {
    const incarnation = machine.runs ?? machine.record.current;
    if (incarnation === null) continue;
    machines.push(incarnation.description);
    if (!isServing(machine)) stopped.add(machine.component);
    for (const name of changedSecrets(options, wanted, incarnation)) {
      sensitiveChanged.add(interfacePath(machine.component, name));
    }
  }
  const disks = [...survey.reached.values()].flatMap(({ inventory }) => inventory.dataDisks);
  const existing = disks.filter((disk) => !disk.inAttic && disk.id.networkId === networkId);
  return {
    running: state === undefined || machines.length === 0 ? null : describeRunning(state.record, machines),
    facts: {
      stopped,
      sensitiveChanged,
      existingDataDisks: new Set(existing.map((disk) => `${disk.id.component}:${disk.device}`)),
      withdrawn: appliance.withdrawn,
      blacklisted: blacklistFacts(wanted.network, options.inventory.blacklist),
      warnings: appliance.warnings,
      ...(options.fetchBytes === undefined ? {} : { fetchBytes: options.fetchBytes }),
      ...(appliance.inputs === undefined ? {} : { inputs: appliance.inputs }),
    },
  };
}

function changedSecrets(
  options: DecideOptions,
  { tree, network }: Evaluated,
  running: Incarnation,
): string[] {
  const machine = network.machines[running.description.path];
  if (machine === undefined) return [];
  const macs = sensitiveMacs(machine, { tree, key: options.macKey, networkId: options.networkId });
  return Object.keys(macs).filter((name) => macs[name] !== running.sensitive[name]);
}

/** `start` touches only what does not serve; `update` leaves alone what was stopped on purpose. */
function chooseActions(
  options: DecideOptions,
  plan: Plan,
): Pick<Decision, "pending" | "leftStopped"> & { readonly actions: readonly Action[] } {
  const { kind, component, actual } = options;
  const pending = new Set<ComponentPath>();
  const leftStopped = new Set<ComponentPath>();
  const isWanted = (action: Action): boolean => {
    const path = action.component;
    if (path === undefined || action.kind === "await")
      return kind === "update" || action.kind !== "remove-segment";
    const machine = actual.machines.get(path);
    if (kind === "start") {
      const isIdle = machine === undefined || !isServing(machine);
      if (isIdle && action.kind !== "remove") return true;
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

/** A disk that lies on a host may be larger than what the plan knows of: one that was detached, or left by a lost state. */
function requireGrowth({ survey, networkId }: DecideOptions, machines: readonly MachineDescription[]): void {
  const disks = [...survey.reached.values()]
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

/** A host for every machine an action is about. @throws CollectiveError UTILITY_NO_ROOM, UTILITY_HOST_UNREACHABLE */
function chooseHosts(
  options: DecideOptions,
  actions: readonly Action[],
  wanted: NetworkDescription,
): ReadonlyMap<ComponentPath, string> {
  const { networkId, snapshot, survey, actual } = options;
  const hosts = new Map<ComponentPath, string>();
  for (const { component, kind } of actions) {
    const known = component === undefined ? undefined : actual.machines.get(component);
    if (known === undefined || kind === "note" || kind === "await") continue;
    hosts.set(known.component, known.host);
    if (known.state === "unseen") {
      requireHost(
        survey,
        known.host,
        `${kind} ${machineName(known.component)} is needed and it may run there`,
      );
    }
  }
  for (const stray of actual.strays)
    requireHost(survey, stray.host, `${machineName(stray.component)} runs there`);
  const starting = actions
    .filter((action) => ACTION_KINDS[action.kind].needsImage === true)
    .flatMap((action) => action.component ?? []);
  const rooms = computeRooms({ networkId, snapshot, survey, starting });
  const machines = starting.flatMap((path) => wanted.machines[path] ?? []);
  const placed = place(
    machines.map((machine) => placeable(machine, { networkId, survey, actual })),
    rooms,
  );
  for (const [component, host] of placed) hosts.set(component, host);
  return hosts;
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
    const known = options.actual.machines.get(component);
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
        sensitive: kind === "note" ? { ...before?.sensitive, ...macs } : macs,
      },
      parameterLines: kind === "note" ? [] : parameterLines(description, wanted.tree),
      previous: before === null ? undefined : previousOf(before, wanted),
    });
  }
  return goals;
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
