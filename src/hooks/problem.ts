/** What hooks refuse, as lines a person reads, often after `remote:`. */
import { renderDiagnostic, visible, type Diagnostic, type TextOf } from "../diagnostics.ts";

export interface Problem {
  /** What it is about: `v6`, `main`, `DNS.cvl`. */
  readonly where: string;
  /** One sentence without a full stop; may have more lines (a place with its caret). */
  readonly message: string;
  readonly hint?: string | undefined;
}

/** The diagnostic as git shows it: its place and caret, or its code, and its hint. */
export function toProblem(where: string, { hint, ...diagnostic }: Diagnostic, textOf: TextOf): Problem {
  return { where, message: renderDiagnostic(diagnostic, textOf), hint };
}

const MAX_PROBLEMS = 10;
const MAX_LINES = 12;
const MAX_LINE_LENGTH = 240;

/** At most some hundred lines, without control characters. */
export function renderProblems(problems: readonly Problem[]): string[] {
  const lines = problems.slice(0, MAX_PROBLEMS).flatMap(({ where, message, hint }) => {
    const [first = "", ...more] = message.split("\n");
    const shown = [`${where}: ${first}`, ...more.slice(0, MAX_LINES)];
    return [...shown, ...(hint === undefined ? [] : [`  hint: ${hint}`])].map(
      (line) => `  ${printable(line)}`,
    );
  });
  const left = problems.length - MAX_PROBLEMS;
  return left > 0 ? [...lines, `  … and ${left} more`] : lines;
}

function printable(line: string): string {
  return visible(line.length > MAX_LINE_LENGTH ? `${line.slice(0, MAX_LINE_LENGTH)}…` : line);
}
