/**
 * What `--json` promises: standard output holds one JSON text, the result or what went wrong:
 *
 *     { "error": { "code": "INVALID_INPUT", "message": "office.cvl has 1 error", "hint": "…" },
 *       "diagnostics": [{ "code": "CVL_SYNTAX", "severity": "error", "message": "…",
 *                         "file": "office.cvl", "line": 1, "column": 7, "hint": "…" }] }
 *
 * The words for people go to standard error either way.
 */
import { CommanderError } from "commander";
import { placeDiagnostic, type Diagnostic, type PlacedDiagnostic, type TextOf } from "../diagnostics.ts";
import { CollectiveError, type ErrorCode } from "../errors.ts";
import { asFileError } from "../file-errors.ts";

/** What is known of one command while it runs. */
export interface Answer {
  /** From the words alone, until the verb's own options are parsed. */
  isJson: boolean;
  /** Something is on standard output: a result that says itself what is wrong with it. */
  isGiven: boolean;
  readonly diagnostics: PlacedDiagnostic[];
}

export function createAnswer(args: readonly string[]): Answer {
  const end = args.indexOf("--");
  const words = end === -1 ? args : args.slice(0, end);
  return { isJson: words.includes("--json"), isGiven: false, diagnostics: [] };
}

/** Keeps what a verb shows of a file's mistakes. */
export function keepDiagnostics(answer: Answer, diagnostics: readonly Diagnostic[], textOf: TextOf): void {
  if (!answer.isJson) return;
  for (const diagnostic of diagnostics) answer.diagnostics.push(placeDiagnostic(diagnostic, textOf));
}

/** What ended a command, as both kinds of readers are told. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly diagnostics: readonly PlacedDiagnostic[];
}

/** `verb` is for the hint of a wrong command line. */
export function failureOf(thrown: unknown, verb: string | undefined): Failure {
  const error = asFileError(thrown) ?? thrown;
  if (error instanceof CollectiveError) {
    const { code, message, diagnostics } = error;
    const hint = error.hint ?? (code === "USAGE" ? helpHint(verb) : undefined);
    return { code, message, hint, diagnostics };
  }
  if (error instanceof CommanderError) return usageFailure(error, verb);
  return {
    code: "INTERNAL_ERROR",
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    hint: "this is a defect of cui; please report it with the lines above",
    diagnostics: [],
  };
}

function usageFailure({ code, message }: CommanderError, verb: string | undefined): Failure {
  const [said = "", suggested] = message.replace(/^error: /, "").split("\n");
  const help = helpHint(verb);
  return {
    code: "USAGE",
    message: code === "commander.help" ? `${nameOf(verb)} expects a command` : said,
    hint: suggested === undefined ? help : `${suggested.replace(/^\((.*)\)$/, "$1")} ${help}`,
    diagnostics: [],
  };
}

function helpHint(verb: string | undefined): string {
  return `${nameOf(verb)} --help shows the form and an example`;
}

function nameOf(verb: string | undefined): string {
  return verb === undefined ? "cui" : `cui ${verb}`;
}

/** A message that shows the diagnostics as well is cut before them, that of a defect before its stack; every other is whole. */
export function renderFailure(
  { code, message, hint, diagnostics }: Failure,
  shown: readonly PlacedDiagnostic[],
): string {
  const [head = ""] = message.split("\n");
  const isShown = shown.length + diagnostics.length > 0 || code === "INTERNAL_ERROR";
  const error = { code, message: isShown ? head : message, ...(hint === undefined ? {} : { hint }) };
  return JSON.stringify({ error, diagnostics: [...shown, ...diagnostics] }, undefined, 2);
}
