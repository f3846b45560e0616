/** A host for every machine that an action is about. */
import type { ComponentPath } from "../../cvl/tree.ts";
import type { NetworkDescription } from "../../network/description.ts";
import { machineName } from "../../network/paths.ts";
import type { Action, Plan } from "../../plan/plan.ts";
import { requireHost } from "../observe/observe-hosts.ts";
import { candidateHosts, startingMachines } from "../placement/capacity.ts";
import { place } from "../placement/place.ts";
import { roomWarnings } from "../placement/sizes.ts";
import { sizeQuestion, type ChangeQuestion } from "./plan-change.ts";

/** The plan with what can only be said when each machine has its host. @throws CollectiveError UTILITY_NO_CAPACITY, UTILITY_HOST_UNREACHABLE */
export function placeChange(
  question: ChangeQuestion,
  plan: Plan,
  wanted: NetworkDescription,
): { readonly plan: Plan; readonly hosts: ReadonlyMap<ComponentPath, string> } {
  const hosts = chooseHosts(question, plan.actions, wanted);
  const warnings = roomWarnings(sizeQuestion(question, plan.actions, wanted), hosts);
  return { plan: { ...plan, warnings: [...plan.warnings, ...warnings] }, hosts };
}

function chooseHosts(
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
  const machines = startingMachines(actions, { networkId, observedHosts, observed, wanted });
  const starting = machines.map(({ component }) => component);
  const placed = place(machines, candidateHosts({ networkId, snapshot, observedHosts, starting }));
  for (const [component, host] of placed) hosts.set(component, host);
  return hosts;
}
