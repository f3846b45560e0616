/** Values that can be told at a glance, without a frame on the evaluator's stack. */
import type { Part, Reference, RightSide } from "../link/object-class.ts";
import type { Element } from "../tree.ts";
import { BROKEN, elementSize, type Value } from "../value.ts";
import type { Instance } from "./instance.ts";
import { asReferred, followReference, OPEN, shared } from "./references.ts";

/** Far below what a value may have. */
const MAX_GLANCE_SIZE = 4096;

/** The value of a right side that needs no other to be evaluated: constants, and references to what is known. */
export function knownValue({ constant, parts }: RightSide, scope: Instance): Value | undefined {
  if (constant !== undefined) return constant;
  const [first] = parts;
  if (first?.kind === "reference" && parts.length === 1) {
    const value = knownReference(first.reference, scope);
    return value === undefined ? undefined : shared(value);
  }
  return knownList(parts, scope);
}

/** A list too large to be known at a glance is left to the frame that reports it. */
function knownList(parts: readonly Part[], scope: Instance): Value | undefined {
  const elements: Element[] = [];
  let size = 0;
  for (const part of parts) {
    if (part.kind === "map") return undefined;
    const value = part.kind === "constant" ? undefined : knownReference(part.reference, scope);
    if (part.kind === "constant") {
      elements.push(part.text);
      size += elementSize(part.text);
    } else if (value === undefined || size + value.size > MAX_GLANCE_SIZE) {
      return undefined;
    } else {
      for (const element of value.elements) elements.push(element);
      size += value.size;
    }
  }
  return size > MAX_GLANCE_SIZE ? undefined : { elements, size, isShared: false, json: undefined };
}

function knownReference(reference: Reference, scope: Instance): Value | undefined {
  const target = followReference(reference, scope);
  const { position } = reference;
  const value = target.values[position];
  const slot = target.shape.layout.slots[position];
  if (value === undefined || slot === undefined || value === OPEN || value === BROKEN) return undefined;
  return asReferred(value, target, slot);
}
