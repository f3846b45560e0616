/** Evaluates parameters on demand, with a stack of its own. */
import type { Candidate, Instance } from "./instance.ts";
import { MAX_DIAGNOSTICS, MAX_TOTAL_VALUE_SIZE, MAX_VALUE_SIZE, MAX_WORK } from "../limits.ts";
import type { PairPart, Part, Reference, RightSide, Slot } from "../link/object-class.ts";
import { PREDEFINED_FILE } from "../link/predefined.ts";
import { quote, type Reporter } from "../report.ts";
import { knownValue } from "./known-value.ts";
import { asReferred, explicit, followReference, OPEN, shared } from "./references.ts";
import { compileRightSide } from "./right-side.ts";
import { spanOf } from "../link/scope.ts";
import { LOOKUP, type Work } from "./work.ts";
import type { Element, EvaluateOptions } from "../tree.ts";
import {
  BROKEN,
  ELEMENT_SIZE,
  elementSize,
  EMPTY,
  makeSensitive,
  makeValue,
  MapBuilder,
  OWN_NAME,
  UNKNOWN_SELF,
  type Value,
} from "../value.ts";

/** One parameter being evaluated by one assignment: the one that wins, or one that another hides and refers to. */
interface Frame {
  readonly instance: Instance;
  readonly position: number;
  readonly slot: Slot;
  /** Undefined: there is no (other) assignment. */
  readonly candidate: Candidate | undefined;
  readonly isHidden: boolean;
  readonly rightSide: RightSide;
  /** The values of the references seen so far. */
  readonly results: Value[];
  /** What the parameter would be without this assignment, once it is known. */
  hidden: Value | undefined;
  /** Nobody else has the list in `hidden`. */
  ownsHidden: boolean;
  hiddenUses: number;
}

export class ParameterEvaluator {
  /** Size of all values so far. */
  totalSize = 0;
  private readonly stack: Frame[] = [];
  private readonly options: EvaluateOptions;
  private readonly reporter: Reporter;
  private readonly work: Work;
  private cursor = 0;
  private circles = 0;

  constructor(options: EvaluateOptions, reporter: Reporter, work: Work) {
    this.options = options;
    this.reporter = reporter;
    this.work = work;
  }

  /** Which limit was reached, so that nothing more is evaluated. */
  get limitReached(): string | undefined {
    if (this.totalSize > MAX_TOTAL_VALUE_SIZE)
      return `the values of all parameters may have at most ${MAX_TOTAL_VALUE_SIZE} characters`;
    if (this.work.isExhausted)
      return `the values of all parameters, with all that are made on the way to them, may have at most ${MAX_WORK} characters`;
    return undefined;
  }

  private get isExhausted(): boolean {
    return this.totalSize > MAX_TOTAL_VALUE_SIZE || this.work.isExhausted;
  }

  /** Evaluates every parameter of `instance`, and of others what they are made from. */
  evaluateInstance(instance: Instance): void {
    const { values, shape } = instance;
    const { slots } = shape.layout;
    this.totalSize += shape.size + shape.paths * (instance.path.length + 2 * ELEMENT_SIZE);
    for (const position of shape.pending) {
      const slot = slots[position];
      if (slot === undefined || this.isExhausted) return;
      if (values[position] === undefined) this.evaluate(instance, position, slot);
    }
  }

  private evaluate(instance: Instance, position: number, slot: Slot): void {
    this.enter(instance, position, slot);
    for (let frame = this.stack.at(-1); frame !== undefined; frame = this.stack.at(-1)) {
      if (this.isExhausted) return;
      if (this.collect(frame)) this.leave(frame);
    }
  }

  /** Gives constants, and what only refers to a known value, their value at once; anything else becomes a frame. */
  private enter(instance: Instance, position: number, slot: Slot): void {
    const { candidate, rightSide } = this.find(instance, slot);
    const known = slot.sensitive ? undefined : knownValue(rightSide, candidate?.scope ?? instance);
    if (known !== undefined && known.elements.length > 0) {
      this.work.spend(known.size);
      this.store(instance, position, known);
    } else {
      instance.values[position] = OPEN;
      this.push({ instance, position, slot, candidate, isHidden: false, rightSide });
    }
  }

  /** The assignment that decides a parameter, or the one that would without `after`, ready to be evaluated. */
  private find(instance: Instance, slot: Slot, after?: Candidate): Pick<Frame, "candidate" | "rightSide"> {
    const candidate = instance.candidate(slot.name, after);
    this.work.spend((candidate?.body ?? instance.overlays.length + instance.type.targets.length) * LOOKUP);
    const rightSide = candidate === undefined ? NOTHING : compileRightSide(candidate.assignment, this.work);
    return { candidate, rightSide };
  }

  private push(
    start: Pick<Frame, "instance" | "position" | "slot" | "candidate" | "isHidden" | "rightSide">,
  ): void {
    const { instance, position, slot, candidate, isHidden, rightSide } = start;
    this.stack.push({
      instance,
      position,
      slot,
      candidate,
      isHidden,
      rightSide,
      results: [],
      hidden: undefined,
      ownsHidden: false,
      hiddenUses: 0,
    });
  }

  /** Gathers the values of the references; false when one must be evaluated first, which is then on the stack. */
  private collect(frame: Frame): boolean {
    const { references } = frame.rightSide;
    while (frame.results.length < references.length) {
      const reference = references[frame.results.length];
      if (reference === undefined) return true;
      const value = this.lookUp(reference, frame);
      if (value === undefined) return false;
      frame.results.push(value);
    }
    return true;
  }

  private lookUp(reference: Reference, frame: Frame): Value | undefined {
    const { candidate } = frame;
    if (candidate === undefined) return EMPTY;
    this.work.spend(ELEMENT_SIZE);
    const target = followReference(reference, candidate.scope);
    const { position } = reference;
    if (target === frame.instance && position === frame.position) return this.lookUpHidden(frame, candidate);
    const slot = target.type.layout.slots[position];
    if (slot === undefined) return EMPTY;
    if (target.values[position] === undefined) {
      const depth = this.stack.length;
      this.enter(target, position, slot);
      if (this.stack.length > depth) return undefined;
    }
    const value = target.values[position] ?? EMPTY;
    if (value === OPEN) {
      this.reportCircle(target, position, reference, frame);
      return BROKEN;
    }
    return asReferred(value, target, slot);
  }

  private lookUpHidden(frame: Frame, winner: Candidate): Value | undefined {
    if (frame.hidden !== undefined) {
      frame.hiddenUses += 1;
      return frame.hidden;
    }
    const { instance, position, slot } = frame;
    const { candidate, rightSide } = this.find(instance, slot, winner);
    this.push({ instance, position, slot, candidate, isHidden: true, rightSide });
    return undefined;
  }

  private leave(frame: Frame): void {
    this.stack.pop();
    const { instance, position, slot } = frame;
    const made = this.make(frame);
    const isEmpty = made.elements.length === 0 && made !== BROKEN;
    const value = isEmpty ? this.fallBack(instance, slot) : made;
    if (frame.isHidden) {
      const parent = this.stack.at(-1);
      if (parent === undefined) return;
      parent.hidden = value === OWN_NAME || value === UNKNOWN_SELF ? explicit(value, instance, slot) : value;
      parent.ownsHidden = !isEmpty && !made.isShared;
      return;
    }
    if (isEmpty && frame.candidate !== undefined) (instance.defaulted ??= new Set()).add(position);
    if (slot.sensitive) this.work.spend(value.size);
    this.store(instance, position, slot.sensitive ? hide(value, instance.pathOf(slot)) : value);
  }

  private store(instance: Instance, position: number, value: Value): void {
    instance.values[position] = value;
    this.totalSize +=
      value === UNKNOWN_SELF || value === OWN_NAME ? instance.path.length + 2 * ELEMENT_SIZE : value.size;
  }

  /** The value of a parameter that no assignment gives one. */
  private fallBack(instance: Instance, slot: Slot): Value {
    if (slot.assignable) {
      const assigned = this.options.assigned?.get(instance.pathOf(slot));
      return assigned === undefined ? UNKNOWN_SELF : makeValue(assigned);
    }
    if (slot.sensitive) {
      const path = instance.pathOf(slot);
      const supplied = this.options.supplied?.get(path);
      return makeValue(supplied ?? [{ kind: "sensitive", from: [path], waitsFor: [path] }]);
    }
    return slot.name === "name" && slot.declared.file === PREDEFINED_FILE ? OWN_NAME : EMPTY;
  }

  /** The list a frame's right side makes of the values of its references. */
  private make(frame: Frame): Value {
    const { rightSide, results } = frame;
    if (rightSide.constant !== undefined) return rightSide.constant;
    if (results.includes(BROKEN)) return BROKEN;
    const [first] = rightSide.parts;
    if (rightSide.parts.length === 1 && first?.kind === "reference") return shared(results[0] ?? EMPTY);
    return this.makeList(frame);
  }

  private makeList(frame: Frame): Value {
    const { rightSide, results } = frame;
    const appends =
      frame.ownsHidden &&
      frame.hiddenUses === 1 &&
      results[0] === frame.hidden &&
      rightSide.parts[0]?.kind === "reference";
    const elements = appends ? ((frame.hidden?.elements ?? []) as Element[]) : [];
    let size = appends ? (frame.hidden?.size ?? 0) : 0;
    const before = size;
    this.cursor = appends ? 1 : 0;
    for (let index = appends ? 1 : 0; index < rightSide.parts.length; index += 1) {
      const part = rightSide.parts[index];
      if (part === undefined) break;
      const added = this.addPart(part, elements, frame);
      if (added === undefined) return BROKEN;
      size += added;
      if (size > MAX_VALUE_SIZE) return this.reportTooLarge(frame);
    }
    this.work.spend(size - before);
    return { elements, size, isShared: false, json: undefined };
  }

  /** Adds one part's elements; the result is their size, undefined when the part is broken. */
  private addPart(part: Part, elements: Element[], frame: Frame): number | undefined {
    if (part.kind === "constant") {
      elements.push(part.text);
      return elementSize(part.text);
    }
    if (part.kind === "reference") {
      const value = frame.results[this.cursor] ?? EMPTY;
      this.cursor += 1;
      // No spread: a long list would not fit into the arguments of a call.
      for (const element of value.elements) elements.push(element);
      return value.size;
    }
    const element = this.makeMap(part.pairs, frame);
    if (element === undefined) return undefined;
    elements.push(element);
    return elementSize(element);
  }

  /** Map nesting is bounded by the lexer. */
  private makeMap(pairs: readonly PairPart[], frame: Frame): Element | undefined {
    const builder = new MapBuilder();
    let isBroken = false;
    for (const { key, part } of pairs) {
      if (part.kind === "constant") {
        builder.addEncoded(key, part.text);
      } else {
        const element =
          part.kind === "map" ? this.makeMap(part.pairs, frame) : this.single(part.reference, frame);
        if (element === undefined) isBroken = true;
        else {
          this.work.spend(elementSize(element));
          builder.add(key, element);
        }
      }
      if (builder.size > MAX_VALUE_SIZE) this.reportTooLarge(frame);
      if (builder.size > MAX_VALUE_SIZE || this.isExhausted) return undefined;
    }
    this.work.spend(builder.size);
    return isBroken ? undefined : builder.build();
  }

  /** The one element of a map's value. */
  private single(reference: Reference, frame: Frame): Element | undefined {
    const { elements } = frame.results[this.cursor] ?? EMPTY;
    this.cursor += 1;
    const [element] = elements;
    if (elements.length === 1) return element;
    const { candidate } = frame;
    if (candidate === undefined) return undefined;
    const path = reference.syntax.names.join(".");
    this.reporter.report(
      "CVL_MAP_VALUE",
      `a map's value is exactly one string, ${quote(path)} has ${elements.length === 0 ? "none" : elements.length}`,
      spanOf(candidate.assignment.file, reference.syntax),
      {
        hint:
          elements.length === 0
            ? 'give it a value, or declare it "required"'
            : "write one map for each of them, or give it one value",
      },
    );
    return undefined;
  }

  private reportTooLarge({ candidate, slot, rightSide }: Frame): Value {
    if (candidate !== undefined) {
      const syntax = rightSide.references[0]?.syntax ?? candidate.assignment.syntax;
      this.reporter.report(
        "CVL_LIMIT",
        `the value of ${quote(slot.name)} is too large: a value may have at most ${MAX_VALUE_SIZE} characters`,
        spanOf(candidate.assignment.file, syntax),
        { hint: "values that are made from themselves again and again grow fast" },
      );
    }
    return BROKEN;
  }

  private reportCircle(target: Instance, position: number, reference: Reference, last: Frame): void {
    this.circles += 1;
    if (this.circles > MAX_DIAGNOSTICS) return;
    const from = this.stack.findIndex((frame) => frame.instance === target && frame.position === position);
    const paths: string[] = [];
    for (const { instance, slot, isHidden } of this.stack.slice(Math.max(0, from))) {
      if (paths.length > MAX_SHOWN) break;
      if (!isHidden) paths.push(instance.pathOf(slot).slice(0, 80));
    }
    const shown = paths.length > MAX_SHOWN ? [...paths.slice(0, MAX_SHOWN), "…"] : paths;
    if (last.candidate === undefined) return;
    this.reporter.report(
      "CVL_VALUE_CYCLE",
      `a value is made from itself: ${[...shown, paths[0] ?? ""].join(" → ")}`,
      spanOf(last.candidate.assignment.file, reference.syntax),
      { hint: "only `p = p, …;` may refer to the parameter it assigns; it appends" },
    );
  }
}

const MAX_SHOWN = 12;
const NOTHING: RightSide = { constant: EMPTY, parts: [], references: [] };

function hide(value: Value, path: string): Value {
  if (value === BROKEN || value.elements.every((element) => isOwnSecret(element, path))) return value;
  return makeValue(value.elements.map((element) => makeSensitive(element, path)));
}

function isOwnSecret(element: Element, path: string): boolean {
  return typeof element !== "string" && element.kind === "sensitive" && element.from.includes(path);
}
