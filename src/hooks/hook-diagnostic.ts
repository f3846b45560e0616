/** What hooks find, as diagnostics, and those as lines a person reads, often after `remote:`. */
import {
  makeDiagnostic,
  renderDiagnostic,
  visible,
  type Diagnostic,
  type DiagnosticCode,
  type TextOf,
} from "../diagnostics.ts";

/** An error refuses the push or the commit; a warning says what could not be looked at, or done. */
export interface HookDiagnostic extends Diagnostic {
  /** What it is about: `v6`, `main`, `DNS.cvl`. */
  readonly where: string;
  /** Texts of the files of `where`; undefined when what is wrong is `where` itself, and no place in its files. */
  readonly textOf?: TextOf;
}

/** `where` itself is refused. */
export function refusal(where: string, code: DiagnosticCode, message: string, hint?: string): HookDiagnostic {
  return { ...makeDiagnostic(code, message, undefined, { hint }), where };
}

/** Something about `where` that refuses nothing. */
export function warning(where: string, code: DiagnosticCode, message: string, hint?: string): HookDiagnostic {
  return { ...refusal(where, code, message, hint), severity: "warning" };
}

/** What is wrong in the files of `where`. */
export function inFilesOf(
  where: string,
  diagnostics: readonly Diagnostic[],
  textOf: TextOf,
): readonly HookDiagnostic[] {
  return diagnostics.map((diagnostic) => ({ ...diagnostic, where, textOf }));
}

const MAX_DIAGNOSTICS = 10;
const MAX_LINES = 12;
const MAX_LINE_LENGTH = 240;

/** At most some hundred lines, without control characters. */
export function renderHookDiagnostics(diagnostics: readonly HookDiagnostic[]): string[] {
  const lines = diagnostics.slice(0, MAX_DIAGNOSTICS).flatMap(renderOne);
  const left = diagnostics.length - MAX_DIAGNOSTICS;
  return left > 0 ? [...lines, `  … and ${left} more`] : lines;
}

/** In a file: with place, code and caret. */
function renderOne({ where, textOf, hint, ...diagnostic }: HookDiagnostic): string[] {
  const text = textOf === undefined ? diagnostic.message : renderDiagnostic(diagnostic, textOf);
  const [first = "", ...more] = text.split("\n");
  const shown = [`${where}: ${first}`, ...more.slice(0, MAX_LINES)];
  return [...shown, ...(hint === undefined ? [] : [`  hint: ${hint}`])].map((line) => `  ${printable(line)}`);
}

function printable(line: string): string {
  return visible(line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)}…` : line);
}
