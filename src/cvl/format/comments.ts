/** Which comment belongs to which token: the formatter prints them with it. */
import { EOF } from "chevrotain";
import type { Comment } from "../parse/lexer.ts";
import { CvlToken } from "../parse/tokens.ts";

export interface PlacedComment {
  readonly text: string;
  /** A line end comes right after it. */
  readonly isBeforeNewline: boolean;
  /** A blank line comes before it. */
  readonly isAfterBlank: boolean;
}

export interface TokenWithComments {
  readonly token: CvlToken;
  /** As written. */
  readonly source: string;
  /** The token, or its first comment, begins a line. */
  readonly isAfterNewline: boolean;
  /** A blank line comes before the token, after its comments. */
  readonly isAfterBlank: boolean;
  /** Above it, or before it on its line. */
  readonly leading: readonly PlacedComment[];
  /** After it, the last on its line. */
  readonly trailing: readonly PlacedComment[];
}

/** Each token with its comments, and one more for the end of the file. */
export function attachComments(
  text: string,
  tokens: readonly CvlToken[],
  comments: readonly Comment[],
): TokenWithComments[] {
  const entries: (TokenWithComments & { trailing: readonly PlacedComment[] })[] = [];
  let next = 0;
  let start = 0;
  for (const token of [...tokens, new CvlToken().set(EOF, "", text.length, text.length)]) {
    const first = next;
    while (next < comments.length && (comments[next]?.start ?? 0) < token.startOffset) next += 1;
    const gap: Gap = { text, start, end: token.startOffset, comments: comments.slice(first, next) };
    const placed = placeComments(gap);
    const previous = entries.at(-1);
    const split = previous === undefined ? 0 : countTrailing(gap);
    if (previous !== undefined) previous.trailing = placed.slice(0, split);
    entries.push({
      token,
      source: text.slice(token.startOffset, token.endOffset + 1),
      isAfterNewline: between(gap, split).includes("\n"),
      isAfterBlank: isBlank(between(gap, gap.comments.length)),
      leading: placed.slice(split),
      trailing: [],
    });
    start = token.endOffset + 1;
  }
  return entries;
}

/** What lies between two tokens. */
interface Gap {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly comments: readonly Comment[];
}

function placeComments(gap: Gap): PlacedComment[] {
  return gap.comments.map(({ start, end }, index) => ({
    text: gap.text.slice(start, end).trimEnd(),
    isBeforeNewline: gap.text.startsWith("//", start) || between(gap, index + 1).includes("\n"),
    isAfterBlank: isBlank(between(gap, index)),
  }));
}

/** How many comments begin on the line of the token before the gap and are followed by nothing else on it. */
function countTrailing(gap: Gap): number {
  let count = 0;
  while (count < gap.comments.length && !between(gap, count).includes("\n")) count += 1;
  const isLineEnd = count === 0 || count < gap.comments.length || gap.end === gap.text.length;
  if (isLineEnd || between(gap, count).includes("\n")) return count;
  return 0;
}

/** The blanks before the comment `index` of a gap, or before the token after it. */
function between(gap: Gap, index: number): string {
  const from = gap.comments[index - 1]?.end ?? gap.start;
  return gap.text.slice(from, gap.comments[index]?.start ?? gap.end);
}

function isBlank(blanks: string): boolean {
  return blanks.split("\n").length > 2;
}
