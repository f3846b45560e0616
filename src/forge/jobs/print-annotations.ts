/** Annotations in a job's log, where GitHub puts each beside its line; needs no token. */
import { workflowCommand, type Annotation } from "../annotations.ts";
import type { JobContext } from "./job.ts";

export function printAnnotations(job: Pick<JobContext, "print">, annotations: readonly Annotation[]): void {
  for (const annotation of annotations) job.print(workflowCommand(annotation));
}
