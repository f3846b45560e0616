/** Assignments of one object to a tree of what they assign; that and what they refer to is declared, map keys are there once. */
import type { Span } from "../../diagnostics.ts";
import { hintNearest } from "../nearest.ts";
import {
  hasInterface,
  resolvePath,
  type Assignment,
  type ObjectClass,
  type Resolution,
  type TargetNode,
} from "./object-class.ts";
import { INTERFACE_PARAMETERS } from "./predefined.ts";
import { quote } from "../report.ts";
import { spanOf, type Scope } from "./scope.ts";
import type { SourceFile } from "../source.ts";
import type { AssignmentSyntax, MapSyntax, ObjectSyntax, SyntaxRange, ValueSyntax } from "../parse/syntax.ts";

interface WritableNode extends TargetNode {
  readonly parameters: Map<string, Assignment>;
  components: Map<string, WritableNode> | undefined;
  hasInterfaces: boolean;
}

/**
 * Binds the assignments of `owner`, and checks those it inherits that go through a component it redeclares. Undefined when
 * its body assigns nothing.
 */
export function bindStatements(
  owner: ObjectClass,
  syntax: ObjectSyntax,
  scope: Scope,
): TargetNode | undefined {
  const root = emptyNode();
  for (const statement of syntax.statements) {
    if (statement.kind === "assignment") bindAssignment(root, statement, owner, scope);
  }
  const redeclared = findRedeclared(owner, syntax);
  if (redeclared.size > 0) checkInherited(owner, redeclared, scope);
  return root.parameters.size === 0 && root.components === undefined ? undefined : root;
}

function bindAssignment(
  root: WritableNode,
  syntax: AssignmentSyntax,
  owner: ObjectClass,
  scope: Scope,
): void {
  const { file } = scope;
  const { names } = syntax.target;
  const target = resolvePath(owner, names);
  if (target.kind === "parameter") {
    let node = root;
    for (let at = 0; at < target.components; at += 1) node = childNode(node, names[at] ?? "");
    const { name } = target;
    const hidden = node.parameters.get(name);
    node.hasInterfaces ||= target.components + 1 < names.length;
    node.parameters.set(name, { syntax, file, scope: owner, name, hidden, compiled: undefined });
  } else {
    reportPath(target, syntax.target, names, { file, scope, isTarget: true });
  }
  for (const value of syntax.values) checkValue(value, owner, scope);
}

function emptyNode(): WritableNode {
  return { parameters: new Map(), components: undefined, hasInterfaces: false };
}

function childNode(node: WritableNode, name: string): WritableNode {
  node.components ??= new Map();
  let child = node.components.get(name);
  if (child === undefined) {
    child = emptyNode();
    node.components.set(name, child);
  }
  return child;
}

interface PathUse {
  /** Of the path. */
  readonly file: SourceFile;
  readonly scope: Scope;
  readonly isTarget: boolean;
  /** The component declaration that makes an inherited path wrong. */
  readonly because?: Span | undefined;
}

/** Map nesting is bounded by the lexer. */
function checkValue(value: ValueSyntax, owner: ObjectClass, scope: Scope): void {
  if (value.kind === "reference")
    checkPath(owner, value, value.names, { file: scope.file, scope, isTarget: false });
  if (value.kind !== "map") return;
  checkKeys(value, scope);
  for (const pair of value.pairs) checkValue(pair.value, owner, scope);
}

function checkKeys(map: MapSyntax, { file, reporter }: Scope): void {
  const keys = new Map<string, SyntaxRange>();
  for (const { key } of map.pairs) {
    const first = keys.get(key.text);
    if (first === undefined) {
      keys.set(key.text, key);
    } else {
      reporter.report("CVL_DUPLICATE_KEY", `the key ${quote(key.text)} is there twice`, spanOf(file, key), {
        hint: "a map has each key once; several values need several maps in a list",
        related: [{ message: "first here", span: spanOf(file, first) }],
      });
    }
  }
}

function checkPath(owner: ObjectClass, range: SyntaxRange, names: readonly string[], use: PathUse): void {
  reportPath(resolvePath(owner, names), range, names, use);
}

function reportPath(found: Resolution, range: SyntaxRange, names: readonly string[], use: PathUse): void {
  if (found.kind === "parameter" || found.owner.isOpen) return;
  const { reporter } = use.scope;
  const span = spanOf(use.file, range);
  const related =
    use.because === undefined ? [] : [{ message: "because of this component", span: use.because }];
  if (found.kind === "component") {
    reporter.report(
      "CVL_NOT_A_PARAMETER",
      `${quote(names.join("."))} is a component, not a parameter`,
      span,
      {
        hint: `name one of its parameters: ${names.join(".").slice(0, 60)}.…`,
        related,
      },
    );
    return;
  }
  reportUndeclared(found, names, { span, related, scope: use.scope, isTarget: use.isTarget });
}

interface UndeclaredUse {
  readonly span: Span;
  readonly related: readonly { readonly message: string; readonly span: Span }[];
  readonly scope: Scope;
  readonly isTarget: boolean;
}

function reportUndeclared(
  { at, owner }: Extract<Resolution, { kind: "nothing" }>,
  names: readonly string[],
  { span, related, scope, isTarget }: UndeclaredUse,
): void {
  const name = names[at] ?? "";
  const isComponent = at < names.length - 1;
  const inside =
    at === 0 ? quote(owner.name) : `${quote(names.slice(0, at).join("."))} (${owner.name.slice(0, 60)})`;
  scope.reporter.report(
    isComponent ? "CVL_UNKNOWN_COMPONENT" : "CVL_UNKNOWN_PARAMETER",
    `${inside} has no ${isComponent ? "component" : "parameter"} ${quote(name)}`,
    span,
    { hint: () => hintUndeclared({ at, owner }, names, isTarget), related },
  );
}

function hintUndeclared(
  { at, owner }: { readonly at: number; readonly owner: ObjectClass },
  names: readonly string[],
  isTarget: boolean,
): string | undefined {
  const name = names[at] ?? "";
  const nearest = hintNearest(name, candidateNames(owner, names, at));
  if (nearest?.startsWith("did") === true) return nearest;
  if (at < names.length - 1) {
    return owner.layout.index.has(name) ? `${quote(name)} is a parameter, which has nothing inside` : nearest;
  }
  if (name === "CVL") return "the language version is assigned outside of objects";
  return isTarget && at === 0 ? `declare it first: var ${name.slice(0, 60)};` : nearest;
}

const MAX_CANDIDATE_SLOTS = 10_000;

function* candidateNames(owner: ObjectClass, names: readonly string[], at: number): Iterable<string> {
  const { members, layout } = owner;
  if (at < names.length - 1) {
    yield* members.index.keys();
    yield* layout.interfaces;
  } else if (owner.kind === "machine" && at > 0 && hasInterface(layout, names[at - 1] ?? "")) {
    yield* INTERFACE_PARAMETERS;
  } else {
    for (const { name } of layout.slots.slice(0, MAX_CANDIDATE_SLOTS)) if (!name.includes(".")) yield name;
  }
}

/** Components this body declares that it also inherits, with where. */
function findRedeclared(owner: ObjectClass, syntax: ObjectSyntax): ReadonlyMap<string, Span> {
  const redeclared = new Map<string, Span>();
  const inherited = owner.base?.members.index;
  if (inherited === undefined || inherited.size === 0) return redeclared;
  for (const statement of syntax.statements) {
    if (statement.kind !== "component") continue;
    for (const name of statement.names) {
      if (inherited.has(name.text)) redeclared.set(name.text, spanOf(owner.file, name));
    }
  }
  return redeclared;
}

/** How many strings, references and maps a list has, those in maps included. */
function countValues(values: readonly ValueSyntax[]): number {
  let count = values.length;
  for (const value of values)
    if (value.kind === "map") count += countValues(value.pairs.map((pair) => pair.value));
  return count;
}

/** Another version of a component may lack what the base assigns or refers to. */
function checkInherited(owner: ObjectClass, redeclared: ReadonlyMap<string, Span>, scope: Scope): void {
  for (const { statements, file } of owner.chain.slice(1)) {
    scope.budget.spend(statements.length);
    for (const statement of statements) {
      if (statement.kind !== "assignment") continue;
      const { target, values } = statement;
      scope.budget.spend(countValues(values));
      const because = redeclared.get(target.names[0] ?? "");
      if (because !== undefined)
        checkPath(owner, target, target.names, { file, scope, isTarget: false, because });
      for (const value of values)
        checkInheritedValue(value, owner, { file, scope, isTarget: false }, redeclared);
    }
  }
}

function checkInheritedValue(
  value: ValueSyntax,
  owner: ObjectClass,
  use: PathUse,
  redeclared: ReadonlyMap<string, Span>,
): void {
  if (value.kind === "map") {
    for (const pair of value.pairs) checkInheritedValue(pair.value, owner, use, redeclared);
  }
  if (value.kind !== "reference") return;
  const because = redeclared.get(value.names[0] ?? "");
  if (because !== undefined) checkPath(owner, value, value.names, { ...use, because });
}
