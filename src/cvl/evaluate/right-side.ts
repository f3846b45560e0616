/** The right side of an assignment prepared once for all instances: constants made, references in order of evaluation. */
import { encodeMapText } from "../map-text.ts";
import type { Assignment, PairPart, Part, Reference, RightSide } from "../link/object-class.ts";
import { MAX_VALUE_SIZE } from "../limits.ts";
import type { ReferenceSyntax, ValueSyntax } from "../parse/syntax.ts";
import { ELEMENT_SIZE, makeValue, MapBuilder, type Value } from "../value.ts";
import type { Work } from "./work.ts";

/** The prepared right side; `assignment` belongs to a program without errors. */
export function compileRightSide(assignment: Assignment, work: Work): RightSide {
  assignment.compiled ??= compile(assignment, work);
  return assignment.compiled;
}

function compile({ syntax }: Assignment, work: Work): RightSide {
  const [first] = syntax.values;
  if (syntax.values.length === 1 && first?.kind === "string") return compileString(first.text);
  const references: Reference[] = [];
  const parts = syntax.values.map((value) => compilePart(value, references, work));
  if (references.length > 0 || parts.some(({ kind }) => kind === "map"))
    return { constant: undefined, parts, references };
  const elements = parts.flatMap((part) => (part.kind === "constant" ? [part.text] : []));
  const constant = makeValue(elements, true);
  return { constant: constant.size > MAX_VALUE_SIZE ? undefined : constant, parts, references };
}

/** Most assignments are of one string. */
function compileString(text: string): RightSide {
  const constant: Value = {
    elements: [text],
    size: text.length + ELEMENT_SIZE,
    isShared: true,
    json: undefined,
  };
  return { constant, parts: NO_PARTS, references: NO_REFERENCES };
}

const NO_PARTS: readonly Part[] = [];
const NO_REFERENCES: readonly Reference[] = [];

/** Map nesting is bounded by the lexer. */
function compilePart(value: ValueSyntax, references: Reference[], work: Work): Part {
  if (value.kind === "string") return { kind: "constant", text: value.text };
  if (value.kind === "reference") {
    const reference = compileReference(value);
    references.push(reference);
    return { kind: "reference", reference };
  }
  const pairs = value.pairs.map(({ key, value: inner }): PairPart => {
    const part = compilePart(inner, references, work);
    work.spend(key.text.length + (part.kind === "constant" ? 3 * part.text.length : ELEMENT_SIZE));
    return {
      key: encodeMapText(key.text),
      part: part.kind === "constant" ? { kind: "constant", text: encodeMapText(part.text) } : part,
    };
  });
  const text = work.isExhausted ? undefined : constantMap(pairs);
  return text === undefined ? { kind: "map", pairs } : { kind: "constant", text };
}

/** Undefined when it is made from references, or too large: evaluating it then says so. */
function constantMap(pairs: readonly PairPart[]): string | undefined {
  const builder = new MapBuilder();
  for (const { key, part } of pairs) {
    if (part.kind !== "constant") return undefined;
    builder.addEncoded(key, part.text);
    if (builder.size > MAX_VALUE_SIZE) return undefined;
  }
  const text = builder.build();
  return typeof text === "string" ? text : undefined;
}

function compileReference(syntax: ReferenceSyntax): Reference {
  return { syntax, layout: undefined, members: undefined, components: [], position: -1 };
}
