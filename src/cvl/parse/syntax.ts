/** The syntax tree of one file: what is written, with offsets; nothing is bound or checked. Offsets are half-open. */
import type { Comment } from "./lexer.ts";

export interface SyntaxRange {
  readonly start: number;
  readonly end: number;
}

export interface SyntaxFile {
  /** The name diagnostics show. */
  readonly displayName: string;
  readonly text: string;
  readonly imports: readonly ImportSyntax[];
  /** Assignments outside of objects: only `CVL` may be assigned there. */
  readonly assignments: readonly AssignmentSyntax[];
  readonly objects: readonly ObjectSyntax[];
  readonly comments: readonly Comment[];
}

export interface NameSyntax extends SyntaxRange {
  readonly text: string;
}

/** `d.ethernet0.ip`; at least one name. */
export interface PathSyntax extends SyntaxRange {
  readonly names: readonly string[];
}

/** `import { url => …, cvl => …, version => "3" } Name;` */
export interface ImportSyntax extends SyntaxRange {
  readonly map: MapSyntax;
  readonly name: NameSyntax;
}

/** `Name extends Base { … }` */
export interface ObjectSyntax extends SyntaxRange {
  readonly name: NameSyntax;
  /** Undefined: not written, which only predefined objects may. */
  readonly base: NameSyntax | undefined;
  readonly statements: readonly StatementSyntax[];
  /** Part of it could not be read: what it lacks may have been there. */
  readonly isDamaged: boolean;
}

export type StatementSyntax = VariableSyntax | ComponentSyntax | AssignmentSyntax;

/** `var "required" "sensitive" a, b;` */
export interface VariableSyntax extends SyntaxRange {
  readonly kind: "variable";
  readonly attributes: readonly StringSyntax[];
  readonly names: readonly NameSyntax[];
}

/** `DNS d, e;` */
export interface ComponentSyntax extends SyntaxRange {
  readonly kind: "component";
  /** One name; the grammar's dotted one names no class. */
  readonly class: PathSyntax;
  readonly names: readonly NameSyntax[];
}

/** `d.domain = domain, "x";` */
export interface AssignmentSyntax extends SyntaxRange {
  readonly kind: "assignment";
  readonly target: PathSyntax;
  readonly values: readonly ValueSyntax[];
}

export type ValueSyntax = StringSyntax | ReferenceSyntax | MapSyntax;

export interface StringSyntax extends SyntaxRange {
  readonly kind: "string";
  /** Decoded. */
  readonly text: string;
}

export interface ReferenceSyntax extends SyntaxRange {
  readonly kind: "reference";
  readonly names: readonly string[];
}

export interface MapSyntax extends SyntaxRange {
  readonly kind: "map";
  readonly pairs: readonly PairSyntax[];
}

/** `key => value`, the key quoted or not. */
export interface PairSyntax extends SyntaxRange {
  readonly key: NameSyntax;
  readonly value: ValueSyntax;
}
