/** Collects the diagnostics of one stage: a cap on their number, no repetition, words for names and hints. */
import {
  makeDiagnostic,
  visible,
  type Diagnostic,
  type DiagnosticCode,
  type DiagnosticDetails,
  type Span,
} from "../diagnostics.ts";
import { MAX_DIAGNOSTICS } from "./limits.ts";

export interface Reporter {
  /** A hint that is a function is not asked for what is not shown. */
  report(code: DiagnosticCode, message: string, span: Span | undefined, details?: DiagnosticDetails): void;
  add(diagnostic: Diagnostic): void;
  /** True when further reports are dropped: a stage may stop early. */
  readonly isFull: boolean;
  readonly hasErrors: boolean;
  /** What was collected; when some were dropped the last one says so. */
  readonly diagnostics: readonly Diagnostic[];
}

/** A reporter that keeps at most `MAX_DIAGNOSTICS`, then one CVL_TOO_MANY_ERRORS, then nothing. */
export function createReporter(): Reporter {
  const diagnostics: Diagnostic[] = [];
  const seen = new Set<string>();
  let hasErrors = false;
  let isFull = false;

  function addOnce(what: Pick<Diagnostic, "code" | "span" | "message">, make: () => Diagnostic): void {
    if (isFull) return;
    const key = identify(what);
    if (seen.has(key)) return;
    seen.add(key);
    if (diagnostics.length < MAX_DIAGNOSTICS) {
      diagnostics.push(make());
      return;
    }
    isFull = true;
    hasErrors = true;
    diagnostics.push(tooManyErrors(what.span));
  }

  return {
    report: (code, message, span, details = {}) => {
      hasErrors ||= details.severity !== "warning";
      addOnce({ code, message, span }, () => makeDiagnostic(code, message, span, details));
    },
    add: (diagnostic) => {
      hasErrors ||= diagnostic.severity === "error";
      addOnce(diagnostic, () => diagnostic);
    },
    get isFull() {
      return isFull;
    },
    get hasErrors() {
      return hasErrors;
    },
    diagnostics,
  };
}

const QUOTED_LENGTH = 60;

/** A user's word inside a message: in backquotes, control characters made visible, cut when long. */
export function quote(word: string): string {
  const short = word.length > QUOTED_LENGTH ? `${word.slice(0, QUOTED_LENGTH)}…` : word;
  return `\`${visible(short).replaceAll("\n", " ")}\``;
}

function identify({ code, span, message }: Pick<Diagnostic, "code" | "span" | "message">): string {
  return span === undefined ? `${code} ${message}` : `${code} ${span.start} ${span.file} ${message}`;
}

/** In place of all that is not shown. */
export function tooManyErrors(span: Span | undefined): Diagnostic {
  return makeDiagnostic(
    "CVL_TOO_MANY_ERRORS",
    `there are more than ${MAX_DIAGNOSTICS} errors and warnings; the rest is not shown`,
    span,
    { hint: "mend the first ones and check again; one mistake often causes many errors" },
  );
}
