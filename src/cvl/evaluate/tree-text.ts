/** The instance tree for a person: a block a component, a line a parameter, a further line a further element. */
import { visible } from "../../diagnostics.ts";
import type { Component, Element, InstanceTree, Parameter } from "../tree.ts";

const PIECE_LINES = 1000;

/** The listing in pieces of whole lines; `isWanted` chooses components by path. */
export function* renderTree(tree: InstanceTree, isWanted: (path: string) => boolean): Iterable<string> {
  let lines: string[] = [];
  for (const component of tree.components.values()) {
    if (!isWanted(component.path)) continue;
    if (lines.length > 0) lines.push("");
    for (const line of renderComponent(component, tree)) lines.push(line);
    if (lines.length < PIECE_LINES) continue;
    yield lines.join("\n");
    lines = [""];
  }
  if (lines.length > 0) yield lines.join("\n");
}

function renderComponent(component: Component, { appliance }: InstanceTree): string[] {
  const { path, kind, source, parameters } = component;
  const of = source.version === null ? "" : `  from ${visible(source.url)} v${source.version}`;
  const head = `${path === "" ? appliance : path}  ${kind} ${component.class}${of}`;
  let width = 0;
  for (const name of parameters.keys()) width = Math.max(width, name.length);
  const lines = [...parameters].flatMap(([name, parameter]) =>
    renderElements(parameter, path === "" ? name : `${path}.${name}`).map(
      (text, index) => `  ${(index === 0 ? name : "").padEnd(width)}  ${text}`,
    ),
  );
  return [head, ...lines];
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
