/** The two sides of a plan, and the changes between them in the order of starts and stops. */
import type { ComponentPath } from "../cvl/tree.ts";
import { bootOrder } from "../network/boot-order.ts";
import type { NetworkDescription } from "../network/description.ts";
import type { MachineChange } from "./machine-change.ts";

/** A side is null when nothing runs, or when what runs is only stopped. */
export interface Sides {
  readonly running: NetworkDescription | null;
  readonly wanted: NetworkDescription | null;
}

export interface OrderedChanges {
  /** Of machines that are up afterwards, in boot order. */
  readonly arriving: readonly MachineChange[];
  /** Of machines that go, in the order they go. */
  readonly leaving: readonly MachineChange[];
  readonly notes: readonly MachineChange[];
}

export function orderChanges(
  sides: Sides,
  changes: ReadonlyMap<ComponentPath, MachineChange>,
): OrderedChanges {
  const pick = (paths: readonly ComponentPath[]): MachineChange[] =>
    paths.flatMap((path) => changes.get(path) ?? []);
  const up = pick(bootSequence(sides.wanted));
  const down = pick(bootSequence(sides.running).reverse());
  return {
    arriving: up.filter((change) => change.kind !== "note"),
    leaving: down.filter(({ kind }) => kind === "remove" || kind === "stop"),
    notes: up.filter((change) => change.kind === "note"),
  };
}

/** All machines in boot order; those of a cycle, which no description has that was built without errors, come last. */
function bootSequence(network: NetworkDescription | null): ComponentPath[] {
  if (network === null) return [];
  const placed = new Set(bootOrder(network).rounds.flat());
  for (const path of Object.keys(network.machines)) placed.add(path);
  return [...placed];
}
