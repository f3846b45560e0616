/** Which comment belongs to which token: the formatter prints them with it. */
import { EOF, type TokenType } from "chevrotain";
import { type Comment, Lexer } from "../parse/lexer.ts";
import { Arrow, Comma, CvlToken, Dot, Equals, LeftBrace, RightBrace, Semicolon } from "../parse/tokens.ts";
import { createReporter } from "../report.ts";

export interface PlacedComment {
  readonly text: string;
  /** A line end comes right after it. */
  readonly isBeforeNewline: boolean;
  /** A blank line comes before it. */
  readonly isAfterBlank: boolean;
}

/**
 * The tokens of a text with the comments between them, each looked at when it is asked for: a file may have millions, and an
 * object for each would take many times the memory. Last stands the file's end.
 */
export class CommentedTokens {
  private readonly text: string;
  private readonly comments: readonly Comment[];
  private readonly count: number;
  private readonly types: readonly TokenType[];
  private readonly starts: Uint32Array;
  private readonly ends: Uint32Array;
  /** The first comment after the token before each, by index. */
  private readonly firstComment: Uint32Array;

  /** `text` has no syntax errors. */
  constructor(text: string, displayName: string) {
    const lexer = new Lexer(text, displayName, createReporter());
    const types: TokenType[] = [];
    const places: number[] = [];
    for (const token = new CvlToken(); lexer.read(token);) {
      types.push(token.tokenType);
      places.push(token.startOffset, token.endOffset + 1);
    }
    this.text = text;
    this.comments = lexer.comments;
    this.count = types.length;
    this.types = types;
    this.starts = Uint32Array.from({ length: types.length + 1 }, (_, at) => places[2 * at] ?? text.length);
    this.ends = Uint32Array.from({ length: types.length + 1 }, (_, at) => places[2 * at + 1] ?? text.length);
    this.firstComment = indexComments(this.starts, lexer.comments);
  }

  /** The last is the file's end. */
  get length(): number {
    return this.count + 1;
  }

  type(at: number): TokenType | undefined {
    return at === this.count ? EOF : this.types[at];
  }

  /** As written. */
  source(at: number): string {
    return SIGNS.get(this.types[at]) ?? this.text.slice(this.starts[at], this.ends[at]);
  }

  /** Comments above a token, or before it on its line. */
  leading(at: number): readonly PlacedComment[] {
    if (!this.hasComments(at)) return NO_COMMENTS;
    const gap = this.gap(at);
    return placeComments(gap).slice(at === 0 ? 0 : countTrailing(gap));
  }

  /** Comments after a token, the last on its line. */
  trailing(at: number): readonly PlacedComment[] {
    if (!this.hasComments(at + 1)) return NO_COMMENTS;
    const gap = this.gap(at + 1);
    return placeComments(gap).slice(0, countTrailing(gap));
  }

  /** The token, or its first comment, begins a line. */
  isAfterNewline(at: number): boolean {
    const gap = this.gap(at);
    return between(gap, at === 0 ? 0 : countTrailing(gap)).includes("\n");
  }

  /** A blank line comes before the token, after its comments. */
  isAfterBlank(at: number): boolean {
    const gap = this.gap(at);
    return isBlank(between(gap, gap.comments.length));
  }

  private hasComments(at: number): boolean {
    return (this.firstComment[at] ?? 0) < (this.firstComment[at + 1] ?? 0);
  }

  /** What lies before the token. */
  private gap(at: number): Gap {
    return {
      text: this.text,
      start: at === 0 ? 0 : (this.ends[at - 1] ?? 0),
      end: this.starts[at] ?? this.text.length,
      comments: this.comments.slice(this.firstComment[at], this.firstComment[at + 1]),
    };
  }
}

/** One text for all places of a sign. */
const SIGNS: ReadonlyMap<TokenType | undefined, string> = new Map([
  [Comma, ","],
  [Semicolon, ";"],
  [Equals, "="],
  [Arrow, "=>"],
  [Dot, "."],
  [LeftBrace, "{"],
  [RightBrace, "}"],
]);

function indexComments(starts: Uint32Array, comments: readonly Comment[]): Uint32Array {
  const first = new Uint32Array(starts.length + 1);
  let next = 0;
  for (let at = 0; at < starts.length; at += 1) {
    first[at] = next;
    const start = starts[at] ?? 0;
    while (next < comments.length && (comments[next]?.start ?? 0) < start) next += 1;
  }
  first[starts.length] = next;
  return first;
}

const NO_COMMENTS: readonly PlacedComment[] = [];

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
