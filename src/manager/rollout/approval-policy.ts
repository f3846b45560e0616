/** How many persons must approve a plan, and what is said when there are too few. */
import { visible } from "../../diagnostics.ts";
import { ACTION_CLASSES, type ActionClass } from "../../plan/action-kinds.ts";
import type { Plan } from "../../plan/plan.ts";
import type { ApprovalPolicy } from "../../site/inventory.ts";

/** Somebody who approved a change. */
export interface Person {
  /** A login of the forge, or who `approval.signers` says a key belongs to. */
  readonly name: string;
  /** `author`, `approved`, `signed the commit`. */
  readonly how: string;
}

/** Who approved a change, each person once. */
export interface Approvals {
  readonly persons: readonly Person[];
  /** Who was looked at and does not count, and why: `carol (asks for changes)`. */
  readonly notCounted: readonly string[];
}

/** Of a class that is not named as many as of the next milder one that is; without any, none. */
function personsFor(policy: ApprovalPolicy, wanted: ActionClass): number {
  for (let rank = ACTION_CLASSES.indexOf(wanted); rank >= 0; rank--) {
    const count = policy.persons[ACTION_CLASSES[rank] ?? "none"];
    if (count !== undefined) return count;
  }
  return 0;
}

/** Why the persons behind a change are too few for a plan; undefined when they are enough. */
export function shortage(policy: ApprovalPolicy, plan: Plan, approvals: Approvals): string | undefined {
  const classes = [...new Set<ActionClass>([plan.class, ...plan.actions.map((action) => action.class)])];
  const worst = classes
    .map((name) => ({ name, count: personsFor(policy, name) }))
    .reduce((a, b) => (b.count > a.count ? b : a));
  const { persons, notCounted } = approvals;
  if (persons.length >= worst.count) return undefined;
  const needed = `${worst.count} person${worst.count === 1 ? " is" : "s are"} needed for class ${worst.name}`;
  const those = persons.map(({ name, how }) => `${visible(name)} (${how})`).join(", ");
  const found = persons.length === 0 ? "nobody approved it" : `${persons.length} approved it: ${those}`;
  const others = notCounted.length === 0 ? "" : `; not counted: ${notCounted.map(visible).join(", ")}`;
  return `${needed}, ${found}${others}`;
}
