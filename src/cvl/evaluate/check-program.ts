/** The mistakes of a linked program that show only when its values are made. */
import { hasErrors, type Diagnostic } from "../../diagnostics.ts";
import { measureExtent } from "../link/containment.ts";
import { evaluate } from "./evaluate.ts";
import { MAX_PARAMETERS } from "../limits.ts";
import { rootObjectName } from "../link/link.ts";
import { createReporter } from "../report.ts";
import { Work } from "./work.ts";
import type { LinkedProgram } from "../link/program.ts";
import type { InstanceTree } from "../tree.ts";

/** What is to be said about the values of an object that has no mistake in itself; `isRoot`: its file stands for it. */
export type CheckTree = (tree: InstanceTree, isRoot: boolean) => readonly Diagnostic[];

/** Evaluates the object the file stands for, or each of them where that is not clear. */
export function checkProgram(program: LinkedProgram, checkTree: CheckTree = () => []): readonly Diagnostic[] {
  const work = new Work();
  const checkOne = (one: LinkedProgram, isRoot: boolean): readonly Diagnostic[] => {
    const { tree, diagnostics } = evaluate(one, {}, work);
    return hasErrors(diagnostics) ? diagnostics : [...diagnostics, ...checkTree(tree, isRoot)];
  };
  if (rootObjectName(program.root.file, [...program.objects.keys()]) !== undefined)
    return checkOne(program, true);
  const reporter = createReporter();
  let parameters = 0;
  for (const [object, rootClass] of program.objects) {
    parameters += measureExtent(rootClass).parameters;
    for (const diagnostic of checkOne({ ...program, object, rootClass }, false)) reporter.add(diagnostic);
    if (parameters > MAX_PARAMETERS || work.isExhausted || reporter.isFull) break;
  }
  return reporter.diagnostics;
}
