/** Diagnostics in a job's log, where GitHub turns each into an annotation: beside its line, or on the run as a whole. */
import { visible, type Diagnostic, type TextOf } from "../../diagnostics.ts";
import { annotationsOf, workflowCommand, workflowNote } from "../annotations.ts";
import type { JobContext } from "./job.ts";

export function printDiagnostics(
  job: Pick<JobContext, "print">,
  diagnostics: readonly Diagnostic[],
  textOf: TextOf,
): void {
  const { annotations, unplaced } = annotationsOf(diagnostics, textOf);
  for (const annotation of annotations) job.print(workflowCommand(annotation));
  for (const { severity, code, message, hint } of unplaced) {
    const text = hint === undefined ? visible(message) : `${visible(message)}\nhint: ${visible(hint)}`;
    job.print(workflowNote(severity, code, text));
  }
}
