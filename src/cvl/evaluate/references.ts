/** What a reference leads to: the component, the parameter's place in it, and what its value is where it is referred to. */
import type { Reference, Slot } from "../link/object-class.ts";
import { BROKEN, makeValue, OWN_NAME, UNKNOWN_SELF, type Value } from "../value.ts";
import type { Instance } from "./instance.ts";

/** In place of the value of a parameter that is being evaluated: meeting it again is a circle. */
export const OPEN: Value = { elements: [], size: 0, isShared: true, json: undefined };

export function followComponents(reference: Reference, scope: Instance): Instance {
  let target = scope;
  for (const position of reference.components) target = target.instances[position] ?? target;
  return target;
}

export function positionIn(reference: Reference, target: Instance): number {
  const { layout } = target.type;
  if (reference.layout !== layout) {
    reference.layout = layout;
    reference.position = layout.index.get(reference.name) ?? -1;
  }
  return reference.position;
}

/** What a reference to a parameter gives: a required one without a value is `unset`, any other splices nothing. */
export function asReferred(value: Value, target: Instance, slot: Slot): Value {
  if (value === UNKNOWN_SELF || value === OWN_NAME) return explicit(value, target, slot);
  if (value.elements.length > 0 || !slot.required || value === BROKEN) return value;
  return makeValue([{ kind: "unset", waitsFor: [target.pathOf(slot)] }]);
}

/** An address the utility assigns, or a component's own name, as an element that says so by its full path. */
export function explicit(value: Value, instance: Instance, slot: Slot): Value {
  return makeValue(
    value === OWN_NAME ? [instance.name] : [{ kind: "unknown", waitsFor: [instance.pathOf(slot)] }],
  );
}

/** Marks a value that is now that of several parameters, so that nobody appends to its list. */
export function shared(value: Value): Value {
  return value.isShared
    ? value
    : { elements: value.elements, size: value.size, isShared: true, json: undefined };
}
