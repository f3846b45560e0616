/** The right side of an assignment prepared once for all instances: constants made, references in order of evaluation. */
import { encodeMapText } from "../map-text.ts";
import type { Assignment, PairPart, Part, Reference, RightSide } from "../link/object-class.ts";
import type { ReferenceSyntax, ValueSyntax } from "../parse/syntax.ts";
import { ELEMENT_SIZE, makeValue, MapBuilder, type Value } from "../value.ts";

/** The prepared right side; `assignment` belongs to a program without errors. */
export function compileRightSide(assignment: Assignment): RightSide {
  assignment.compiled ??= compile(assignment);
  return assignment.compiled;
}

function compile({ syntax }: Assignment): RightSide {
  const [first] = syntax.values;
  if (syntax.values.length === 1 && first?.kind === "string") return compileString(first.text);
  const references: Reference[] = [];
  const parts = syntax.values.map((value) => compilePart(value, references));
  if (references.length > 0) return { constant: undefined, parts, references };
  const elements = parts.flatMap((part) => (part.kind === "constant" ? [part.text] : []));
  return { constant: makeValue(elements, true), parts, references };
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
function compilePart(value: ValueSyntax, references: Reference[]): Part {
  if (value.kind === "string") return { kind: "constant", text: value.text };
  if (value.kind === "reference") {
    const reference = compileReference(value);
    references.push(reference);
    return { kind: "reference", reference };
  }
  const before = references.length;
  const pairs = value.pairs.map(({ key, value: inner }): PairPart => {
    const part = compilePart(inner, references);
    return {
      key: encodeMapText(key.text),
      part: part.kind === "constant" ? { kind: "constant", text: encodeMapText(part.text) } : part,
    };
  });
  if (references.length > before) return { kind: "map", pairs, syntax: value };
  return { kind: "constant", text: constantMap(pairs) };
}

function constantMap(pairs: readonly PairPart[]): string {
  const builder = new MapBuilder();
  for (const { key, part } of pairs) if (part.kind === "constant") builder.addEncoded(key, part.text);
  const text = builder.build();
  return typeof text === "string" ? text : "";
}

function compileReference(syntax: ReferenceSyntax): Reference {
  return { syntax, layout: undefined, members: undefined, components: [], position: -1 };
}
