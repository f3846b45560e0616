/** The instance tree for a person: a block a component, a line a parameter, a further line a further element. */
import { visible } from "../../diagnostics.ts";
import type { Component, Element, InstanceTree, Parameter } from "../tree.ts";

const PIECE_LINES = 1000;

/** The listing in pieces of whole lines; `isWanted` chooses components by path. */
export function* renderTree(tree: InstanceTree, isWanted: (path: string) => boolean): Iterable<string> {
  let lines: string[] = [];
  let isFirst = true;
  for (const component of tree.components.values()) {
    if (!isWanted(component.path)) continue;
    if (!isFirst) lines.push("");
    isFirst = false;
    for (const line of renderComponent(component, tree)) {
      lines.push(line);
      if (lines.length < PIECE_LINES) continue;
      yield lines.join("\n");
      lines = [];
    }
  }
  if (lines.length > 0) yield lines.join("\n");
}

/** A name that is longer does not push the values of all others to the right. */
const MAX_WIDTH = 40;

function* renderComponent(component: Component, { appliance }: InstanceTree): Iterable<string> {
  const { path, kind, source, parameters } = component;
  const of = source.version === null ? "" : `  from ${visible(source.url)} v${source.version}`;
  yield `${path === "" ? appliance : path}  ${kind} ${component.class}${of}`;
  let width = 0;
  for (const name of parameters.keys()) width = Math.max(width, Math.min(name.length, MAX_WIDTH));
  for (const [name, parameter] of parameters) {
    let shown = name;
    for (const text of renderElements(parameter, path === "" ? name : `${path}.${name}`)) {
      yield `  ${shown.padEnd(width)}  ${text}`;
      shown = "";
    }
  }
}

/** One text for each element; one that says so when there is none. `path` is the parameter's own. */
export function renderElements({ elements, required }: Parameter, path: string): string[] {
  if (elements.length === 0) return [required ? `(unset: ${path})` : "(unset)"];
  return elements.map(renderElement);
}

/** Without control characters: a stranger's file must not reach the terminal. */
function renderElement(element: Element): string {
  if (typeof element === "string") return visible(element);
  if (element.kind === "sensitive") return "(sensitive)";
  if (element.kind === "unknown") return "(assigned at start)";
  return `(unset: ${element.waitsFor.join(", ")})`;
}
