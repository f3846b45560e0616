/** What the parser found wrong, in a user's words: what was expected, what came, and one error for one mistake. */
import type { IRecognitionException, IToken } from "chevrotain";
import { quote, type Reporter } from "./report.ts";
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

/** Reports the errors without those a former one caused; the result is what to make nothing of. */
export function reportSyntaxErrors(
  errors: readonly IRecognitionException[],
  tokens: readonly CvlToken[],
  file: NamedText,
  reporter: Reporter,
): DamagedRange[] {
  const damage: DamagedRange[] = [];
  let quietUntil = 0;
  for (const error of errors) {
    const index = indexOfToken(tokens, error.token, file.text.length);
    if (index < quietUntil) continue;
    reportSyntaxError(error, tokens, index, file, reporter);
    quietUntil = endOfStatement(tokens, index);
    const end = tokens[quietUntil - 1]?.startOffset ?? file.text.length;
    damage.push({ start: startOf(error.token, file.text.length), end });
    if (reporter.isFull) break;
  }
  return damage;
}

function reportSyntaxError(
  error: IRecognitionException,
  tokens: readonly CvlToken[],
  index: number,
  { displayName, text }: NamedText,
  reporter: Reporter,
): void {
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

/** Errors before the end of the statement in which one was found are mostly caused by it. */
function endOfStatement(tokens: readonly CvlToken[], index: number): number {
  for (let at = index; at < tokens.length; at += 1) {
    const type = tokens[at]?.tokenType;
    if (type === Semicolon || type === LeftBrace || type === RightBrace) return at + 1;
  }
  return tokens.length;
}

/** Tokens are in order of their offsets. */
function indexOfToken(tokens: readonly CvlToken[], token: IToken, textLength: number): number {
  const offset = startOf(token, textLength);
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
