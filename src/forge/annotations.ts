/** Diagnostics as GitHub shows them beside the lines of a pull request: in a check run, or as commands of a job's log. */
import { lineAndColumn, visible, type Diagnostic, type Span, type TextOf } from "../diagnostics.ts";

/** As the check run API takes it; lines and columns count from 1. */
export interface Annotation {
  readonly path: string;
  readonly start_line: number;
  readonly end_line: number;
  /** Only within one line. */
  readonly start_column?: number;
  readonly end_column?: number;
  readonly annotation_level: "warning" | "failure";
  readonly title: string;
  readonly message: string;
}

export interface AnnotatedDiagnostics {
  readonly annotations: readonly Annotation[];
  /** Those that lie in no file of the repository: in an import, or nowhere. */
  readonly unplaced: readonly Diagnostic[];
}

const MAXIMUM_MESSAGE = 4000;

/** `textOf` has the texts of the repository's own files, by their path in it. */
export function annotationsOf(diagnostics: readonly Diagnostic[], textOf: TextOf): AnnotatedDiagnostics {
  const annotations: Annotation[] = [];
  const unplaced: Diagnostic[] = [];
  for (const diagnostic of diagnostics) {
    const { span } = diagnostic;
    const text = span === undefined || !isInRepository(span.file) ? undefined : textOf(span.file);
    if (span === undefined || text === undefined) unplaced.push(diagnostic);
    else annotations.push({ ...placeOf(span, text), ...wordsOf(diagnostic, textOf) });
  }
  return { annotations, unplaced };
}

/** A line of a job's log that GitHub turns into an annotation; needs no token, so it works for forks. */
export function workflowCommand(annotation: Annotation): string {
  const properties: Record<string, string | number | undefined> = {
    file: annotation.path,
    line: annotation.start_line,
    endLine: annotation.end_line,
    col: annotation.start_column,
    endColumn: annotation.end_column,
    title: annotation.title,
  };
  const list = Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${escapeProperty(String(value))}`);
  const command = annotation.annotation_level === "failure" ? "error" : "warning";
  return `::${command} ${list.join(",")}::${escapeData(annotation.message)}`;
}

/** The same for what lies in no file; `text` may have several lines. */
export function workflowNote(level: "error" | "warning" | "notice", title: string, text: string): string {
  return `::${level} title=${escapeProperty(title)}::${escapeData(text.slice(0, MAXIMUM_MESSAGE))}`;
}

function isInRepository(file: string): boolean {
  return !file.startsWith("/") && !file.includes(":") && !file.split("/").includes("..");
}

function placeOf(span: Span, text: string): Omit<Annotation, "annotation_level" | "title" | "message"> {
  const start = lineAndColumn(text, span.start);
  // The end of a half-open range is one past: the column GitHub marks last is the one before.
  const end = lineAndColumn(text, Math.max(span.start, span.end - 1));
  const isOneLine = start.line === end.line;
  return {
    path: span.file,
    start_line: start.line,
    end_line: end.line,
    ...(isOneLine ? { start_column: start.column, end_column: end.column } : {}),
  };
}

function wordsOf(
  diagnostic: Diagnostic,
  textOf: TextOf,
): Pick<Annotation, "annotation_level" | "title" | "message"> {
  const lines = [diagnostic.message];
  for (const { message, span } of diagnostic.related ?? []) {
    const text = textOf(span.file);
    const place = text === undefined ? span.file : `${span.file}:${lineAndColumn(text, span.start).line}`;
    lines.push(`${place}: ${message}`);
  }
  if (diagnostic.hint !== undefined) lines.push(`hint: ${diagnostic.hint}`);
  return {
    annotation_level: diagnostic.severity === "error" ? "failure" : "warning",
    title: diagnostic.code,
    message: lines.map(visible).join("\n").slice(0, MAXIMUM_MESSAGE),
  };
}

/** @see GitHub's toolkit, packages/core/src/command.ts: what ends a message or a property is percent-encoded. */
function escapeData(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
