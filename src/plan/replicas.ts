/** Machines that provide the same service are taken down one after the other, so that one of them is always there. */
import type { ComponentPath } from "../cvl/tree.ts";
import { actionId } from "./action.ts";
import type { MachineChange } from "./machine-change.ts";

/** For each machine that is replaced or restarted the actions of the replicas before it. */
export function chainReplicas(
  arriving: readonly MachineChange[],
): ReadonlyMap<ComponentPath, readonly string[]> {
  const lastOf = new Map<string, string>();
  const before = new Map<ComponentPath, readonly string[]>();
  for (const { kind, path, running, wanted } of arriving) {
    if (kind !== "replace" && kind !== "restart") continue;
    const kept = new Set(running?.provides ?? []);
    const services = (wanted?.provides ?? []).filter((service) => kept.has(service));
    before.set(
      path,
      services.flatMap((service) => lastOf.get(service) ?? []),
    );
    for (const service of services) lastOf.set(service, actionId(kind, path));
  }
  return before;
}
