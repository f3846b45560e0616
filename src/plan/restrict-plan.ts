/** The part of a plan that concerns one component: `cui update acme.cvl w`, `cui stop acme.cvl g`. */
import type { ComponentPath } from "../cvl/tree.ts";
import { isWithin } from "../network/paths.ts";
import { mostSevere } from "./diff-networks.ts";
import { restrictForecast } from "./forecast.ts";
import type { Action, Plan, Refusal } from "./plan.ts";

/**
 * Selects a component and everything below it, and the segments it needs. What stands between two selected actions still orders
 * them. When a selected machine needs one that is not running and not selected, the plan refuses (PLAN_NEEDS_OTHERS).
 */
export function restrictPlan(plan: Plan, component: ComponentPath): Plan {
  const chosen = chooseActions(plan.actions, component);
  const byId = new Map(plan.actions.map((action) => [action.id, action]));
  const nearest = createNearestFinder(byId, chosen);
  const refusals: Refusal[] = plan.refusals.filter(
    (refusal) => refusal.component === undefined || isWithin(refusal.component, component),
  );
  const actions: Action[] = [];
  for (const action of plan.actions) {
    if (!chosen.has(action.id)) continue;
    const missing = missingStart(action, byId, chosen);
    if (missing !== undefined) refusals.push(refuse(action, missing));
    actions.push(restrictAction(action, nearest));
  }
  const notes = (plan.notes ?? []).flatMap(({ components, message }) => {
    const within = components.filter((path) => isWithin(path, component));
    return within.length === 0 ? [] : [{ components: within, message }];
  });
  return {
    ...plan,
    ...(plan.notes === undefined ? {} : { notes }),
    class: mostSevere(actions),
    actions,
    forecast: restrictForecast(plan.forecast, actions),
    warnings: plan.warnings.filter(
      (warning) => warning.component === undefined || isWithin(warning.component, component),
    ),
    refusals,
  };
}

/** Actions of the component, new segments some of them wait for, and segments nobody else lets go of. */
function chooseActions(actions: readonly Action[], component: ComponentPath): ReadonlySet<string> {
  const own = actions.filter(
    (action) => action.component !== undefined && isWithin(action.component, component),
  );
  const chosen = new Set(own.map((action) => action.id));
  const waitedFor = new Set(own.flatMap((action) => action.after));
  for (const action of actions) {
    if (action.kind === "create-segment" && waitedFor.has(action.id)) chosen.add(action.id);
    const isLast = action.kind === "remove-segment" && action.after.every((id) => chosen.has(id));
    if (isLast && action.after.length > 0) chosen.add(action.id);
  }
  return chosen;
}

function restrictAction(action: Action, nearest: (id: string) => ReadonlySet<string>): Action {
  const { afterAny, ...rest } = action;
  const after = [...new Set(action.after.flatMap((id) => [...nearest(id)]))];
  // An alternative that is not selected may be running already, so it must not be waited for.
  const kept = (afterAny ?? []).filter((ids) => ids.every((id) => nearest(id).has(id)));
  return { ...rest, after, ...(kept.length === 0 ? {} : { afterAny: kept }) };
}

/** For an id the selected actions that stand for it: itself, or those it waits for. */
function createNearestFinder(
  byId: ReadonlyMap<string, Action>,
  chosen: ReadonlySet<string>,
): (id: string) => ReadonlySet<string> {
  const known = new Map<string, ReadonlySet<string>>();
  // Actions stand behind what they wait for, so by the time one is asked for, a pass in order has met the others.
  for (const [id, action] of byId) {
    known.set(
      id,
      chosen.has(id)
        ? new Set([id])
        : new Set(action.after.flatMap((before) => [...(known.get(before) ?? [])])),
    );
  }
  return (id) => known.get(id) ?? new Set();
}

/** A machine this action waits for that neither runs nor is selected. */
function missingStart(
  action: Action,
  byId: ReadonlyMap<string, Action>,
  chosen: ReadonlySet<string>,
): Action | undefined {
  if (action.kind !== "start") return undefined;
  const isMissing = (id: string): boolean => {
    const other = byId.get(id);
    if (other === undefined || chosen.has(id)) return false;
    return other.kind === "start" || (other.kind === "await" && other.after.some(isMissing));
  };
  const alone = action.after.find(isMissing);
  const none = (action.afterAny ?? []).find((ids) => ids.every(isMissing))?.[0];
  const id = alone ?? none;
  return id === undefined ? undefined : byId.get(id);
}

function refuse(action: Action, missing: Action): Refusal {
  const [component, other] = [action.component ?? "", missing.component ?? ""];
  return {
    code: "PLAN_NEEDS_OTHERS",
    severity: "error",
    message: `${component} requires what ${other} provides, and ${other} does not run`,
    span: undefined,
    hint: `start ${other} first, or the whole appliance`,
    component,
  };
}
