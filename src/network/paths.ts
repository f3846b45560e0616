/** Dotted component paths: `g.f` is `f` inside `g`, the root is "". */
import type { ComponentPath } from "../cvl/tree.ts";

/** The path of the network a component lies in; undefined for the root. */
export function parentPath(path: ComponentPath): ComponentPath | undefined {
  if (path === "") return undefined;
  const dot = path.lastIndexOf(".");
  return dot === -1 ? "" : path.slice(0, dot);
}

/** `join("g.f", "ethernet0")` is `g.f.ethernet0`; below the root it is the name alone. */
export function joinPath(path: ComponentPath, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** Whether `path` is `ancestor` or lies below it. */
export function isWithin(path: ComponentPath, ancestor: ComponentPath): boolean {
  return ancestor === "" || path === ancestor || path.startsWith(`${ancestor}.`);
}

/** How a component is called where a person reads it: its path, or for the root the name of the appliance. */
export function displayPath(path: ComponentPath, appliance: string): string {
  return path === "" ? appliance : path;
}

/** A machine where a person reads it and no appliance is named: the root machine has an empty path. */
export function machineName(path: ComponentPath): string {
  return path === "" ? "the machine" : path;
}

/** The networks a component lies in, from the innermost to the root. */
export function ancestorsOf(path: ComponentPath): ComponentPath[] {
  const ancestors: ComponentPath[] = [];
  for (let at = parentPath(path); at !== undefined; at = parentPath(at)) ancestors.push(at);
  return ancestors;
}
