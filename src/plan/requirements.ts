/** What a machine that comes up waits for, as actions: the providers of what it requires that are not there yet. */
import type { ComponentPath } from "../cvl/tree.ts";
import type { NetworkDescription, Requirement } from "../network/description.ts";
import { ancestorsOf } from "../network/paths.ts";
import { actionId, barrier } from "./action.ts";
import type { MachineChange } from "./machine-change.ts";
import type { Action } from "./plan.ts";

export interface Needs {
  readonly after: readonly string[];
  readonly afterAny: readonly (readonly string[])[];
}

export interface Resolved {
  needs(path: ComponentPath): Needs;
  /** Barriers that stand right after the action of this machine. */
  barriersAfter(path: ComponentPath): readonly Action[];
  /** The action after which a service is surely there, if it is not there already. */
  firstProvider(service: string): string | undefined;
}

/** More alternatives than this are cut to the first in boot order: it keeps plans small, and the first is always among them. */
const MOST_ALTERNATIVES = 16;

/** A provider that is not ready before the plan runs: its last action, and where that stands. */
interface Pending {
  readonly id: string;
  readonly position: number;
}

export function resolveRequirements(
  wanted: NetworkDescription | null,
  arriving: readonly MachineChange[],
): Resolved {
  const pendingBelow = indexPending(arriving);
  const barriers = new Map<ComponentPath, Action[]>();
  const pendingProvider = createProviderFinder(arriving, pendingBelow, barriers);
  const alternatives = new Map<string, readonly string[]>();
  const alternativesOf = (requirement: Requirement): readonly string[] => {
    const found = alternatives.get(requirement.service) ?? findAlternatives(requirement, pendingProvider);
    alternatives.set(requirement.service, found);
    return found;
  };
  const requirementOf = new Map<string, Requirement>();
  for (const machine of Object.values(wanted?.machines ?? {})) {
    for (const requirement of machine.startsAfter) {
      if (!requirementOf.has(requirement.service)) requirementOf.set(requirement.service, requirement);
    }
  }
  // Resolved for everybody before the first action is laid out, so that every barrier is known by then.
  const needsOf = new Map<ComponentPath, Needs>();
  for (const { path, wanted: machine } of arriving) {
    const lists = (machine?.startsAfter ?? []).map(alternativesOf).filter((ids) => ids.length > 0);
    needsOf.set(path, {
      after: lists.filter((ids) => ids.length === 1).flat(),
      afterAny: lists.filter((ids) => ids.length > 1),
    });
  }
  return {
    needs: (path) => needsOf.get(path) ?? { after: [], afterAny: [] },
    barriersAfter: (path) => barriers.get(path) ?? [],
    firstProvider: (service) => {
      const requirement = requirementOf.get(service);
      return requirement === undefined ? undefined : alternativesOf(requirement)[0];
    },
  };
}

/** Ids that any one of must be done, in boot order; empty when the service is there already. */
function findAlternatives(
  { anyOf }: Requirement,
  pendingProvider: (path: ComponentPath) => Pending | undefined,
): readonly string[] {
  const found: Pending[] = [];
  for (const provider of anyOf) {
    const pending = pendingProvider(provider);
    if (pending === undefined) return [];
    found.push(pending);
  }
  return found
    .sort((a, b) => a.position - b.position)
    .slice(0, MOST_ALTERNATIVES)
    .map(({ id }) => id);
}

/** Positions, in `arriving`, of the machines at and below each component. */
function indexPending(arriving: readonly MachineChange[]): ReadonlyMap<ComponentPath, readonly number[]> {
  const below = new Map<ComponentPath, number[]>();
  arriving.forEach(({ path }, position) => {
    for (const at of [path, ...ancestorsOf(path)]) {
      const positions = below.get(at);
      if (positions === undefined) below.set(at, [position]);
      else positions.push(position);
    }
  });
  return below;
}

/** A machine is pending with its own action, a network with a barrier after the last of its machines. */
function createProviderFinder(
  arriving: readonly MachineChange[],
  pendingBelow: ReadonlyMap<ComponentPath, readonly number[]>,
  barriers: Map<ComponentPath, Action[]>,
): (path: ComponentPath) => Pending | undefined {
  const known = new Map<ComponentPath, Pending>();
  const idAt = (position: number): string => {
    const change = arriving[position];
    return change === undefined ? "" : actionId(change.kind, change.path);
  };
  return (path) => {
    const positions = pendingBelow.get(path) ?? [];
    const last = positions.at(-1);
    if (last === undefined) return undefined;
    const found = known.get(path);
    if (found !== undefined) return found;
    let pending: Pending = { id: idAt(last), position: last };
    if (positions.length > 1) {
      const name = path === "" ? "." : path;
      const action = barrier(name, positions.map(idAt), path);
      const at = arriving[last]?.path ?? "";
      barriers.set(at, [...(barriers.get(at) ?? []), action]);
      pending = { id: action.id, position: last };
    }
    known.set(path, pending);
    return pending;
  };
}
