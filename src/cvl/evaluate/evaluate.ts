/**
 * A linked program to the tree of its components with every parameter. Late-bound: a right side is evaluated when its
 * value is needed, in the object that wrote it. Without recursion: chains of references may be as long as the file.
 */
import type { Diagnostic } from "../../diagnostics.ts";
import { measureExtent } from "../link/containment.ts";
import { instantiate, type Instance } from "./instance.ts";
import {
  MAX_COMPONENT_DEPTH,
  MAX_COMPONENTS,
  MAX_PARAMETERS,
  MAX_PATH_LENGTH,
  MAX_PATHS_SIZE,
} from "../limits.ts";
import { PREDEFINED_FILE, UTILITY_PARAMETERS } from "../link/predefined.ts";
import type { LinkedProgram } from "../link/program.ts";
import { createReporter, quote, type Reporter } from "../report.ts";
import { spanOf } from "../link/scope.ts";
import type { Element, EvaluateOptions, InstanceTree } from "../tree.ts";
import { ParameterEvaluator } from "./parameter-evaluator.ts";
import { ShapeTable } from "./shape.ts";
import { Work } from "./work.ts";

export interface EvaluateResult {
  readonly tree: InstanceTree;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Evaluates every parameter of every component. With errors the tree lacks the values they are about. `work` is shared by all
 * evaluations of one file.
 */
export function evaluate(
  program: LinkedProgram,
  options: EvaluateOptions = {},
  work: Work = new Work(),
): EvaluateResult {
  const reporter = createReporter();
  const appliance = program.object;
  if (!isWithinLimits(program, reporter)) {
    return { tree: { appliance, components: new Map() }, diagnostics: reporter.diagnostics };
  }
  const components = instantiate(program.rootClass, new ShapeTable(options, work), work);
  const evaluator = new ParameterEvaluator(options, reporter, work);
  for (const instance of components.values()) {
    evaluator.evaluateInstance(instance);
    const limit = evaluator.limitReached;
    if (limit !== undefined) {
      reportLimit(program, limit, reporter);
      break;
    }
    checkUtilityParameters(instance, reporter);
    if (reporter.isFull) break;
  }
  return { tree: { appliance, components }, diagnostics: reporter.diagnostics };
}

function isWithinLimits(program: LinkedProgram, reporter: Reporter): boolean {
  const { components, parameters, depth, pathsSize, longestPath } = measureExtent(program.rootClass);
  if (depth > MAX_COMPONENT_DEPTH) {
    reportLimit(
      program,
      `networks may nest at most ${MAX_COMPONENT_DEPTH} deep, this one nests ${depth} deep`,
      reporter,
    );
    return false;
  }
  if (components > MAX_COMPONENTS) {
    reportLimit(
      program,
      `an appliance may have at most ${MAX_COMPONENTS} components, this one has ${components}`,
      reporter,
    );
    return false;
  }
  if (parameters > MAX_PARAMETERS) {
    reportLimit(
      program,
      `all components together may have at most ${MAX_PARAMETERS} parameters, these have ${parameters}`,
      reporter,
    );
    return false;
  }
  if (longestPath > MAX_PATH_LENGTH) {
    reportLimit(
      program,
      `the full path of a parameter may have at most ${MAX_PATH_LENGTH} characters, the longest here has ${longestPath}`,
      reporter,
    );
    return false;
  }
  if (pathsSize > MAX_PATHS_SIZE) {
    reportLimit(
      program,
      `the full paths of all components together may have at most ${MAX_PATHS_SIZE} characters, these have ${pathsSize}`,
      reporter,
    );
    return false;
  }
  return true;
}

function reportLimit({ rootClass }: LinkedProgram, message: string, reporter: Reporter): void {
  reporter.report("CVL_LIMIT", message, spanOf(rootClass.file, rootClass.declared), {
    hint: "run the parts as appliances of their own",
  });
}

/**
 * What the utility reads before it starts anything cannot wait for what it assigns, nor be hidden from it. Constants are
 * neither, so that only what each instance has for itself is looked at.
 */
function checkUtilityParameters(instance: Instance, reporter: Reporter): void {
  const { slots } = instance.type.layout;
  for (const position of instance.shape.pending) {
    const slot = slots[position];
    if (slot?.declared.file !== PREDEFINED_FILE || !UTILITY_PARAMETERS.has(slot.name)) continue;
    const wrong = instance.values[position]?.elements.find(
      (element) =>
        typeof element !== "string" && (element.kind === "unknown" || element.kind === "sensitive"),
    );
    if (wrong !== undefined && typeof wrong !== "string")
      reportUtilityValue(instance, { name: slot.name, wrong }, reporter);
  }
}

function reportUtilityValue(
  instance: Instance,
  { name, wrong }: { readonly name: string; readonly wrong: Exclude<Element, string> },
  reporter: Reporter,
): void {
  const place = instance.candidate(name)?.assignment;
  const span =
    place === undefined
      ? spanOf(instance.declared.file, instance.declared)
      : spanOf(place.file, place.syntax);
  const isSensitive = wrong.kind === "sensitive";
  const cause = isSensitive ? wrong.from[0] : wrong.waitsFor[0];
  reporter.report(
    "CVL_UTILITY_VALUE",
    isSensitive ? `${quote(name)} cannot be sensitive` : `${quote(name)} must be known before the start`,
    span,
    { hint: `the utility reads it, and it is made from ${quote(cause ?? "")}` },
  );
}
