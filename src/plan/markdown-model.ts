/** What a comment on a pull request is made from. */
import { createHash } from "node:crypto";
import { displayPath } from "../network/paths.ts";
import { ACTION_CLASSES, ACTION_KINDS } from "./action-kinds.ts";
import type { Action, Plan } from "./plan.ts";

/** One root file of a site and what would happen to its network. */
export interface PlannedNetwork {
  /** As the site names it: `acme.cvl`. */
  readonly file: string;
  /** Null: there is no plan, because of `problems`. */
  readonly plan: Plan | null;
  /** One line each: errors that kept it from being planned. */
  readonly problems?: readonly string[];
  /** From `renderMermaid(wanted, plan)`. */
  readonly diagram?: string;
}

export interface PlanMarkdownOptions {
  /** Default 60,000 characters; GitHub takes 65,536. Not below 10,000. */
  readonly limit?: number;
  /** Where the whole plan lies, as trusted Markdown: ``the artifact `collective-plan` of this run``. */
  readonly wholePlan?: string;
}

/** An action with the network it belongs to. */
export interface PlacedAction {
  readonly network: PlannedNetwork;
  readonly plan: Plan;
  readonly action: Action;
}

/** Something that is there now is not there afterwards: data, a machine, its program disks. Never left out of a comment. */
export function isDestructive({ kind, class: name }: Action): boolean {
  return name === "data" || name === "replace" || ACTION_KINDS[kind].isDestructive === true;
}

/** All actions of all plans that do something, the most severe first, else in the order of networks and plans. */
export function placedActions(networks: readonly PlannedNetwork[]): readonly PlacedAction[] {
  return networks
    .flatMap((network) =>
      network.plan === null
        ? []
        : network.plan.actions
            .filter(({ kind }) => kind !== "await")
            .map((action) => ({ network, plan: network.plan as Plan, action })),
    )
    .sort((a, b) => severityOf(b.action) - severityOf(a.action));
}

/** Within a class what goes for good comes before what comes back. */
export function severityOf({ kind, class: name }: Action): number {
  return ACTION_CLASSES.indexOf(name) * 2 + (ACTION_KINDS[kind].isFinal === true ? 1 : 0);
}

/** `w`, `w:vdb`, the appliance's name for a root machine, `external` for the external segment. */
export function subjectOf({ plan, action }: Pick<PlacedAction, "plan" | "action">): string {
  const path = action.segment ?? action.component;
  const name = path.startsWith("@") ? path.slice(1) : displayPath(path, plan.appliance);
  return action.device === undefined ? name : `${name}:${action.device}`;
}

/** SHA-256 over the list of all destructive changes: what a shortened comment and the whole plan have in common. */
export function destructiveDigest(networks: readonly PlannedNetwork[]): string {
  const lines = placedActions(networks)
    .filter(({ action }) => isDestructive(action))
    .map(({ network, action }) => {
      const { kind, class: name, component, device, versions } = action;
      return JSON.stringify([network.file, kind, name, component, device, versions?.from, versions?.to]);
    })
    .sort();
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}
