/**
 * What people approved of a site's change: for each network the input digest, and of every component the class of what would
 * happen to it. Pure data, made by the preview of a pull request and compared with the plan that is about to be carried out.
 */
import * as z from "zod";
import type { ComponentPath } from "../cvl/tree.ts";
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { displayPath } from "../network/paths.ts";
import { ACTION_CLASSES, type ActionClass } from "./action-kinds.ts";
import type { Plan } from "./plan.ts";
import { commitIdSchema } from "../git/commit-id-schema.ts";

export const APPROVAL_FORMAT = 1;

export interface Approval {
  readonly format: typeof APPROVAL_FORMAT;
  /** The commit policy was read from and the change starts at. */
  readonly base: string;
  /** The commit that was previewed. */
  readonly head: string;
  readonly networks: readonly ApprovedNetwork[];
}

export interface ApprovedNetwork {
  /** Root file, relative to the site. */
  readonly file: string;
  readonly object?: string | undefined;
  readonly inputDigest: string;
  /** The most severe class of each component's actions; components to which nothing happens are left out. */
  readonly components: Readonly<Record<ComponentPath, ActionClass>>;
}

const LARGEST_TEXT = 16 * 1024 * 1024;
const commit = commitIdSchema;
const name = z.string().max(1000);

const schema = z.object({
  format: z.literal(APPROVAL_FORMAT),
  base: commit,
  head: commit,
  networks: z
    .array(
      z.object({
        file: name,
        object: name.optional(),
        inputDigest: z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 digest"),
        components: z.record(name, z.enum(ACTION_CLASSES)),
      }),
    )
    .max(10_000),
});

/** What a reviewer who accepts `plan` approves. */
export function approvedNetwork(root: Pick<ApprovedNetwork, "file" | "object">, plan: Plan): ApprovedNetwork {
  return { ...root, inputDigest: plan.inputDigest, components: componentClasses(plan) };
}

/** The most severe class of each component's actions, in the order of names; none is left out. */
export function componentClasses(plan: Plan): Record<ComponentPath, ActionClass> {
  const classes = new Map<ComponentPath, ActionClass>();
  for (const { component, class: found } of plan.actions) {
    if (component === undefined || found === "none") continue;
    if (rank(found) > rank(classes.get(component) ?? "none")) classes.set(component, found);
  }
  return Object.fromEntries([...classes].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Why `plan` is not what was approved, a sentence each; empty when it may be carried out. Milder than approved is fine.
 */
export function objections(plan: Plan, approved: ApprovedNetwork): readonly string[] {
  const found: string[] = [];
  if (plan.inputDigest !== approved.inputDigest) {
    const [now, then] = [plan.inputDigest, approved.inputDigest].map((digest) => digest.slice(0, 12));
    found.push(`its inputs are not those that were approved (input digest ${now}, approved ${then})`);
  }
  for (const [component, real] of Object.entries(componentClasses(plan))) {
    const accepted = Object.hasOwn(approved.components, component) ? approved.components[component] : "none";
    if (rank(real) <= rank(accepted ?? "none")) continue;
    const subject = visible(displayPath(component, plan.appliance));
    found.push(`${subject} would be of class ${real}, approved was ${accepted ?? "none"}`);
  }
  return found;
}

function rank(name: ActionClass): number {
  return ACTION_CLASSES.indexOf(name);
}

/**
 * Reads what `JSON.stringify(approval)` wrote; `source` is how the error calls it.
 * @throws CollectiveError INVALID_INPUT.
 */
export function readApproval(json: string, source: string): Approval {
  if (json.length > LARGEST_TEXT) throw invalid(source, `at most ${LARGEST_TEXT} characters`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw invalid(source, "JSON", error);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid(source, `${issue?.message ?? "another shape"} at ${issue?.path.join(".") || "the top"}`);
}

function invalid(source: string, expected: string, cause?: unknown): CollectiveError {
  return new CollectiveError("INVALID_INPUT", `${source} is no approval: expected ${visible(expected)}`, {
    cause,
  });
}
