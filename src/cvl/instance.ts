/** One component of the instance tree. What the tree's readers see is made when they look. */
import type { Assignment, ObjectClass, Slot, TargetNode } from "./object-class.ts";
import type { Source } from "./source.ts";
import type { Component, ComponentPath, Element, Parameter, Place } from "./tree.ts";
import { OWN_NAME, UNKNOWN_SELF, type Value } from "./value.ts";

/** Assignments of an enclosing object to this component's parameters. */
export interface Overlay {
  readonly scope: Instance;
  readonly node: TargetNode;
}

/** The assignment in question and the instance whose body wrote it. */
export interface Candidate {
  readonly assignment: Assignment;
  readonly scope: Instance;
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
  /** By position in `type.layout.slots`; undefined: not evaluated yet. */
  readonly values: (Value | undefined)[];
  /** Positions whose assignment gave an empty list, so that the default holds. */
  defaulted: Set<number> | undefined;
  private parameterMap: ReadonlyMap<string, Parameter> | undefined;

  constructor(
    path: ComponentPath,
    name: string,
    { type, declared, overlays }: { type: ObjectClass; declared: Place; overlays: readonly Overlay[] },
  ) {
    this.path = path;
    this.name = name;
    this.type = type;
    this.declared = declared;
    this.overlays = overlays;
    this.values = new Array<Value | undefined>(type.layout.slots.length).fill(undefined);
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
    this.parameterMap ??= new Map(
      this.type.layout.slots.map((slot, position) => [slot.name, this.parameterAt(slot, position)]),
    );
    return this.parameterMap;
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

  /** The winning assignment to a parameter for `rank` 0, the one it hides for 1, and so on. */
  candidate(name: string, rank = 0): Candidate | undefined {
    let skip = rank;
    for (const { node, scope } of this.overlays) {
      const assignments = node.parameters.get(name);
      if (assignments === undefined) continue;
      const assignment = assignments[skip];
      if (assignment !== undefined) return { assignment, scope };
      skip -= assignments.length;
    }
    for (const node of this.type.targets) {
      const assignments = node.parameters.get(name);
      if (assignments === undefined) continue;
      const assignment = assignments[skip];
      if (assignment !== undefined) return { assignment, scope: this };
      skip -= assignments.length;
    }
    return undefined;
  }

  private parameterAt(slot: Slot, position: number): Parameter {
    const { required, sensitive, assignable, declared } = slot;
    const winner = this.defaulted?.has(position) === true ? undefined : this.candidate(slot.name);
    const assigned =
      winner === undefined
        ? null
        : {
            file: winner.assignment.file,
            start: winner.assignment.syntax.start,
            end: winner.assignment.syntax.end,
          };
    return { elements: this.elementsAt(position), required, sensitive, assignable, declared, assigned };
  }
}

/** Unfolds an object into the tree of its components, parents before children; without recursion. */
export function instantiate(root: ObjectClass): ReadonlyMap<ComponentPath, Instance> {
  const instances = new Map<ComponentPath, Instance>();
  const pending = [new Instance("", root.name, { type: root, declared: root.declared, overlays: [] })];
  for (let instance = pending.pop(); instance !== undefined; instance = pending.pop()) {
    instances.set(instance.path, instance);
    const children = createChildren(instance);
    instance.instances = children;
    for (let index = children.length - 1; index >= 0; index -= 1) {
      const child = children[index];
      if (child !== undefined) pending.push(child);
    }
  }
  return instances;
}

const NO_OVERLAYS: readonly Overlay[] = [];

function createChildren(parent: Instance): Instance[] {
  const prefix = parent.path === "" ? "" : `${parent.path}.`;
  return parent.type.members.list.map(({ name, class: type, declared }) => {
    const overlays: Overlay[] = [];
    for (const { scope, node } of parent.overlays) {
      const inner = node.components.get(name);
      if (inner !== undefined) overlays.push({ scope, node: inner });
    }
    for (const node of parent.type.targets) {
      const inner = node.components.get(name);
      if (inner !== undefined) overlays.push({ scope: parent, node: inner });
    }
    return new Instance(prefix + name, name, {
      type,
      declared,
      overlays: overlays.length === 0 ? NO_OVERLAYS : overlays,
    });
  });
}
