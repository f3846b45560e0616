/**
 * What instances have in common before anything is evaluated. Most parameters of most components are constants of their
 * class: they are made once, and an instance has only its own left to evaluate.
 */
import { compileRightSide } from "./right-side.ts";
import type { Layout, ObjectClass, Slot } from "../link/object-class.ts";
import { PREDEFINED_FILE } from "../link/predefined.ts";
import type { EvaluateOptions } from "../tree.ts";
import type { Work } from "./work.ts";
import { EMPTY, OWN_NAME, UNKNOWN_SELF, type Value } from "../value.ts";

export interface Shape {
  readonly layout: Layout;
  /** By position; undefined where each instance has a value of its own. */
  readonly values: readonly (Value | undefined)[];
  /** The positions that are undefined in `values`. */
  readonly pending: readonly number[];
  /** Size of `values`, and how many of them have the component's path in them. */
  readonly size: number;
  readonly paths: number;
  /** Shapes that differ from this one in one more pending position, or in several, joined. */
  readonly variants: Map<number | string, Shape>;
}

/** The shapes of all classes and instances of one evaluation. */
export class ShapeTable {
  private readonly byClass = new Map<ObjectClass, Shape>();
  private readonly options: EvaluateOptions;
  private readonly work: Work;

  constructor(options: EvaluateOptions, work: Work) {
    this.options = options;
    this.work = work;
  }

  /** The shape of instances of a class that no enclosing object assigns to. */
  ofClass(type: ObjectClass): Shape {
    let shape = this.byClass.get(type);
    if (shape === undefined) {
      shape = this.derive(type) ?? this.build(type);
      this.byClass.set(type, shape);
    }
    return shape;
  }

  /** `shape` with the positions of these parameters left to the instance; those the layout lacks do not matter. */
  variant(shape: Shape, parameters: ReadonlyMap<string, unknown>): Shape {
    this.work.spend(parameters.size);
    if (parameters.size > MAX_STEPS) {
      const positions = positionsOf(parameters.keys(), shape.layout);
      return positions.length === 0 ? shape : this.withoutAll(shape, positions);
    }
    let variant = shape;
    for (const name of parameters.keys()) {
      const position = shape.layout.index.get(name);
      if (position !== undefined && variant.values[position] !== undefined)
        variant = this.without(variant, position);
    }
    return variant;
  }

  /** Instances that are assigned the same few parameters find their shape in as many steps. */
  private without(shape: Shape, position: number): Shape {
    let variant = shape.variants.get(position);
    if (variant === undefined) {
      this.work.spend(shape.values.length);
      variant = makeShape(shape.layout, withoutValues(shape, [position]));
      shape.variants.set(position, variant);
    }
    return variant;
  }

  /** Many parameters at once: no shape is kept for each step. */
  private withoutAll(shape: Shape, positions: readonly number[]): Shape {
    const key = positions.join();
    let variant = shape.variants.get(key);
    if (variant === undefined) {
      this.work.spend(shape.values.length);
      variant = makeShape(shape.layout, withoutValues(shape, positions));
      shape.variants.set(key, variant);
    }
    return variant;
  }

  /** A class that only assigns is a variant of its base: the many that derive from one base share a few shapes. */
  private derive({ base, layout, targets }: ObjectClass): Shape | undefined {
    const known = base === undefined ? undefined : this.byClass.get(base);
    if (base === undefined || base.layout !== layout) return undefined;
    if (known === undefined && base.file === PREDEFINED_FILE) return undefined;
    const shape = known ?? this.build(base);
    this.byClass.set(base, shape);
    const [own] = targets;
    if (own === undefined || own === base.targets[0]) return shape;
    return this.variant(shape, own.parameters);
  }

  private build(type: ObjectClass): Shape {
    this.work.spend(type.layout.slots.length * type.targets.length);
    return makeShape(
      type.layout,
      type.layout.slots.map((slot) => this.constantOf(type, slot)),
    );
  }

  private constantOf(type: ObjectClass, slot: Slot): Value | undefined {
    if (slot.sensitive) return undefined;
    for (const { parameters } of type.targets) {
      const assignment = parameters.get(slot.name);
      if (assignment !== undefined) return compileRightSide(assignment, this.work).constant;
    }
    if (slot.assignable) return this.options.assigned === undefined ? UNKNOWN_SELF : undefined;
    return slot.name === "name" && slot.declared.file === PREDEFINED_FILE ? OWN_NAME : EMPTY;
  }
}

const MAX_STEPS = 6;

function withoutValues({ values }: Shape, positions: readonly number[]): (Value | undefined)[] {
  const left = [...values];
  for (const position of positions) left[position] = undefined;
  return left;
}

/** Positions of parameters by name; of those the layout has. */
function positionsOf(names: Iterable<string>, { index }: Layout): number[] {
  const positions: number[] = [];
  for (const name of names) {
    const position = index.get(name);
    if (position !== undefined) positions.push(position);
  }
  return positions;
}

function makeShape(layout: Layout, values: readonly (Value | undefined)[]): Shape {
  const pending: number[] = [];
  let size = 0;
  let paths = 0;
  values.forEach((value, position) => {
    if (value === undefined) pending.push(position);
    else if (value === UNKNOWN_SELF || value === OWN_NAME) paths += 1;
    else size += value.size;
  });
  return { layout, values, pending, size, paths, variants: new Map() };
}
