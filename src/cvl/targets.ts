/** The assignments of one class body by what they assign: a tree along the names of components. */
import type { Assignment, ObjectClass, TargetNode } from "./object-class.ts";
import { resolvePath } from "./object-class.ts";

interface WritableNode extends TargetNode {
  readonly parameters: Map<string, Assignment[]>;
  readonly components: Map<string, WritableNode>;
}

/** Undefined when the body assigns nothing. Assignments to what is not declared are left out: they are errors. */
export function collectTargets(
  assignments: readonly Assignment[],
  owner: ObjectClass,
): TargetNode | undefined {
  const root = createNode();
  for (let index = assignments.length - 1; index >= 0; index -= 1) {
    const assignment = assignments[index];
    if (assignment !== undefined) addAssignment(root, assignment, owner);
  }
  return root.parameters.size === 0 && root.components.size === 0 ? undefined : root;
}

function addAssignment(root: WritableNode, assignment: Assignment, owner: ObjectClass): void {
  const { names } = assignment.syntax.target;
  const target = resolvePath(owner, names);
  if (target.kind !== "parameter") return;
  let node = root;
  for (let at = 0; at < target.components; at += 1) node = childNode(node, names[at] ?? "");
  const earlier = node.parameters.get(target.name);
  if (earlier === undefined) node.parameters.set(target.name, [assignment]);
  else earlier.push(assignment);
}

function childNode(node: WritableNode, name: string): WritableNode {
  let child = node.components.get(name);
  if (child === undefined) {
    child = createNode();
    node.components.set(name, child);
  }
  return child;
}

function createNode(): WritableNode {
  return { parameters: new Map(), components: new Map() };
}
