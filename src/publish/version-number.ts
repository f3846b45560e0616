/** Versions count 1, 2, 3 …: whether one follows those that are there. */
import type { Diagnostic } from "../diagnostics.ts";

const MOST_NAMED = 10;

/**
 * What is missing between `version` and the newest below it; `numbers` are those that are there, or come with it. A gap further
 * down is older: readers meet it with a warning, and nobody could mend it.
 */
export function findGap(version: number, numbers: ReadonlySet<number>): Diagnostic | undefined {
  const next = Math.max(0, ...[...numbers].filter((number) => number < version)) + 1;
  if (next === version) return undefined;
  const count = Math.min(version - next, MOST_NAMED);
  const missing = Array.from({ length: count }, (_, index) => `v${next + index}`);
  return {
    code: "VERSION_GAP",
    severity: "error",
    message: `v${version} is not the next version: there is no ${missing.join(", ")}`,
    span: undefined,
    hint: `the next is v${next}: tag it so, or push what is missing as well`,
  };
}
