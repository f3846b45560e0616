/**
 * Text to tokens, written by hand because it is several times as fast as a table of regular expressions. Never fails:
 * what is no token is reported and skipped, maps nested too deeply are replaced by an empty string.
 */
import { EOF, type TokenType } from "chevrotain";
import type { DiagnosticCode } from "../../diagnostics.ts";
import {
  MAX_FILE_CHARACTERS,
  MAX_MAP_NESTING,
  MAX_NAME_LENGTH,
  MAX_PATH_LENGTH,
  MAX_TOKENS,
} from "../limits.ts";
import { quote, type Reporter } from "../report.ts";
import {
  Arrow,
  Comma,
  CvlToken,
  Dot,
  Equals,
  Identifier,
  KEYWORDS,
  LeftBrace,
  RightBrace,
  Semicolon,
  StringLiteral,
} from "./tokens.ts";

/** `/* … *\/` or `// …`, without the line end. */
export interface Comment {
  readonly start: number;
  readonly end: number;
}

export interface LexedText {
  readonly tokens: CvlToken[];
  readonly comments: readonly Comment[];
}

const TAB = 9;
const NEWLINE = 10;
const RETURN = 13;
const SPACE = 32;
const QUOTE = 34;
const STAR = 42;
const SLASH = 47;
const EQUALS = 61;
const GREATER = 62;
const BACKSLASH = 92;
const BYTE_ORDER_MARK = 0xfeff;

/** An object's body is one brace, so the maps in it may open that many. */
const MAX_BRACES = MAX_MAP_NESTING + 1;

const PUNCTUATION: readonly (TokenType | undefined)[] = Array.from({ length: 128 }, (_, code) =>
  new Map([
    ["{", LeftBrace],
    ["}", RightBrace],
    [",", Comma],
    [";", Semicolon],
    [".", Dot],
  ]).get(String.fromCharCode(code)),
);

const IMAGES: readonly string[] = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));

const LETTER = 1;
const DIGIT_OR_UNDERSCORE = 2;
const CHARACTER_CLASS = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[A-Za-z]/.test(character)) return LETTER;
  return /[0-9_]/.test(character) ? DIGIT_OR_UNDERSCORE : 0;
});

/** All tokens of `text`; comments are kept apart, for the formatter. */
export function tokenize(text: string, file: string, reporter: Reporter): LexedText {
  const lexer = new Lexer(text, file, reporter);
  const tokens: CvlToken[] = [];
  for (let token = new CvlToken(); lexer.read(token); token = new CvlToken()) tokens.push(token);
  return { tokens, comments: lexer.comments };
}

/** Reads one token after the other. */
export class Lexer {
  readonly comments: Comment[] = [];
  private at = 0;
  /** Where reading ends: before the text does once nothing more would be reported. */
  private limit: number;
  private braces = 0;
  /** Tokens and comments so far. */
  private count = 0;
  /** Characters of the path that is being read, dots included. */
  private pathLength = 0;
  private isAfterDot = false;
  /** After one string without an end no other may go beyond its line: else each would be searched to the file's end. */
  private lastLineOnly = false;
  /** Nothing to report can be in a string. */
  private readonly isClean: boolean;
  private readonly names = new Map<string, string>();
  private readonly text: string;
  private readonly file: string;
  private readonly reporter: Reporter;

  constructor(text: string, file: string, reporter: Reporter) {
    this.text = text;
    this.file = file;
    this.reporter = reporter;
    this.limit = text.length;
    this.isClean = !text.includes("\0") && text.isWellFormed();
    if (text.charCodeAt(0) === BYTE_ORDER_MARK) this.at = 1;
    if (text.length > MAX_FILE_CHARACTERS) this.refuseLength();
  }

  /** How many tokens and comments there were. */
  get size(): number {
    return this.count;
  }

  /** Makes `token` the next one; false, and the token the file's end, when there is none. */
  read(token: CvlToken): boolean {
    const { text } = this;
    this.countOne();
    while (this.at < this.limit) {
      const code = text.charCodeAt(this.at);
      if (code === SPACE || code === NEWLINE || code === TAB || code === RETURN) {
        this.at += 1;
      } else if (code < 128 && CHARACTER_CLASS[code] === LETTER) {
        this.readWord(token);
        return true;
      } else if (code === QUOTE) {
        this.readString(token);
        return true;
      } else if (this.readOther(code, token)) {
        return true;
      }
    }
    this.count -= 1;
    token.set(EOF, "", text.length, text.length);
    return false;
  }

  private refuseLength(): void {
    const { length } = this.text;
    const message = `a file may have at most ${MAX_FILE_CHARACTERS} characters, this one has ${length}`;
    this.report("CVL_LIMIT", message, 0, "split it into several appliances that import each other", 0);
    this.limit = 0;
  }

  private countOne(): void {
    this.count += 1;
    if (this.count > MAX_TOKENS && this.limit > 0) this.refuseCount();
  }

  private refuseCount(): void {
    const message = `a file may have at most ${MAX_TOKENS} names, strings, signs and comments`;
    this.report("CVL_LIMIT", message, this.at, "split it into several appliances that import each other");
    this.limit = 0;
  }

  private readWord(token: CvlToken): void {
    const { text } = this;
    const start = this.at;
    let at = start + 1;
    let code = text.charCodeAt(at);
    while (code < 128 && CHARACTER_CLASS[code] !== 0) {
      at += 1;
      code = text.charCodeAt(at);
    }
    this.at = at;
    const word = this.boundedWord(start, at);
    token.set(KEYWORDS.get(word) ?? Identifier, this.intern(word), start, at);
  }

  /** The name from `start` to `end`, cut to what a name may have; names and paths that are too long are reported. */
  private boundedWord(start: number, end: number): string {
    const length = end - start;
    const before = this.isAfterDot ? this.pathLength : 0;
    this.pathLength = before + Math.min(length, MAX_NAME_LENGTH);
    this.isAfterDot = false;
    if (before <= MAX_PATH_LENGTH && this.pathLength > MAX_PATH_LENGTH) {
      this.report("CVL_LIMIT", `a path may have at most ${MAX_PATH_LENGTH} characters`, start);
    }
    if (length <= MAX_NAME_LENGTH) return this.text.slice(start, end);
    const message = `a name may have at most ${MAX_NAME_LENGTH} characters, this one has ${length}`;
    this.report("CVL_LIMIT", message, start);
    return this.text.slice(start, start + MAX_NAME_LENGTH);
  }

  /** One string for all places of a name: names are kept, compared and looked up often. */
  private intern(word: string): string {
    const known = this.names.get(word);
    if (known !== undefined) return known;
    this.names.set(word, word);
    return word;
  }

  /** False when what was read is no token: a comment, or a character out of place. */
  private readOther(code: number, token: CvlToken): boolean {
    const start = this.at;
    const next = this.text.charCodeAt(start + 1);
    if (code === EQUALS) {
      this.at = next === GREATER ? start + 2 : start + 1;
      if (next === GREATER) token.set(Arrow, "=>", start, this.at);
      else token.set(Equals, "=", start, this.at);
      return true;
    }
    if (code === SLASH && (next === SLASH || next === STAR)) {
      this.readComment(next);
      return false;
    }
    const punctuation = PUNCTUATION[code];
    if (punctuation === Dot) {
      this.pathLength += 1;
      this.isAfterDot = true;
    }
    if (punctuation === undefined) {
      this.skipForeign();
      return false;
    }
    this.at = start + 1;
    if (punctuation === RightBrace && this.braces > 0) this.braces -= 1;
    if (punctuation === LeftBrace) {
      this.braces += 1;
      if (this.braces > MAX_BRACES) return this.skipTooDeep(token, start);
    }
    token.set(punctuation, IMAGES[code] ?? "", start, this.at);
    return true;
  }

  /** An empty string takes the place of a map that is nested too deeply. */
  private skipTooDeep(token: CvlToken, start: number): boolean {
    this.report(
      "CVL_LIMIT",
      `maps may nest at most ${MAX_MAP_NESTING} deep`,
      start,
      "is a closing `}` missing somewhere before?",
    );
    // Within it no further `{` is too deep, so that the recursion ends here.
    let depth = 1;
    this.braces = 0;
    while (depth > 0 && this.read(token)) {
      if (token.tokenType === LeftBrace) depth += 1;
      else if (token.tokenType === RightBrace) depth -= 1;
      this.braces = 0;
    }
    this.braces = MAX_BRACES;
    token.set(StringLiteral, "", start, start + 1);
    return true;
  }

  private readString(token: CvlToken): void {
    const { text } = this;
    const start = this.at;
    let end = findStringEnd(text, start + 1, this.lastLineOnly ? this.lineEnd(start) : text.length);
    if (end === -1) end = this.reportUnterminatedString(start);
    this.at = Math.min(end + 1, text.length);
    const raw = text.slice(start + 1, end);
    if (!this.isClean) this.checkCharacters(raw, start + 1);
    const content = raw.includes("\\") ? this.decodeEscapes(raw, start + 1) : raw;
    token.set(StringLiteral, content, start, this.at);
  }

  /** The string is taken to end with its line, so that what follows is still read. */
  private reportUnterminatedString(start: number): number {
    this.report(
      "CVL_UNTERMINATED",
      `expected a closing \`"\`, got the end of the ${this.lastLineOnly ? "line" : "file"}`,
      start,
      'the string begins here; a quote inside it is written `\\"`',
    );
    this.lastLineOnly = true;
    return this.lineEnd(start);
  }

  private lineEnd(start: number): number {
    const newline = this.text.indexOf("\n", start);
    return newline === -1 ? this.text.length : newline;
  }

  private decodeEscapes(raw: string, offset: number): string {
    return raw.replace(/\\([^]?)/g, (escape, character: string, at: number) => {
      const decoded = ESCAPES.get(character);
      if (decoded !== undefined) return decoded;
      this.report(
        "CVL_ESCAPE",
        `expected \`\\"\`, \`\\\\\`, \`\\n\` or \`\\t\`, got ${quote(escape)}`,
        offset + at,
        "a backslash itself is written `\\\\`",
        escape.length,
      );
      return character;
    });
  }

  /** NUL and half of a surrogate pair cannot be written as UTF-8 or handed to a program. */
  private checkCharacters(content: string, offset: number): void {
    const at = content.search(FORBIDDEN_IN_STRING);
    if (at !== -1) this.reportCharacter(content.charCodeAt(at), offset + at, "in a string");
  }

  private readComment(kind: number): void {
    const { text } = this;
    const start = this.at;
    let end = kind === STAR ? text.indexOf("*/", start + 2) : text.indexOf("\n", start);
    if (kind === STAR && end !== -1) end += 2;
    if (end === -1) {
      end = text.length;
      if (kind === STAR) {
        this.report(
          "CVL_UNTERMINATED",
          "expected `*/`, got the end of the file",
          start,
          "the comment begins here",
          2,
        );
      }
    }
    if (text.charCodeAt(end - 1) === RETURN) end -= 1;
    this.comments.push({ start, end });
    this.at = end;
    this.countOne();
  }

  /** A run of characters that begin no token is one mistake. */
  private skipForeign(): void {
    const start = this.at;
    FOREIGN_RUN.lastIndex = start;
    FOREIGN_RUN.test(this.text);
    this.at = Math.max(start + 1, FOREIGN_RUN.lastIndex);
    this.reportCharacter(this.text.charCodeAt(start), start, "here");
  }

  private reportCharacter(code: number, at: number, where: string): void {
    const character = this.text.charAt(at);
    const named = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    const shown = code > SPACE && code < 127 ? quote(character) : `the character ${named}`;
    this.report("CVL_CHARACTER", `${shown} is not allowed ${where}`, at, CHARACTER_HINTS.get(character));
  }

  /** Reports what lies at `start`; when nothing more is shown anyway, nothing more is read. */
  private report(code: DiagnosticCode, message: string, start: number, hint?: string, length = 1): void {
    this.reporter.report(code, message, { file: this.file, start, end: start + length }, { hint });
    if (this.reporter.isFull) this.limit = 0;
  }
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["n", "\n"],
  ["t", "\t"],
]);

const FOREIGN_RUN = /[^\sA-Za-z"{},;.=/]*/y;
const FORBIDDEN_IN_STRING = /\0|\p{Surrogate}/u;

const CHARACTER_HINTS: ReadonlyMap<string, string> = new Map([
  ["'", 'strings are written in double quotes: "…"'],
  ["“", 'strings are written in straight double quotes: "…"'],
  ["”", 'strings are written in straight double quotes: "…"'],
  ["#", "comments are written `// …` or `/* … */`"],
  [":", "a map's pair is written `key => value`, an assignment `name = value;`"],
  ["[", "a list is written without brackets: `name = value, value;`"],
  ["_", "a name begins with a letter"],
  ["-", "a name has letters, digits and underscores only"],
]);

/** The offset of the closing quote before `limit`, or -1. */
function findStringEnd(text: string, from: number, limit: number): number {
  let at = from;
  for (;;) {
    const end = text.indexOf('"', at);
    if (end === -1 || end >= limit) return -1;
    let backslashes = 0;
    while (end - backslashes > from && text.charCodeAt(end - backslashes - 1) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    at = end + 1;
  }
}
