/** A plan as JSON from somewhere else, an artifact of a stranger's pull request even: checked, bounded, then believed in shape only. */
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { Plan } from "./plan.ts";
import { PLAN_FORMAT, planSchema } from "./plan-schema.ts";
import { issueText } from "../yaml-words.ts";

const LARGEST_TEXT = 64 * 1024 * 1024;
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
    throw invalid(name, `a plan: ${issueText(error.issues[0])}`);
  }
  const refusals = data.refusals.map((refusal) => ({ ...refusal, span: undefined }));
  return { ...data, refusals };
}

/** What `cui plan --out` may replace: a plan of any release. */
export const PLAN_FILE = {
  name: "a plan",
  isOurs: (content: Uint8Array): boolean => {
    try {
      const value = JSON.parse(new TextDecoder().decode(content)) as Partial<Plan> | null;
      return typeof value?.inputDigest === "string" && Array.isArray(value.actions);
    } catch {
      return false;
    }
  },
};

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
