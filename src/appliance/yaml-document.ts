/** YAML files with a schema: every mistake becomes a diagnostic at its place, none is thrown. */
import { isMap, isNode, isScalar, parseDocument, type Document } from "yaml";
import type * as z from "zod";
import type { Diagnostic, DiagnosticCode, Span } from "../diagnostics.ts";
import { shapeMessage, syntaxMessage } from "../yaml-words.ts";

export interface YamlDocumentOptions<Schema extends z.ZodType> {
  readonly text: string;
  /** The name diagnostics show. */
  readonly file: string;
  /** Of the whole document; `format` is checked before it. */
  readonly schema: Schema;
  /** Reported for every mistake. */
  readonly code: DiagnosticCode;
  /** Format versions that are understood; default 1 alone. */
  readonly formats?: readonly number[];
}

export interface YamlDocumentResult<Value> {
  /** Undefined when diagnostics has errors. */
  readonly value: Value | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** The place of a path in the document, of the nearest parent that is there, for checks a schema cannot make. */
  readonly spanOf: (path: readonly PropertyKey[], at?: "key" | "value") => Span;
}

const MAX_ISSUES = 100;

/** Parses and checks one document. Aliases are refused, and so is an unknown format version. */
export function parseYamlDocument<Schema extends z.ZodType>(
  options: YamlDocumentOptions<Schema>,
): YamlDocumentResult<z.output<Schema>> {
  const { text, file, schema, code } = options;
  const document = parseBounded(text);
  const spanOf = (path: readonly PropertyKey[], at: "key" | "value" = "value") => ({
    file,
    ...rangeOf(document, path, at),
  });
  const report: Report = (message, path, at) => ({
    code,
    severity: "error",
    message,
    span: spanOf(path, at),
  });
  if (document === undefined) {
    return { value: undefined, diagnostics: [report("the file is nested too deeply", [])], spanOf };
  }
  if (document.errors.length > 0) {
    const diagnostics = document.errors.slice(0, MAX_ISSUES).map((error) => ({
      ...report(syntaxMessage(error), []),
      span: { file, start: error.pos[0], end: Math.max(error.pos[1], error.pos[0] + 1) },
    }));
    return { value: undefined, diagnostics, spanOf };
  }
  const plain = toPlain(document);
  if (plain.problem !== undefined)
    return { value: undefined, diagnostics: [report(plain.problem, [])], spanOf };
  const formatProblem = checkFormat(plain.value, options.formats ?? [1]);
  if (formatProblem !== undefined) {
    return { value: undefined, diagnostics: [report(formatProblem, ["format"])], spanOf };
  }
  const parsed = schema.safeParse(plain.value);
  if (parsed.success) return { value: parsed.data, diagnostics: [], spanOf };
  const diagnostics = parsed.error.issues
    .slice(0, MAX_ISSUES)
    .flatMap((issue) => issueDiagnostics(issue, report));
  return { value: undefined, diagnostics, spanOf };
}

type Report = (message: string, path: readonly PropertyKey[], at?: "key" | "value") => Diagnostic;

/** Undefined when the nesting exhausts the stack. */
function parseBounded(text: string): Document | undefined {
  try {
    return parseDocument(text, { prettyErrors: false, uniqueKeys: true, version: "1.2", merge: false });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function toPlain(document: Document): { value?: unknown; problem?: string } {
  try {
    return { value: document.toJS({ maxAliasCount: 0 }) };
  } catch (error) {
    return {
      problem:
        error instanceof ReferenceError
          ? "aliases (*name) are not allowed here"
          : "the file is nested too deeply",
    };
  }
}

function checkFormat(value: unknown, formats: readonly number[]): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return "expected a map with `format: 1`";
  const format: unknown = "format" in value ? value.format : undefined;
  if (typeof format === "number" && formats.includes(format)) return undefined;
  const understood = `understood: ${formats.join(", ")}`;
  if (format === undefined) return `expected the line \`format: ${formats.at(-1) ?? 1}\` (${understood})`;
  return `format ${JSON.stringify(format)} is not understood (${understood})`;
}

/** Unknown keys are reported one by one, each at its own place. */
function issueDiagnostics(issue: z.core.$ZodIssue, report: Report): Diagnostic[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) =>
      report(`the key ${JSON.stringify(key)} is not known here`, [...issue.path, key], "key"),
    );
  }
  const where = issue.path.length === 0 ? "" : `${issue.path.map(String).join(".")}: `;
  return [report(`${where}${shapeMessage(issue.message)}`, issue.path)];
}

function rangeOf(
  document: Document | undefined,
  path: readonly PropertyKey[],
  at: "key" | "value",
): { start: number; end: number } {
  for (let depth = path.length; document !== undefined && depth > 0; depth -= 1) {
    const place = path.slice(0, depth);
    const value = document.getIn(place, true);
    const node = at === "key" || !isScalar(value) ? (keyNode(document, place) ?? value) : value;
    if (isNode(node) && node.range != null) return { start: node.range[0], end: node.range[1] };
  }
  return { start: 0, end: 1 };
}

/** The key itself reads better than a value that may span many lines. */
function keyNode(document: Document, path: readonly PropertyKey[]): unknown {
  const last = path.at(-1);
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (typeof last !== "string" || !isMap(parent)) return undefined;
  return parent.items.find((item) => isScalar(item.key) && item.key.value === last)?.key ?? undefined;
}
