/**
 * From the changes of machines to ordered actions. The list is laid out so that everything an action waits for stands before it:
 * new segments; removals that free an address somebody takes; machines that come up, in boot order; machines that go, in
 * reverse boot order of what runs; segments nobody lies on any more; notes.
 */
import type { ComponentPath } from "../cvl/tree.ts";
import type { SegmentId } from "../network/description.ts";
import { actionId, actionsOf, segmentAction } from "./action.ts";
import { orderDepartures, type Departures } from "./departures.ts";
import { findEvictions } from "./evictions.ts";
import type { MachineChange } from "./machine-change.ts";
import type { Action } from "./plan.ts";
import { orderChanges, type Sides } from "./sides.ts";
import { resolveRequirements, type Resolved } from "./requirements.ts";
import { chainReplicas } from "./replicas.ts";

export function orderActions(sides: Sides, changes: ReadonlyMap<ComponentPath, MachineChange>): Action[] {
  const ordered = orderChanges(sides, changes);
  const evictions = findEvictions(ordered);
  const requirements = resolveRequirements(sides.wanted, ordered.arriving);
  const departures = orderDepartures(sides, ordered, { evictions, requirements });
  const segments = segmentChanges(sides);
  return [
    ...segments.created.map((id) => segmentAction("create-segment", id, [])),
    ...ordered.leaving
      .filter(({ path }) => evictions.leaving.has(path))
      .flatMap((change) => actionsOf(change, { after: [] })),
    ...arrivals(ordered.arriving, { requirements, evictions, created: new Set(segments.created) }),
    ...leave(ordered.leaving, departures, evictions.leaving),
    ...segments.removed.map((id) => segmentAction("remove-segment", id, usersOfSegment(sides, id, changes))),
    ...ordered.notes.flatMap((change) => actionsOf(change, { after: [] })),
  ];
}

function arrivals(
  arriving: readonly MachineChange[],
  {
    requirements,
    evictions,
    created,
  }: {
    readonly requirements: Resolved;
    readonly evictions: ReturnType<typeof findEvictions>;
    readonly created: ReadonlySet<SegmentId>;
  },
): Action[] {
  const replicaBefore = chainReplicas(arriving);
  return arriving.flatMap((change) => {
    const needs = requirements.needs(change.path);
    const segments = Object.values(change.wanted?.interfaces ?? {}).flatMap(({ segment }) =>
      segment !== null && created.has(segment) ? [actionId("create-segment", segment)] : [],
    );
    const after = [
      ...segments,
      ...(evictions.waitsFor.get(change.path) ?? []),
      ...needs.after,
      ...(replicaBefore.get(change.path) ?? []),
    ];
    return [
      ...actionsOf(change, { after, afterAny: needs.afterAny }),
      ...requirements.barriersAfter(change.path),
    ];
  });
}

function leave(
  leaving: readonly MachineChange[],
  departures: Departures,
  evicted: ReadonlySet<ComponentPath>,
): Action[] {
  return leaving
    .filter(({ path }) => !evicted.has(path))
    .flatMap((change) => [
      ...departures.barriersBefore(change.path),
      ...actionsOf(change, { after: departures.after(change.path) }),
    ]);
}

function segmentChanges({ running, wanted }: Sides): { created: SegmentId[]; removed: SegmentId[] } {
  // A network that is only stopped keeps its segments.
  if (wanted === null) return { created: [], removed: [] };
  const before = new Set(Object.keys(running?.segments ?? {}));
  const created = Object.keys(wanted.segments).filter((id) => !before.delete(id));
  return { created, removed: [...before] };
}

function usersOfSegment(
  { running }: Sides,
  id: SegmentId,
  changes: ReadonlyMap<ComponentPath, MachineChange>,
): string[] {
  const users = Object.values(running?.machines ?? {}).filter((machine) =>
    Object.values(machine.interfaces).some(({ segment }) => segment === id),
  );
  return users.flatMap(({ path }) => {
    const change = changes.get(path);
    return change === undefined || change.kind === "note" ? [] : [actionId(change.kind, path)];
  });
}
