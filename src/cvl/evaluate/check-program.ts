/** The mistakes of a linked program that show only when its values are made. */
import type { Diagnostic } from "../../diagnostics.ts";
import { measureExtent } from "../link/containment.ts";
import { evaluate } from "./evaluate.ts";
import { MAX_PARAMETERS } from "../limits.ts";
import { rootObjectName } from "../link/link.ts";
import { createReporter } from "../report.ts";
import { Work } from "./work.ts";
import type { LinkedProgram } from "../link/program.ts";

/** Evaluates the object the file stands for, or each of them where that is not clear. */
export function checkProgram(program: LinkedProgram): readonly Diagnostic[] {
  if (rootObjectName(program.root.file, [...program.objects.keys()]) !== undefined) {
    return evaluate(program).diagnostics;
  }
  const reporter = createReporter();
  const work = new Work();
  let parameters = 0;
  for (const [object, rootClass] of program.objects) {
    parameters += measureExtent(rootClass).parameters;
    for (const diagnostic of evaluate({ ...program, object, rootClass }, {}, work).diagnostics)
      reporter.add(diagnostic);
    if (parameters > MAX_PARAMETERS || work.isExhausted || reporter.isFull) break;
  }
  return reporter.diagnostics;
}
