/** Warnings about the files a plan is made from, as the plan carries them: withdrawn versions, unencrypted URLs. */
import { visible, type Diagnostic, type TextOf } from "../diagnostics.ts";
import type { PlanWarning } from "../plan/plan.ts";

/** Those of `diagnostics` that are warnings; `textOf` tells which of their files are known. */
export function planWarnings(diagnostics: readonly Diagnostic[], textOf: TextOf): PlanWarning[] {
  return diagnostics
    .filter(({ severity }) => severity === "warning")
    .map(({ code, message, span }) => {
      const place = span === undefined || textOf(span.file) === undefined ? "" : `${span.file}: `;
      return { component: undefined, message: `${place}${code}: ${visible(message)}` };
    });
}
