/**
 * What a machine that goes waits for: whoever still uses a service that ends with it, and who provides the service from then on.
 * As long as another provider stays, nobody need wait; when all go, the first in boot order goes last and waits for the users.
 */
import type { ComponentPath } from "../cvl/tree.ts";
import type { NetworkDescription, Requirement } from "../network/description.ts";
import { ancestorsOf } from "../network/paths.ts";
import { actionId, barrier } from "./action.ts";
import type { Evictions } from "./evictions.ts";
import type { MachineChange } from "./machine-change.ts";
import type { OrderedChanges, Sides } from "./sides.ts";
import type { Action } from "./plan.ts";
import type { Resolved } from "./requirements.ts";

export interface Departures {
  after(path: ComponentPath): readonly string[];
  barriersBefore(path: ComponentPath): readonly Action[];
}

export function orderDepartures(
  { running }: Sides,
  ordered: OrderedChanges,
  { evictions, requirements }: { readonly evictions: Evictions; readonly requirements: Resolved },
): Departures {
  const waits = createWaits();
  if (running === null || ordered.leaving.length === 0) return waits;
  const changeOf = new Map([...ordered.arriving, ...ordered.leaving].map((change) => [change.path, change]));
  const keepersOf = createKeeperFinder(running, ordered.leaving);
  for (const { requirement, users } of listUses(running)) {
    const keepers = keepersOf(requirement).filter((path) => !evictions.leaving.has(path));
    if (keepers.length === 0) continue;
    const own = new Set(keepers);
    const ids = users.flatMap((path) => {
      const change = own.has(path) ? undefined : changeOf.get(path);
      return change === undefined ? [] : [actionId(change.kind, path)];
    });
    const next = requirements.firstProvider(requirement.service);
    waits.add(keepers, next === undefined ? ids : [...ids, next]);
  }
  return waits;
}

function createWaits(): Departures & {
  add(keepers: readonly ComponentPath[], ids: readonly string[]): void;
} {
  const after = new Map<ComponentPath, string[]>();
  const barriers = new Map<ComponentPath, Action[]>();
  let made = 0;
  return {
    after: (path) => after.get(path) ?? [],
    barriersBefore: (path) => barriers.get(path) ?? [],
    add: (keepers, ids) => {
      const [first] = keepers;
      let waitFor = ids;
      if (first !== undefined && keepers.length > 1 && ids.length > 1) {
        made += 1;
        const action = barrier(`the users of ${first} (${made})`, ids, first);
        barriers.set(first, [...(barriers.get(first) ?? []), action]);
        waitFor = [action.id];
      }
      for (const path of keepers) after.set(path, [...(after.get(path) ?? []), ...waitFor]);
    },
  };
}

/** Each service somebody uses, with its users. */
function listUses(
  running: NetworkDescription,
): Iterable<{ readonly requirement: Requirement; readonly users: readonly ComponentPath[] }> {
  const uses = new Map<string, { requirement: Requirement; users: ComponentPath[] }>();
  for (const [path, machine] of Object.entries(running.machines)) {
    for (const requirement of machine.startsAfter) {
      const use = uses.get(requirement.service);
      if (use === undefined) uses.set(requirement.service, { requirement, users: [path] });
      else use.users.push(path);
    }
  }
  return uses.values();
}

/**
 * Finds the machines of the provider that goes last, in the order they go, when every provider of a service goes; else none. A
 * network that keeps a machine stays.
 */
function createKeeperFinder(
  running: NetworkDescription,
  leaving: readonly MachineChange[],
): (requirement: Requirement) => readonly ComponentPath[] {
  const total = countBelow(Object.keys(running.machines));
  const leavingBelow = new Map<ComponentPath, { readonly first: number; readonly paths: ComponentPath[] }>();
  leaving.forEach(({ path }, index) => {
    for (const at of [path, ...ancestorsOf(path)]) {
      const found = leavingBelow.get(at);
      if (found === undefined) leavingBelow.set(at, { first: index, paths: [path] });
      else found.paths.push(path);
    }
  });
  return ({ anyOf }) => {
    let keepers: { readonly first: number; readonly paths: readonly ComponentPath[] } = {
      first: -1,
      paths: [],
    };
    for (const provider of anyOf) {
      const found = leavingBelow.get(provider);
      if (found === undefined || found.paths.length < (total.get(provider) ?? 0)) return [];
      if (found.first > keepers.first) keepers = found;
    }
    return keepers.paths;
  };
}

function countBelow(paths: readonly ComponentPath[]): ReadonlyMap<ComponentPath, number> {
  const total = new Map<ComponentPath, number>();
  for (const path of paths) {
    for (const at of [path, ...ancestorsOf(path)]) total.set(at, (total.get(at) ?? 0) + 1);
  }
  return total;
}
