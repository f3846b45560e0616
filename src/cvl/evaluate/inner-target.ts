/** What an object's body assigns to one of its components, whatever became of that component since the body was bound. */
import type { Assignment, ObjectClass, TargetNode } from "../link/object-class.ts";

/**
 * Of `node`, what is assigned to the component `name`, which is of class `type`. The body may have been bound to another version
 * of it: what is an interface there, `a.ip` of a machine, may be a machine here, and the other way round.
 */
export function innerTarget(node: TargetNode, name: string, type: ObjectClass): TargetNode | undefined {
  const inner = node.components?.get(name);
  if (inner === undefined) return node.hasInterfaces ? splitOff(node, name) : undefined;
  return type.kind === "machine" && inner.components !== undefined ? flatten(inner) : inner;
}

/** One for each node and component, as instances of one class share what is made of it. */
const split = new WeakMap<TargetNode, Map<string, TargetNode | undefined>>();

function splitOff(node: TargetNode, name: string): TargetNode | undefined {
  let known = split.get(node);
  if (known === undefined) split.set(node, (known = new Map<string, TargetNode | undefined>()));
  if (known.has(name)) return known.get(name);
  const prefix = `${name}.`;
  const parameters = new Map<string, Assignment>();
  for (const [parameter, assignment] of node.parameters) {
    if (parameter.startsWith(prefix)) parameters.set(parameter.slice(prefix.length), assignment);
  }
  const made =
    parameters.size === 0 ? undefined : { parameters, components: undefined, hasInterfaces: false };
  known.set(name, made);
  return made;
}

const flat = new WeakMap<TargetNode, TargetNode>();

function flatten(node: TargetNode): TargetNode {
  let made = flat.get(node);
  if (made === undefined) {
    const parameters = new Map(node.parameters);
    for (const [name, inner] of node.components ?? []) {
      for (const [parameter, assignment] of inner.parameters)
        parameters.set(`${name}.${parameter}`, assignment);
    }
    made = { parameters, components: undefined, hasInterfaces: true };
    flat.set(node, made);
  }
  return made;
}
