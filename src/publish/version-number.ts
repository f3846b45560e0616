/** Versions count 1, 2, 3 …: whether one follows those that are there. */
import type { Diagnostic } from "../diagnostics.ts";

const MOST_NAMED = 10;

/** What is missing below `version`; `numbers` are those that are there, or come with it. */
export function findGap(version: number, numbers: ReadonlySet<number>): Diagnostic | undefined {
  const missing: string[] = [];
  for (let number = 1; number < version && missing.length < MOST_NAMED; number += 1)
    if (!numbers.has(number)) missing.push(`v${number}`);
  if (missing.length === 0) return undefined;
  const next = Math.max(0, ...[...numbers].filter((number) => number < version)) + 1;
  return {
    code: "VERSION_GAP",
    severity: "error",
    message: `v${version} is not the next version: there is no ${missing.join(", ")}`,
    span: undefined,
    hint: `the next is v${next}: tag it so, or push what is missing as well`,
  };
}
