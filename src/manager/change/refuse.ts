/** Mistakes of the user's files and refusals of a plan, as the one error a command ends with. */
import { placeDiagnostic, renderDiagnostic, type Diagnostic, type TextOf } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";

/** @throws CollectiveError UTILITY_REFUSED with every error among the diagnostics; warnings are left out. */
export function refuse(diagnostics: readonly Diagnostic[], textOf: TextOf = () => undefined): void {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  if (errors.length === 0) return;
  const rendered = errors.map((diagnostic) => renderDiagnostic(diagnostic, textOf));
  throw new CollectiveError(
    "UTILITY_REFUSED",
    `${errors.length === 1 ? "this cannot be done" : `${errors.length} things forbid this`}; nothing was changed\n${rendered.join("\n")}`,
    {
      data: { codes: errors.map((diagnostic) => diagnostic.code) },
      diagnostics: errors.map((diagnostic) => placeDiagnostic(diagnostic, textOf)),
    },
  );
}
