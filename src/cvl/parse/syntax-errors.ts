/** What the parser found wrong, in a user's words: what was expected, what came, and one error for one mistake. */
import type { IRecognitionException, IToken } from "chevrotain";
import { quote, type Reporter } from "../report.ts";
import {
  Comma,
  type CvlToken,
  Identifier,
  KEYWORDS,
  LeftBrace,
  RightBrace,
  Semicolon,
  StringLiteral,
} from "./tokens.ts";

interface NamedText {
  readonly displayName: string;
  readonly text: string;
}

/** Statements that begin in it are not what their author wrote. Offsets are half-open. */
export interface DamagedRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reports the errors without those a former one, or a mistake the lexer found in the same statement, caused; the result is
 * what to make nothing of.
 */
export function reportSyntaxErrors(
  errors: readonly IRecognitionException[],
  tokens: readonly CvlToken[],
  file: NamedText,
  reporter: Reporter,
): DamagedRange[] {
  const end = file.text.length;
  const damage = reporter.diagnostics.map(({ span }) => damageFrom(span?.start ?? end, tokens, end));
  let quietUntil = 0;
  for (const error of errors) {
    const start = startOf(error.token, end);
    if (start < quietUntil || damage.some((range) => start >= range.start && start < range.end)) continue;
    reportSyntaxError(error, tokens, file, reporter);
    const range = damageFrom(start, tokens, end);
    damage.push(range);
    quietUntil = range.end;
    if (reporter.isFull) break;
  }
  return damage;
}

function reportSyntaxError(
  error: IRecognitionException,
  tokens: readonly CvlToken[],
  { displayName, text }: NamedText,
  reporter: Reporter,
): void {
  const index = indexOfToken(tokens, startOf(error.token, text.length));
  const token = tokens[index];
  const previous = tokens[index - 1];
  const isMissingEnd = error.message === "`;`" && previous !== undefined;
  const start = isMissingEnd ? previous.endOffset + 1 : startOf(error.token, text.length);
  const end = isMissingEnd ? start : token === undefined ? text.length : token.endOffset + 1;
  reporter.report(
    "CVL_SYNTAX",
    `expected ${error.message}, got ${describeToken(token)}`,
    { file: displayName, start, end },
    { hint: hintFor(error, token, previous, text) },
  );
}

function hintFor(
  error: IRecognitionException,
  token: CvlToken | undefined,
  previous: CvlToken | undefined,
  text: string,
): string | undefined {
  for (const near of [token, previous]) {
    if (near?.tokenType === StringLiteral && text.slice(near.startOffset, near.endOffset).includes("\n")) {
      return "a string here goes on over a line end; is its closing quote missing?";
    }
  }
  if (token !== undefined && KEYWORDS.has(token.image) && error.message !== "`;`") {
    return `${quote(token.image)} is a keyword and cannot be a name`;
  }
  if (error.message === "`;`") return "a statement ends with `;`";
  if (token === undefined) return "is a closing `}` missing?";
  if (previous?.tokenType === Comma && error.message.startsWith("a value")) {
    return "only a map may have a comma after its last element";
  }
  return undefined;
}

/** From a mistake to the end of the statement it is in: errors there are mostly caused by it. */
function damageFrom(start: number, tokens: readonly CvlToken[], end: number): DamagedRange {
  for (let at = indexOfToken(tokens, start); at < tokens.length; at += 1) {
    const token = tokens[at];
    const type = token?.tokenType;
    if (token !== undefined && (type === Semicolon || type === LeftBrace || type === RightBrace)) {
      return { start, end: token.endOffset + 1 };
    }
  }
  return { start, end: end + 1 };
}

/** Of the first token at or after `offset`; tokens are in order of their offsets. */
function indexOfToken(tokens: readonly CvlToken[], offset: number): number {
  let low = 0;
  let high = tokens.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((tokens[middle]?.startOffset ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The end of the file is a token without a place. */
function startOf(token: IToken, textLength: number): number {
  return Number.isNaN(token.startOffset) ? textLength : token.startOffset;
}

function describeToken(token: CvlToken | undefined): string {
  if (token === undefined) return "the end of the file";
  if (token.tokenType === StringLiteral) return `the string ${quote(token.image)}`;
  return token.tokenType === Identifier ? `the name ${quote(token.image)}` : quote(token.image);
}
