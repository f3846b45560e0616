/** A component's parameters by name, each made when it is looked at: a network may have millions, and most are never asked for. */
import type { Layout, Slot } from "../link/object-class.ts";
import type { Parameter } from "../tree.ts";

export class ParameterView implements ReadonlyMap<string, Parameter> {
  private readonly layout: Layout;
  private readonly make: (slot: Slot, position: number) => Parameter;

  constructor(layout: Layout, make: (slot: Slot, position: number) => Parameter) {
    this.layout = layout;
    this.make = make;
  }

  get size(): number {
    return this.layout.slots.length;
  }

  get(name: string): Parameter | undefined {
    const position = this.layout.index.get(name);
    const slot = position === undefined ? undefined : this.layout.slots[position];
    return slot === undefined || position === undefined ? undefined : this.make(slot, position);
  }

  has(name: string): boolean {
    return this.layout.index.has(name);
  }

  keys(): MapIterator<string> {
    return this.layout.index.keys();
  }

  *values(): MapIterator<Parameter> {
    for (const [, parameter] of this) yield parameter;
  }

  entries(): MapIterator<[string, Parameter]> {
    return this[Symbol.iterator]();
  }

  *[Symbol.iterator](): MapIterator<[string, Parameter]> {
    for (const [position, slot] of this.layout.slots.entries()) yield [slot.name, this.make(slot, position)];
  }

  forEach(call: (value: Parameter, key: string, map: ReadonlyMap<string, Parameter>) => void): void {
    for (const [name, parameter] of this) call(parameter, name, this);
  }
}
