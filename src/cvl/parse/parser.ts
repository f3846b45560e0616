/** Text to the syntax tree. */
import type { Diagnostic } from "../../diagnostics.ts";
import { RecoveringParser } from "./grammar.ts";
import { Lexer, tokenize } from "./lexer.ts";
import { parseFast } from "./fast-parser.ts";
import { createReporter } from "../report.ts";
import type { ObjectSyntax, SyntaxFile, SyntaxRange } from "./syntax.ts";
import { type DamagedRange, reportSyntaxErrors } from "./syntax-errors.ts";

export interface ParseResult {
  readonly file: SyntaxFile;
  /** In the order of their places. */
  readonly diagnostics: readonly Diagnostic[];
  /** Names, strings, signs and comments of the text. */
  readonly size: number;
}

/** The tree of `text` and every syntax error in it; never throws. */
export function parse(text: string, displayName: string): ParseResult {
  return parseOnFastPath(text, displayName) ?? parseWithRecovery(text, displayName);
}

/** Built at the first use and used for every file: its tables take longer to make than a small file to parse. */
let recoveringParser: RecoveringParser | undefined;

function parseOnFastPath(text: string, displayName: string): ParseResult | undefined {
  const reporter = createReporter();
  const lexer = new Lexer(text, displayName, reporter);
  const body = parseFast(lexer);
  if (body === undefined || reporter.hasErrors) return undefined;
  return {
    file: { displayName, text, ...body, comments: lexer.comments },
    diagnostics: [],
    size: lexer.size,
  };
}

/** With every mistake; of text without mistakes the same tree as `parse`. */
export function parseWithRecovery(text: string, displayName: string): ParseResult {
  const reporter = createReporter();
  const { tokens, comments } = tokenize(text, displayName, reporter);
  recoveringParser ??= new RecoveringParser();
  const { body, errors } = recoveringParser.run(tokens);
  const damage = reportSyntaxErrors(errors, tokens, { displayName, text }, reporter);
  const objects = body.objects.map((object) => withoutDamage(object, damage, text.length));
  const diagnostics = [...reporter.diagnostics].sort(
    (left, right) => (left.span?.start ?? 0) - (right.span?.start ?? 0),
  );
  return {
    file: { displayName, text, ...body, objects, comments },
    diagnostics,
    size: tokens.length + comments.length,
  };
}

/** Leaves out statements with a mistake in them, and what was made of their ends. */
function withoutDamage(object: ObjectSyntax, damage: readonly DamagedRange[], end: number): ObjectSyntax {
  const inside = damage.filter((range) => range.start >= object.start && range.start <= object.end);
  if (inside.length === 0) return object;
  const isSound = (statement: SyntaxRange) =>
    !inside.some((range) => statement.start < range.end && statement.end > range.start);
  return {
    ...object,
    end: Math.min(object.end, end),
    statements: object.statements.filter(isSound),
    isDamaged: true,
  };
}
