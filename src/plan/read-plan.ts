/** A plan as JSON from somewhere else, an artifact of a stranger's pull request even: checked, bounded, then believed in shape only. */
import { z } from "zod";
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { ACTION_CLASSES, PLAN_FORMAT, type ActionKind, type Plan } from "./plan.ts";

const LARGEST_TEXT = 64 * 1024 * 1024;
const MOST_ACTIONS = 200_000;
const LONGEST_STRING = 10_000;

const KINDS = [
  "create-segment",
  "remove-segment",
  "create-data-disk",
  "resize-data-disk",
  "detach-data-disk",
  "start",
  "stop",
  "replace",
  "restart",
  "send-parameters",
  "remove",
  "await",
  "note",
] as const satisfies readonly ActionKind[];

const text = z.string().max(LONGEST_STRING);
const many = <Schema extends z.ZodType>(schema: Schema) => z.array(schema).max(MOST_ACTIONS);
const version = z.int().min(1).nullable();
const digest = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256 digest");
const bytes = z.int().min(0);

const actionSchema = z.object({
  id: text,
  kind: z.enum(KINDS),
  class: z.enum(ACTION_CLASSES),
  component: text.optional(),
  segment: text.optional(),
  device: text.optional(),
  reasons: many(z.object({ text, place: text.optional() })),
  after: many(text),
  afterAny: many(many(text)).optional(),
  versions: z.object({ from: version, to: version }).optional(),
  memoryBytesChange: z.int().optional(),
  addressesChange: z.int().optional(),
});

const planSchema = z.object({
  format: z.literal(PLAN_FORMAT),
  appliance: text,
  class: z.enum(ACTION_CLASSES),
  actions: many(actionSchema),
  forecast: z.object({
    fetchBytes: z.record(text, bytes),
    fetchBytesTotal: bytes,
    fetchUnknown: many(text),
    memoryBytesChange: z.int(),
    addressesChange: z.int(),
    outage: many(z.object({ component: text, dependents: many(text) })),
  }),
  warnings: many(z.object({ component: text.optional(), message: text })),
  refusals: many(
    z.object({
      code: z.string().regex(/^[A-Z][A-Z0-9_]{0,60}$/),
      severity: z.enum(["error", "warning"]),
      message: text,
      hint: text.optional(),
      component: text.optional(),
    }),
  ),
  inputDigest: digest,
  planDigest: digest.optional(),
});

/**
 * Reads what `JSON.stringify(plan)` wrote; `name` is how the error calls it. Spans of refusals are left out: they point into
 * files that are not here.
 * @throws CollectiveError INVALID_INPUT.
 */
export function readPlan(json: string, name: string): Plan {
  if (json.length > LARGEST_TEXT) throw invalid(name, `at most ${LARGEST_TEXT} characters`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw invalid(name, "JSON", error);
  }
  const format =
    typeof value === "object" && value !== null ? (value as { format?: unknown }).format : undefined;
  if (format !== PLAN_FORMAT) throw invalid(name, `a plan of format ${PLAN_FORMAT}, the only one understood`);
  const { success, data, error } = planSchema.safeParse(value);
  if (!success) {
    const [issue] = error.issues;
    throw invalid(name, `a plan: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
  }
  const refusals = data.refusals.map((refusal) => ({ ...refusal, span: undefined }));
  return { ...data, refusals } as unknown as Plan;
}

function invalid(name: string, expected: string, cause?: unknown): CollectiveError {
  return new CollectiveError(
    "INVALID_INPUT",
    `${visible(name)}: expected ${visible(expected).slice(0, 300)}`,
    {
      hint: "make it anew with cui plan --out",
      cause,
    },
  );
}
