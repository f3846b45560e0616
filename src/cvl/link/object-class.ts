/** Objects as linked: bases, parameters, components and assignments bound to each other. Built by `bind`, then only read. */
import type { SourceFile } from "../source.ts";
import type { AssignmentSyntax, ReferenceSyntax, StatementSyntax } from "../parse/syntax.ts";
import type { Place } from "../tree.ts";
import type { Value } from "../value.ts";

/** `appliance` is the predefined Appliance, of which nothing may be made directly; `unknown` an object whose base is. */
export type ClassKind = "interface" | "appliance" | "machine" | "network" | "unknown";

export interface ObjectClass {
  readonly name: string;
  readonly file: SourceFile;
  readonly declared: Place;
  readonly kind: ClassKind;
  readonly base: ObjectClass | undefined;
  /** Itself, its base, the base's base …, the predefined ones included. */
  readonly chain: readonly ObjectClass[];
  /** Names of the chain without the predefined objects. */
  readonly ancestors: readonly string[];
  readonly layout: Layout;
  readonly members: Members;
  /** Its own body. */
  readonly statements: readonly StatementSyntax[];
  /** What is assigned, of the bodies of the chain that assign anything, most derived first. */
  readonly targets: readonly TargetNode[];
  /** Something of it could not be read or found: unknown names are no surprise. */
  readonly isOpen: boolean;
}

/** The parameters of an object, a machine's interface parameters among them as `ethernet0.ip`. A base's come first. */
export interface Layout {
  readonly slots: readonly Slot[];
  /** Position in `slots` by name. */
  readonly index: ReadonlyMap<string, number>;
  /** Names of a machine's interfaces in order of declaration. */
  readonly interfaces: readonly string[];
}

export interface Slot {
  readonly name: string;
  readonly required: boolean;
  readonly sensitive: boolean;
  readonly assignable: boolean;
  readonly declared: Place;
}

/** The components of a network. A base's come first; a redeclared one keeps its position. */
export interface Members {
  readonly list: readonly Member[];
  /** Position in `list` by name. */
  readonly index: ReadonlyMap<string, number>;
}

export interface Member {
  readonly name: string;
  readonly class: ObjectClass;
  readonly declared: Place;
}

/** An assignment of a class body; references in it are relative to an instance of `scope`. */
export interface Assignment {
  readonly syntax: AssignmentSyntax;
  readonly file: SourceFile;
  readonly scope: ObjectClass;
  /** Of the parameter: `domain`, `ethernet0.ip`. */
  readonly name: string;
  /** The assignment to the same parameter before it in the same body. */
  readonly hidden: Assignment | undefined;
  /** Its right side prepared for evaluation; filled in at the first use, the same for every program. */
  compiled: RightSide | undefined;
}

/** The right side of an assignment, prepared once for all instances. */
export interface RightSide {
  /** The whole value, when nothing in it refers to anything and it is not too large. */
  readonly constant: Value | undefined;
  readonly parts: readonly Part[];
  /** Every reference in the parts, maps included, in the order they are written. */
  readonly references: readonly Reference[];
}

export type Part =
  | { readonly kind: "constant"; readonly text: string }
  | { readonly kind: "reference"; readonly reference: Reference }
  | { readonly kind: "map"; readonly pairs: readonly PairPart[] };

export interface PairPart {
  /** Encoded. */
  readonly key: string;
  /** A constant is encoded already. */
  readonly part: Part;
}

/**
 * A reference relative to an instance of the class that wrote it, or of one that derives from it. Where it leads is looked up
 * by name in the class of each such instance: what a derived network declares again may have its components in another order.
 */
export interface Reference {
  readonly syntax: ReferenceSyntax;
  /** Of the class it was looked up in last: most instances that refer to something are of one class. */
  layout: Layout | undefined;
  members: Members | undefined;
  /** Positions in `Members.list`, from one network to the next. */
  components: readonly number[];
  /** The parameter's, in the layout of the last of them; -1 when it has none. */
  position: number;
}

/** What one class body assigns: to parameters of the object itself, and to those of its components, by name. */
export interface TargetNode {
  /** The last assignment of the body to each parameter. */
  readonly parameters: ReadonlyMap<string, Assignment>;
  /** Undefined: to no component's. */
  readonly components: ReadonlyMap<string, TargetNode> | undefined;
  /** Some of `parameters` are an interface's: `ethernet0.ip`. */
  readonly hasInterfaces: boolean;
}

/** Whether a machine of this layout has an interface of that name: no other parameter has a dot in its name. */
export function hasInterface({ index }: Layout, name: string): boolean {
  return index.has(`${name}.mac`);
}

/** Same object of the same file of the same repository, at any version. */
export function isSameObject(left: ObjectClass, right: ObjectClass): boolean {
  return (
    left === right ||
    (left.name === right.name &&
      left.file.file === right.file.file &&
      left.file.source.url === right.file.source.url)
  );
}

/** Where a path of names leads from an instance of a class. */
export type Resolution =
  | {
      readonly kind: "parameter";
      readonly components: number;
      readonly name: string;
      readonly owner: ObjectClass;
    }
  /** The path ends at a component or an interface. */
  | { readonly kind: "component"; readonly owner: ObjectClass }
  /** `names[at]` is not declared in `owner`. */
  | { readonly kind: "nothing"; readonly at: number; readonly owner: ObjectClass };

/** Follows `names` through components to a parameter; `components` counts the names before the parameter's. */
export function resolvePath(start: ObjectClass, names: readonly string[]): Resolution {
  let owner = start;
  let at = 0;
  while (owner.kind === "network" && at < names.length - 1) {
    const position = owner.members.index.get(names[at] ?? "");
    const member = position === undefined ? undefined : owner.members.list[position];
    if (member === undefined) return { kind: "nothing", at, owner };
    owner = member.class;
    at += 1;
  }
  const name = parameterName(names, at);
  if (owner.layout.index.has(name)) return { kind: "parameter", components: at, name, owner };
  const last = names[at] ?? "";
  if (at === names.length - 1 && (owner.members.index.has(last) || hasInterface(owner.layout, last))) {
    return { kind: "component", owner };
  }
  const isInInterface = names.length === at + 2 && hasInterface(owner.layout, last);
  return { kind: "nothing", at: isInInterface ? at + 1 : at, owner };
}

/** The names from `from` on as one parameter name: `ethernet0.ip` of a machine. */
function parameterName(names: readonly string[], from: number): string {
  return names.length === from + 1 ? (names[from] ?? "") : names.slice(from).join(".");
}
