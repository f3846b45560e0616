/**
 * The boot order: rounds of machines, each startable when those of the rounds before it are ready. A requirement holds when
 * one of its providers is ready, a network is ready when all its machines are, so this is no plain topological sort.
 * Linear in the size of the description.
 */
import type { ComponentPath } from "../cvl/tree.ts";
import type { MachineDescription, Requirement } from "./description.ts";
import { ancestorsOf, isWithin } from "./paths.ts";

/** `component` requires `service`, and the only way to it leads to `provider`, which waits as well. */
export interface CycleStep {
  readonly component: ComponentPath;
  readonly service: string;
  readonly provider: ComponentPath;
}

export interface BootOrder {
  /** Machines by round; within a round in order of declaration. Without those that can never start. */
  readonly rounds: readonly (readonly ComponentPath[])[];
  /** A chain that leads back to its first component, when some machines can never start. */
  readonly cycle: readonly CycleStep[] | undefined;
}

interface Ordered {
  readonly machines: Readonly<Record<ComponentPath, Pick<MachineDescription, "startsAfter">>>;
}

/** The order in which machines can start; stop is the reverse (`stopOrder`). */
export function bootOrder(network: Ordered): BootOrder {
  const state = prepare(network);
  const rounds: ComponentPath[][] = [];
  let round = state.paths.filter((path) => (state.pending.get(path) ?? 0) === 0);
  const placed = new Set<ComponentPath>();
  while (round.length > 0) {
    rounds.push(round);
    for (const path of round) placed.add(path);
    const freed: ComponentPath[] = [];
    for (const path of round) freed.push(...markReady(state, path));
    round = freed.sort((a, b) => (state.position.get(a) ?? 0) - (state.position.get(b) ?? 0));
  }
  return { rounds, cycle: placed.size === state.paths.length ? undefined : findCycle(network, placed) };
}

/** The order in which machines are stopped. */
export function stopOrder(network: Ordered): ComponentPath[] {
  return bootOrder(network).rounds.flat().reverse();
}

/** Paths of the machines of a component: itself, or all below a network. */
export function machinesBelow(network: Ordered, path: ComponentPath): ComponentPath[] {
  return Object.keys(network.machines).filter((machine) => isWithin(machine, path));
}

interface OrderState {
  readonly paths: readonly ComponentPath[];
  readonly position: ReadonlyMap<ComponentPath, number>;
  /** Requirements of a machine that do not hold yet. */
  readonly pending: Map<ComponentPath, number>;
  /** Machines of a provider that are not ready yet. */
  readonly unready: Map<ComponentPath, number>;
  readonly servicesOf: ReadonlyMap<ComponentPath, readonly string[]>;
  readonly waiting: Map<string, ComponentPath[]>;
}

function prepare(network: Ordered): OrderState {
  const paths = Object.keys(network.machines);
  const pending = new Map<ComponentPath, number>();
  const waiting = new Map<string, ComponentPath[]>();
  const servicesOf = new Map<ComponentPath, string[]>();
  for (const [path, machine] of Object.entries(network.machines)) {
    pending.set(path, machine.startsAfter.length);
    for (const requirement of machine.startsAfter) {
      const others = waiting.get(requirement.service);
      if (others !== undefined) others.push(path);
      else {
        waiting.set(requirement.service, [path]);
        indexProviders(requirement, servicesOf);
      }
    }
  }
  const unready = countMachines(paths, servicesOf);
  const position = new Map(paths.map((path, index) => [path, index]));
  const state = { paths, position, pending, unready, servicesOf, waiting };
  for (const [provider, count] of unready) if (count === 0) release(state, provider);
  return state;
}

function indexProviders(requirement: Requirement, servicesOf: Map<ComponentPath, string[]>): void {
  for (const provider of requirement.anyOf) {
    const services = servicesOf.get(provider);
    if (services === undefined) servicesOf.set(provider, [requirement.service]);
    else services.push(requirement.service);
  }
}

function countMachines(
  paths: readonly ComponentPath[],
  servicesOf: ReadonlyMap<ComponentPath, unknown>,
): Map<ComponentPath, number> {
  const unready = new Map<ComponentPath, number>();
  for (const provider of servicesOf.keys()) unready.set(provider, 0);
  for (const path of paths) {
    for (const at of [path, ...ancestorsOf(path)]) {
      const count = unready.get(at);
      if (count !== undefined) unready.set(at, count + 1);
    }
  }
  return unready;
}

/** Counts a machine as ready; returns the machines that can start because of it. */
function markReady(state: OrderState, path: ComponentPath): ComponentPath[] {
  const freed: ComponentPath[] = [];
  for (const at of [path, ...ancestorsOf(path)]) {
    const count = state.unready.get(at);
    if (count === undefined) continue;
    state.unready.set(at, count - 1);
    if (count === 1) freed.push(...release(state, at));
  }
  return freed;
}

/** All services of a provider hold from now on; returns the machines that waited for nothing else. */
function release(state: OrderState, provider: ComponentPath): ComponentPath[] {
  const freed: ComponentPath[] = [];
  for (const service of state.servicesOf.get(provider) ?? []) {
    for (const path of state.waiting.get(service) ?? []) {
      const left = (state.pending.get(path) ?? 0) - 1;
      state.pending.set(path, left);
      if (left === 0) freed.push(path);
    }
    state.waiting.delete(service);
  }
  return freed;
}

/** Every machine that never starts has a requirement none of whose providers ever is ready: following those leads into a cycle. */
function findCycle(network: Ordered, placed: ReadonlySet<ComponentPath>): CycleStep[] {
  const blockerOf = createBlockerFinder(network, placed);
  const steps: CycleStep[] = [];
  const seen = new Map<ComponentPath, number>();
  let at = Object.keys(network.machines).find((path) => !placed.has(path));
  while (at !== undefined && !seen.has(at)) {
    seen.set(at, steps.length);
    const step = nextStep(network, at, blockerOf);
    if (step === undefined) return steps;
    steps.push(step);
    at = step.provider;
  }
  return steps.slice(seen.get(at ?? "") ?? 0);
}

function nextStep(
  network: Ordered,
  component: ComponentPath,
  blockerOf: (requirement: Requirement) => ComponentPath | undefined,
): CycleStep | undefined {
  for (const requirement of network.machines[component]?.startsAfter ?? []) {
    const provider = blockerOf(requirement);
    if (provider !== undefined) return { component, service: requirement.service, provider };
  }
  return undefined;
}

/** Finds, once for each service, a machine that can never start and because of which the service never holds. */
function createBlockerFinder(
  network: Ordered,
  placed: ReadonlySet<ComponentPath>,
): (requirement: Requirement) => ComponentPath | undefined {
  const stuckBelow = new Map<ComponentPath, ComponentPath>();
  for (const path of Object.keys(network.machines)) {
    if (placed.has(path)) continue;
    for (const at of [path, ...ancestorsOf(path)]) if (!stuckBelow.has(at)) stuckBelow.set(at, path);
  }
  const blockers = new Map<string, ComponentPath | undefined>();
  return ({ service, anyOf }) => {
    if (!blockers.has(service)) {
      const holds = anyOf.some((provider) => !stuckBelow.has(provider));
      blockers.set(service, holds ? undefined : stuckBelow.get(anyOf[0] ?? ""));
    }
    return blockers.get(service);
  };
}
