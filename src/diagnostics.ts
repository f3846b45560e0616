/**
 * A user's mistake in CVL, YAML, an inventory, a URL, a version or a push: collected, never thrown one at a time.
 * Stages hold offsets only; line, column and caret are added here, at the edge.
 */

/** The closed union of diagnostic codes, grouped by the layer that reports them. */
export type DiagnosticCode =
  // cvl: text
  | "CVL_ENCODING"
  | "CVL_CHARACTER"
  | "CVL_UNTERMINATED"
  | "CVL_ESCAPE"
  | "CVL_SYNTAX"
  | "CVL_FORMAT"
  // cvl: file
  | "CVL_FILE_ASSIGNMENT"
  | "CVL_VERSION"
  | "CVL_ROOT_OBJECT"
  // cvl: imports
  | "CVL_IMPORT_MAP"
  | "CVL_IMPORT_VERSION"
  | "CVL_IMPORT_REFUSED"
  | "CVL_IMPORT_INSECURE"
  | "CVL_IMPORT_OBJECT"
  | "CVL_IMPORT_CYCLE"
  | "CVL_IMPORT_UNUSED"
  // cvl: objects
  | "CVL_DUPLICATE_NAME"
  | "CVL_RESERVED_NAME"
  | "CVL_UNKNOWN_CLASS"
  | "CVL_BASE"
  | "CVL_INHERITANCE_CYCLE"
  | "CVL_COMPONENT_KIND"
  | "CVL_REDECLARATION"
  | "CVL_CONTAINS_ITSELF"
  | "CVL_UNKNOWN_ATTRIBUTE"
  | "CVL_UNKNOWN_PARAMETER"
  | "CVL_UNKNOWN_COMPONENT"
  | "CVL_NOT_A_PARAMETER"
  | "CVL_DUPLICATE_KEY"
  // cvl: values
  | "CVL_MAP_VALUE"
  | "CVL_VALUE_CYCLE"
  | "CVL_UTILITY_VALUE"
  // cvl: limits
  | "CVL_LIMIT"
  | "CVL_TOO_MANY_ERRORS"
  // repository
  | "BUMP_RULES_INVALID"
  | "FILE_REFUSED"
  | "IMPORT_FILE_MISSING"
  | "IMPORT_FILE_REFUSED"
  | "IMPORT_FILE_TOO_LARGE"
  | "IMPORT_TAG_MOVED"
  | "IMPORT_UNREACHABLE"
  | "IMPORT_URL_INSECURE"
  | "IMPORT_URL_REFUSED"
  | "IMPORT_VERSION_GAP"
  | "IMPORT_VERSION_MISSING"
  | "IMPORT_WITHDRAWN"
  | "LOCK_INVALID"
  | "VM_DESCRIPTION_INVALID"
  | "VM_DESCRIPTION_MISSING"
  | "VM_DISK_MISSING"
  | "WITHDRAWN_INVALID"
  // a version that is published
  | "VERSION_DISK_IMAGE"
  | "VERSION_GAP"
  | "VERSION_MOVED"
  | "VERSION_OBJECT_MISSING"
  | "VERSION_PACK_MISSING"
  | "VERSION_WITHOUT_COMMIT"
  | "VERSION_WITHOUT_CVL"
  // a commit or a push that a hook looks at
  | "BRANCH_REWOUND"
  | "COMMIT_PARTIAL"
  | "PUSH_NOT_CHECKED"
  | "PUSH_TOO_LARGE"
  // network
  | "NETWORK_ADDRESS_SYNTAX"
  | "NETWORK_CPUS_OUT_OF_BOUNDS"
  | "NETWORK_DATA_DISK_SIZE"
  | "NETWORK_DATA_DISK_SYNTAX"
  | "NETWORK_DATA_DISK_TWICE"
  | "NETWORK_DATA_DISK_UNKNOWN_DEVICE"
  | "NETWORK_DEFAULTROUTE_ELSEWHERE"
  | "NETWORK_DEFAULTROUTE_LIST"
  | "NETWORK_DEPENDENCY_CYCLE"
  | "NETWORK_EMPTY"
  | "NETWORK_INTERFACE_EXPORTED_TWICE"
  | "NETWORK_INTERFACE_ON_TWO_SEGMENTS"
  | "NETWORK_INTERFACE_UNATTACHED"
  | "NETWORK_IP_OUTSIDE_SUBNET"
  | "NETWORK_IP_TWICE"
  | "NETWORK_LIMIT"
  | "NETWORK_MAC_TWICE"
  | "NETWORK_MEMORY_OUT_OF_BOUNDS"
  | "NETWORK_NESTED_UNSUPPORTED"
  | "NETWORK_NEVER_ASSIGNED"
  | "NETWORK_PARAMETER_MISSING"
  | "NETWORK_PROGRAM_DISK_WITHOUT_SOURCE"
  | "NETWORK_REQUIREMENT_UNPROVIDED"
  | "NETWORK_SUBNET_DIFFERS"
  | "NETWORK_SUBNETS_OVERLAP"
  | "NETWORK_VALUE_NOT_KNOWN"
  | "NETWORK_VANIF_LIST"
  | "NETWORK_VANIF_NO_INTERFACE"
  | "NETWORK_VM_UNRESOLVED"
  // plan
  | "PLAN_BLACKLISTED"
  | "PLAN_DATA_DISK_AMBIGUOUS"
  | "PLAN_DATA_DISK_MISSING"
  | "PLAN_DATA_DISK_SHRINKS"
  | "PLAN_NEEDS_OTHERS"
  | "PLAN_TOO_LARGE"
  // utility
  | "INVENTORY_SYNTAX"
  | "INVENTORY_INVALID"
  | "INVENTORY_UNSUPPORTED";

export type Severity = "error" | "warning";

/** Half-open range of UTF-16 offsets into the text of `file`. */
export interface Span {
  /** The name shown to the user: a path relative to the working folder, or `url@v3:DNS.cvl`. */
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  /** What was expected, what came; one sentence without a full stop. */
  readonly message: string;
  readonly span: Span | undefined;
  readonly hint?: string;
  readonly related?: readonly { readonly message: string; readonly span: Span }[];
}

export interface DiagnosticDetails {
  /** A function where it takes time to find. */
  readonly hint?: string | (() => string | undefined) | undefined;
  readonly related?: Diagnostic["related"] | undefined;
  /** Default: error. */
  readonly severity?: Severity | undefined;
}

/** One diagnostic; absent details leave no keys behind. */
export function makeDiagnostic(
  code: DiagnosticCode,
  message: string,
  span: Span | undefined,
  { hint, related, severity = "error" }: DiagnosticDetails = {},
): Diagnostic {
  const found = typeof hint === "function" ? hint() : hint;
  return {
    code,
    severity,
    message,
    span,
    ...(found === undefined ? {} : { hint: found }),
    ...(related === undefined || related.length === 0 ? {} : { related }),
  };
}

/** Whether one of them is no mere warning. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === "error");
}

/** The text of a file a span points into, by the span's `file`; undefined when it is not at hand. */
export type TextOf = (file: string) => string | undefined;

export interface LineAndColumn {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 units. */
  readonly column: number;
}

/** Where `offset` lies in `text`; offsets past the end mean the end. */
export function lineAndColumn(text: string, offset: number): LineAndColumn {
  const end = Math.max(0, Math.min(offset, text.length));
  const lineStart = end === 0 ? 0 : text.lastIndexOf("\n", end - 1) + 1;
  const block = Math.floor(end / BLOCK_CHARACTERS);
  const before = block === 0 ? 0 : (countByBlock(text)[block] ?? 0);
  return {
    line: before + countLineEnds(text, block * BLOCK_CHARACTERS, end) + 1,
    column: end - lineStart + 1,
  };
}

const BLOCK_CHARACTERS = 64 * 1024;
const MAX_COUNTED_TEXTS = 4;

/** Line ends before each block of the texts asked for last: many mistakes in one large text are the rule. */
const countedTexts: { readonly text: string; readonly counts: readonly number[] }[] = [];

function countByBlock(text: string): readonly number[] {
  const known = countedTexts.find((entry) => entry.text === text);
  if (known !== undefined) return known.counts;
  const counts: number[] = [];
  let count = 0;
  for (let start = 0; start <= text.length; start += BLOCK_CHARACTERS) {
    counts.push(count);
    count += countLineEnds(text, start, Math.min(start + BLOCK_CHARACTERS, text.length));
  }
  countedTexts.unshift({ text, counts });
  countedTexts.length = Math.min(countedTexts.length, MAX_COUNTED_TEXTS);
  return counts;
}

function countLineEnds(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", start); at !== -1 && at < end; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** A diagnostic as a program reads it, its place as a person counts it. */
export interface PlacedDiagnostic extends Partial<LineAndColumn> {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  readonly message: string;
  readonly file?: string;
  readonly hint?: string;
  readonly related?: readonly ({
    readonly message: string;
    readonly file: string;
  } & Partial<LineAndColumn>)[];
}

export function placeDiagnostic(diagnostic: Diagnostic, textOf: TextOf): PlacedDiagnostic {
  const { code, severity, message, span, hint, related } = diagnostic;
  const placed = (where: Span) => {
    const text = textOf(where.file);
    return { file: where.file, ...(text === undefined ? {} : lineAndColumn(text, where.start)) };
  };
  return {
    code,
    severity,
    message,
    ...(span === undefined ? {} : placed(span)),
    ...(hint === undefined ? {} : { hint }),
    ...(related === undefined
      ? {}
      : { related: related.map((entry) => ({ message: entry.message, ...placed(entry.span) })) }),
  };
}

/** A diagnostic as a person reads it: `file:line:column: error CODE: message`, the source line, a caret, the hint. */
export function renderDiagnostic(diagnostic: Diagnostic, textOf: TextOf): string {
  const head = `${diagnostic.severity} ${diagnostic.code}: ${diagnostic.message}`;
  const lines = [diagnostic.span === undefined ? head : `${renderPlace(diagnostic.span, textOf)}: ${head}`];
  if (diagnostic.span !== undefined) lines.push(...renderExcerpt(diagnostic.span, textOf));
  for (const { message, span } of diagnostic.related ?? []) {
    lines.push(`  ${renderPlace(span, textOf)}: ${message}`);
  }
  if (diagnostic.hint !== undefined) lines.push(`  hint: ${diagnostic.hint}`);
  return lines.join("\n");
}

function renderPlace(span: Span, textOf: TextOf): string {
  const text = textOf(span.file);
  if (text === undefined) return span.file;
  const { line, column } = lineAndColumn(text, span.start);
  return `${span.file}:${line}:${column}`;
}

const EXCERPT_WIDTH = 120;

/** The source line with a caret below; a long line is cut around the place, control characters are made visible. */
function renderExcerpt(span: Span, textOf: TextOf): string[] {
  const text = textOf(span.file);
  if (text === undefined) return [];
  const start = Math.min(span.start, text.length);
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const newline = text.indexOf("\n", start);
  const lineEnd = newline === -1 ? text.length : newline;
  const from = Math.max(lineStart, start - EXCERPT_WIDTH / 2);
  const to = Math.min(lineEnd, from + EXCERPT_WIDTH);
  const before = visible(text.slice(from, start));
  const marked = visible(text.slice(start, Math.max(start, Math.min(span.end, to))));
  return [
    `    ${before}${visible(text.slice(start, to))}`,
    `    ${" ".repeat(before.length)}${"^".repeat(Math.max(1, marked.length))}`,
  ];
}

/** Terminal control sequences in a stranger's file must not reach the terminal. */
export function visible(text: string): string {
  return text
    .replaceAll("\t", " ")
    .replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\u{FFFD}");
}
