/** What carrying out a plan will take: bytes, memory, addresses, and who is out of service meanwhile. */
import type { ComponentPath } from "../cvl/tree.ts";
import type { NetworkDescription } from "../network/description.ts";
import { isWithin } from "../network/paths.ts";
import { ACTION_KINDS } from "./action-kinds.ts";
import type { Action, Forecast, PlanFacts } from "./plan.ts";

export function forecastOf(
  actions: readonly Action[],
  running: NetworkDescription | null,
  facts: PlanFacts,
): Forecast {
  const fetchBytes: [ComponentPath, number][] = [];
  const fetchUnknown: ComponentPath[] = [];
  for (const { kind, component } of actions) {
    if (component === undefined || ACTION_KINDS[kind].fetches !== true) continue;
    const bytes = facts.fetchBytes?.get(component);
    if (bytes === undefined) fetchUnknown.push(component);
    else fetchBytes.push([component, bytes]);
  }
  return {
    fetchBytes: Object.fromEntries(fetchBytes),
    fetchUnknown,
    outage: running === null ? [] : findOutage(actions, running),
    ...sums(actions, Object.fromEntries(fetchBytes)),
  };
}

/** The part of a forecast that belongs to some of its actions. */
export function restrictForecast(forecast: Forecast, actions: readonly Action[]): Forecast {
  const chosen = new Set(actions.map((action) => action.component));
  const fetchBytes = Object.fromEntries(
    Object.entries(forecast.fetchBytes).filter(([path]) => chosen.has(path)),
  );
  return {
    fetchBytes,
    fetchUnknown: forecast.fetchUnknown.filter((path) => chosen.has(path)),
    outage: forecast.outage.filter(({ component }) => chosen.has(component)),
    ...sums(actions, fetchBytes),
  };
}

function sums(
  actions: readonly Action[],
  fetchBytes: Readonly<Record<ComponentPath, number>>,
): Pick<Forecast, "fetchBytesTotal" | "memoryBytesChange" | "addressesChange"> {
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
  return {
    fetchBytesTotal: sum(Object.values(fetchBytes)),
    memoryBytesChange: sum(actions.map((action) => action.memoryBytesChange ?? 0)),
    addressesChange: sum(actions.map((action) => action.addressesChange ?? 0)),
  };
}

/** Each machine that goes down, with the machines that require what it alone provides. */
function findOutage(actions: readonly Action[], running: NetworkDescription): Forecast["outage"] {
  const down = new Set<ComponentPath>();
  for (const { kind, component } of actions) {
    if (
      component !== undefined &&
      ACTION_KINDS[kind].takesDown === true &&
      Object.hasOwn(running.machines, component)
    )
      down.add(component);
  }
  const downAt = createDownFinder(down, running);
  const dependents = new Map<ComponentPath, Set<ComponentPath>>();
  for (const machine of Object.values(running.machines)) {
    for (const { anyOf } of machine.startsAfter) {
      const [only] = anyOf;
      if (only === undefined || anyOf.length > 1) continue;
      for (const provider of downAt(only)) {
        dependents.set(provider, (dependents.get(provider) ?? new Set()).add(machine.path));
      }
    }
  }
  return [...down].map((component) => ({ component, dependents: [...(dependents.get(component) ?? [])] }));
}

/** Finds the machines of a provider, a machine or a network, that go down; of a network the first stands for all. */
function createDownFinder(
  down: ReadonlySet<ComponentPath>,
  running: NetworkDescription,
): (provider: ComponentPath) => readonly ComponentPath[] {
  const known = new Map<ComponentPath, readonly ComponentPath[]>();
  return (provider) => {
    if (Object.hasOwn(running.machines, provider)) return down.has(provider) ? [provider] : [];
    const found = known.get(provider) ?? [...down].filter((path) => isWithin(path, provider)).slice(0, 1);
    known.set(provider, found);
    return found;
  };
}
