/** Collects the diagnostics of one stage: a cap on their number, no repetition, words for names and hints. */
import type { Diagnostic, DiagnosticCode, Severity, Span } from "../diagnostics.ts";
import { visible } from "../diagnostics.ts";
import { MAX_DIAGNOSTICS } from "./limits.ts";

export interface ProblemDetails {
  /** A function where it takes time to find: it is not called for what is not shown. */
  readonly hint?: string | (() => string | undefined) | undefined;
  readonly related?: readonly { readonly message: string; readonly span: Span }[] | undefined;
  /** Default: error. */
  readonly severity?: Severity;
}

export interface Reporter {
  report(code: DiagnosticCode, message: string, span: Span | undefined, details?: ProblemDetails): void;
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

  function add(diagnostic: Diagnostic): void {
    if (diagnostic.severity === "error") hasErrors = true;
    if (isFull) return;
    const key = identify(diagnostic);
    if (seen.has(key)) return;
    seen.add(key);
    if (diagnostics.length < MAX_DIAGNOSTICS) {
      diagnostics.push(diagnostic);
      return;
    }
    isFull = true;
    hasErrors = true;
    diagnostics.push(tooManyErrors(diagnostic.span));
  }

  return {
    report: (code, message, span, details = {}) => {
      hasErrors ||= details.severity !== "warning";
      if (!isFull) add(makeDiagnostic(code, message, span, details));
    },
    add,
    get isFull() {
      return isFull;
    },
    get hasErrors() {
      return hasErrors;
    },
    diagnostics,
  };
}

/** One diagnostic; absent details leave no keys behind. */
export function makeDiagnostic(
  code: DiagnosticCode,
  message: string,
  span: Span | undefined,
  { hint, related, severity = "error" }: ProblemDetails = {},
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

const QUOTED_LENGTH = 60;

/** A user's word inside a message: in backquotes, control characters made visible, cut when long. */
export function quote(word: string): string {
  const short = word.length > QUOTED_LENGTH ? `${word.slice(0, QUOTED_LENGTH)}…` : word;
  return `\`${visible(short).replaceAll("\n", " ")}\``;
}

function identify({ code, span, message }: Diagnostic): string {
  return span === undefined ? `${code} ${message}` : `${code} ${span.start} ${span.file} ${message}`;
}

function tooManyErrors(span: Span | undefined): Diagnostic {
  return makeDiagnostic(
    "CVL_TOO_MANY_ERRORS",
    `there are more than ${MAX_DIAGNOSTICS} errors and warnings; the rest is not shown`,
    span,
    { hint: "mend the first ones and check again; one mistake often causes many errors" },
  );
}
