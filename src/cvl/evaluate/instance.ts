/** One component of the instance tree. What the tree's readers see is made when they look. */
import type { Assignment, ObjectClass, Slot, TargetNode } from "../link/object-class.ts";
import { innerTarget } from "./inner-target.ts";
import { ParameterView } from "./parameter-view.ts";
import type { Shape, ShapeTable } from "./shape.ts";
import { LOOKUP, type Work } from "./work.ts";
import type { Source } from "../source.ts";
import type { Component, ComponentPath, Element, Parameter, Place } from "../tree.ts";
import { OWN_NAME, UNKNOWN_SELF, type Value } from "../value.ts";

/** Assignments of an enclosing object to this component's parameters. */
export interface Overlay {
  readonly scope: Instance;
  readonly node: TargetNode;
}

/** The assignment in question and the instance whose body wrote it. */
export interface Candidate {
  readonly assignment: Assignment;
  readonly scope: Instance;
  /** Of the body that wrote it: the enclosing objects' first, outermost first, then those of the own class's chain. */
  readonly body: number;
}

interface InstanceParts {
  readonly type: ObjectClass;
  readonly declared: Place;
  readonly overlays: readonly Overlay[];
  readonly shape: Shape;
}

export class Instance implements Component {
  readonly path: ComponentPath;
  readonly name: string;
  readonly type: ObjectClass;
  readonly declared: Place;
  /** Outermost enclosing object first. */
  readonly overlays: readonly Overlay[];
  /** A network's components, in the order of `type.members.list`. */
  instances: readonly Instance[] = [];
  readonly shape: Shape;
  /** By position in `type.layout.slots`; undefined: not evaluated yet. */
  readonly values: (Value | undefined)[];
  /** Positions whose assignment gave an empty list, so that the default holds. */
  defaulted: Set<number> | undefined;

  constructor(path: ComponentPath, name: string, { type, declared, overlays, shape }: InstanceParts) {
    this.path = path;
    this.name = name;
    this.type = type;
    this.declared = declared;
    this.overlays = overlays;
    this.shape = shape;
    this.values = shape.values.slice();
  }

  get kind(): "network" | "machine" {
    return this.type.kind === "network" ? "network" : "machine";
  }

  get class(): string {
    return this.type.name;
  }

  get ancestors(): readonly string[] {
    return this.type.ancestors;
  }

  get source(): Source {
    return this.type.file.source;
  }

  get interfaces(): readonly string[] {
    return this.type.layout.interfaces;
  }

  get children(): readonly ComponentPath[] {
    return this.instances.map((instance) => instance.path);
  }

  get parameters(): ReadonlyMap<string, Parameter> {
    return new ParameterView(
      this.type.layout,
      (slot, position) => new InstanceParameter(this, slot, position),
    );
  }

  /** Full path of a parameter of this component. */
  pathOf(slot: Slot): string {
    return this.path === "" ? slot.name : `${this.path}.${slot.name}`;
  }

  /** The elements of an evaluated parameter. */
  elementsAt(position: number): readonly Element[] {
    const value = this.values[position];
    const slot = this.type.layout.slots[position];
    if (value === undefined || slot === undefined) return [];
    if (value === UNKNOWN_SELF) return [{ kind: "unknown", waitsFor: [this.pathOf(slot)] }];
    return value === OWN_NAME ? [this.name] : value.elements;
  }

  /** The winning assignment to a parameter, or the one that would win without `after`. */
  candidate(name: string, after?: Candidate): Candidate | undefined {
    const hidden = after?.assignment.hidden;
    if (after !== undefined && hidden !== undefined) return { ...after, assignment: hidden };
    const { overlays } = this;
    let body = after === undefined ? 0 : after.body + 1;
    for (; body < overlays.length; body += 1) {
      const overlay = overlays[body];
      const assignment = overlay?.node.parameters.get(name);
      if (overlay !== undefined && assignment !== undefined)
        return { assignment, scope: overlay.scope, body };
    }
    const { targets } = this.type;
    for (; body < overlays.length + targets.length; body += 1) {
      const assignment = targets[body - overlays.length]?.parameters.get(name);
      if (assignment !== undefined) return { assignment, scope: this, body };
    }
    return undefined;
  }
}

/** One parameter of an instance: what of it is looked up when it is asked for. */
class InstanceParameter implements Parameter {
  private readonly instance: Instance;
  private readonly slot: Slot;
  private readonly position: number;

  constructor(instance: Instance, slot: Slot, position: number) {
    this.instance = instance;
    this.slot = slot;
    this.position = position;
  }

  get elements(): readonly Element[] {
    return this.instance.elementsAt(this.position);
  }

  get required(): boolean {
    return this.slot.required;
  }

  get sensitive(): boolean {
    return this.slot.sensitive;
  }

  get assignable(): boolean {
    return this.slot.assignable;
  }

  get declared(): Place {
    return this.slot.declared;
  }

  get assigned(): Place | null {
    if (this.instance.defaulted?.has(this.position) === true) return null;
    const assignment = this.instance.candidate(this.slot.name)?.assignment;
    if (assignment === undefined) return null;
    return { file: assignment.file, start: assignment.syntax.start, end: assignment.syntax.end };
  }
}

/** Unfolds an object into the tree of its components, parents before children; without recursion. Ends early without `work`. */
export function instantiate(
  root: ObjectClass,
  shapes: ShapeTable,
  work: Work,
): ReadonlyMap<ComponentPath, Instance> {
  const instances = new Map<ComponentPath, Instance>();
  const parts = { type: root, declared: root.declared, overlays: NO_OVERLAYS, shape: shapes.ofClass(root) };
  const pending = [new Instance("", root.name, parts)];
  for (let instance = pending.pop(); instance !== undefined; instance = pending.pop()) {
    instances.set(instance.path, instance);
    // Every component is looked up in what the objects around it assign.
    const { overlays, type, shape } = instance;
    work.spend(
      type.members.list.length * (overlays.length + type.targets.length) * LOOKUP + shape.values.length,
    );
    if (work.isExhausted) break;
    const children = createChildren(instance, shapes);
    instance.instances = children;
    for (let index = children.length - 1; index >= 0; index -= 1) {
      const child = children[index];
      if (child !== undefined) pending.push(child);
    }
  }
  return instances;
}

const NO_OVERLAYS: readonly Overlay[] = [];
const NO_INSTANCES: readonly Instance[] = [];

function createChildren(parent: Instance, shapes: ShapeTable): readonly Instance[] {
  const { list } = parent.type.members;
  if (list.length === 0) return NO_INSTANCES;
  const prefix = parent.path === "" ? "" : `${parent.path}.`;
  return list.map(({ name, class: type, declared }) => {
    const overlays = overlaysOf(parent, name, type);
    const shape = shapeUnder(overlays, type, shapes);
    return new Instance(prefix + name, name, { type, declared, overlays, shape });
  });
}

/** Mostly one: its list is made with it, since one that grows takes many times the memory. */
function overlaysOf(parent: Instance, name: string, type: ObjectClass): readonly Overlay[] {
  let overlays: Overlay[] | undefined;
  const add = (overlay: Overlay): void => {
    if (overlays === undefined) overlays = [overlay];
    else overlays.push(overlay);
  };
  for (const { scope, node } of parent.overlays) {
    const inner = innerTarget(node, name, type);
    if (inner !== undefined) add({ scope, node: inner });
  }
  for (const node of parent.type.targets) {
    const inner = innerTarget(node, name, type);
    if (inner !== undefined) add({ scope: parent, node: inner });
  }
  return overlays ?? NO_OVERLAYS;
}

function shapeUnder(overlays: readonly Overlay[], type: ObjectClass, shapes: ShapeTable): Shape {
  let shape = shapes.ofClass(type);
  for (const { node } of overlays) shape = shapes.variant(shape, node.parameters);
  return shape;
}
