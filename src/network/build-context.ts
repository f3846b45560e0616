/** What the steps of `buildNetwork` share: the tree, a place to report to, and reading what the utility must know. */
import type { Component, Element, InstanceTree, Place } from "../cvl/tree.ts";
import type { Diagnostic, DiagnosticCode, Severity } from "../diagnostics.ts";
import type { Origin } from "./description.ts";
import { MAX_DIAGNOSTICS } from "../cvl/limits.ts";
import { tooManyErrors } from "../cvl/report.ts";
import { displayPath, joinPath } from "./paths.ts";
import { spanOf } from "./places.ts";

export interface BuildContext {
  readonly tree: InstanceTree;
  readonly originOf: (place: Place) => Origin;
  readonly diagnostics: Diagnostic[];
  /** The appliance becomes part of a network: what it requires others may provide. */
  readonly isPart?: boolean;
}

export interface Report {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly place: Place;
  readonly severity?: Severity;
  readonly hint?: string;
  readonly related?: readonly { readonly message: string; readonly place: Place }[];
}

/** Of each severity as many are kept as of a file's other mistakes; one more says that there were more. */
export function report(
  context: BuildContext,
  { code, message, place, severity = "error", hint, related }: Report,
): void {
  const count = context.diagnostics.reduce((sum, other) => sum + Number(other.severity === severity), 0);
  if (count > MAX_DIAGNOSTICS) return;
  if (count === MAX_DIAGNOSTICS) {
    context.diagnostics.push({ ...tooManyErrors(spanOf(place)), severity });
    return;
  }
  context.diagnostics.push({
    code,
    severity,
    message,
    span: spanOf(place),
    ...(hint === undefined ? {} : { hint }),
    ...(related === undefined
      ? {}
      : { related: related.map((entry) => ({ message: entry.message, span: spanOf(entry.place) })) }),
  });
}

/** Where a parameter got its value, else where it is declared, else where the component is. */
export function placeOf(component: Component, parameter: string): Place {
  const found = component.parameters.get(parameter);
  return found?.assigned ?? found?.declared ?? component.declared;
}

/**
 * The strings of a parameter the utility itself reads. Elements it cannot know are reported and left out; those made from an
 * unset required parameter are left out silently, because that parameter is reported as missing.
 */
export function readKnown(context: BuildContext, component: Component, name: string): string[] {
  const elements = component.parameters.get(name)?.elements ?? [];
  const known: string[] = [];
  for (const element of elements) {
    if (typeof element === "string") known.push(element);
    else if (element.kind !== "unset") reportNotKnown(context, component, name, element);
  }
  return known;
}

function reportNotKnown(
  context: BuildContext,
  component: Component,
  name: string,
  element: Exclude<Element, string>,
): void {
  const path = joinPath(displayPath(component.path, context.tree.appliance), name);
  const why =
    element.kind === "sensitive"
      ? `is made from the sensitive ${element.from.join(", ")}`
      : `waits for ${element.waitsFor.join(", ")}, which the utility assigns`;
  report(context, {
    code: "NETWORK_VALUE_NOT_KNOWN",
    message: `${path} is read by the utility and must be known before anything starts, but it ${why}`,
    place: placeOf(component, name),
    hint: `give ${name} a value written in CVL`,
  });
}
