/** What a reference leads to: the component, the parameter's place in it, and what its value is where it is referred to. */
import { resolvePath, type ObjectClass, type Reference, type Slot } from "../link/object-class.ts";
import { BROKEN, makeValue, OWN_NAME, UNKNOWN_SELF, type Value } from "../value.ts";
import type { Instance } from "./instance.ts";

/** In place of the value of a parameter that is being evaluated: meeting it again is a circle. */
export const OPEN: Value = { elements: [], size: 0, isShared: true, json: undefined };

/** The component whose parameter a reference means; `reference.position` is the parameter's place in it from then on. */
export function followReference(reference: Reference, scope: Instance): Instance {
  const { layout, members } = scope.type;
  if (reference.layout !== layout || reference.members !== members) lookUpIn(reference, scope.type);
  let target = scope;
  for (const position of reference.components) target = target.instances[position] ?? target;
  return target;
}

function lookUpIn(reference: Reference, scope: ObjectClass): void {
  const { names } = reference.syntax;
  const found = resolvePath(scope, names);
  const components: number[] = [];
  let owner = scope;
  for (const name of names.slice(0, found.kind === "parameter" ? found.components : 0)) {
    const position = owner.members.index.get(name) ?? 0;
    components.push(position);
    owner = owner.members.list[position]?.class ?? owner;
  }
  reference.layout = scope.layout;
  reference.members = scope.members;
  reference.components = components;
  reference.position = found.kind === "parameter" ? (owner.layout.index.get(found.name) ?? -1) : -1;
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
