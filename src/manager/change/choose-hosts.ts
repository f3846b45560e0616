/** A host for every machine that an action is about. */
import type { ComponentPath } from "../../cvl/tree.ts";
import type { NetworkDescription } from "../../network/description.ts";
import { machineName } from "../../network/paths.ts";
import { ACTION_KINDS } from "../../plan/action-kinds.ts";
import type { Action } from "../../plan/plan.ts";
import { requireHost } from "../observe/observe-hosts.ts";
import { candidateHosts, placeable } from "../placement/capacity.ts";
import { place } from "../placement/place.ts";
import type { ChangeQuestion } from "./plan-change.ts";

/** @throws CollectiveError UTILITY_NO_CAPACITY, UTILITY_HOST_UNREACHABLE */
export function chooseHosts(
  question: ChangeQuestion,
  actions: readonly Action[],
  wanted: NetworkDescription,
): ReadonlyMap<ComponentPath, string> {
  const { networkId, snapshot, observedHosts, observed } = question;
  const hosts = new Map<ComponentPath, string>();
  for (const { component, kind } of actions) {
    const known = component === undefined ? undefined : observed.machines.get(component);
    if (known === undefined || kind === "note" || kind === "await") continue;
    hosts.set(known.component, known.host);
    if (known.state === "unseen") {
      requireHost(
        observedHosts,
        known.host,
        `${kind} ${machineName(known.component)} is needed and it may run there`,
      );
    }
  }
  for (const orphan of observed.orphans)
    requireHost(observedHosts, orphan.host, `${machineName(orphan.component)} runs there`);
  const starting = actions
    .filter((action) => ACTION_KINDS[action.kind].needsImage === true)
    .flatMap((action) => action.component ?? []);
  const candidates = candidateHosts({ networkId, snapshot, observedHosts, starting });
  const machines = starting.flatMap((path) => wanted.machines[path] ?? []);
  const placed = place(
    machines.map((machine) => placeable(machine, { networkId, observedHosts, observed })),
    candidates,
  );
  for (const [component, host] of placed) hosts.set(component, host);
  return hosts;
}
