/**
 * One way to write a CVL file. Comments are kept, strings stay as they are written, at most one blank line is kept between
 * statements. Formatting what is formatted changes nothing.
 */
import type { TokenType } from "chevrotain";
import type { Diagnostic } from "../diagnostics.ts";
import { attachComments, type PlacedComment, type TokenWithComments } from "./comments.ts";
import { BREAK_PARENT, type Doc, group, HARDLINE, indent, join, LINE, printDoc } from "./doc.ts";
import { tokenize } from "./lexer.ts";
import { parse } from "./parser.ts";
import { createReporter } from "./report.ts";
import {
  Comma,
  Dot,
  Equals,
  Extends,
  Import,
  LeftBrace,
  RightBrace,
  Semicolon,
  StringLiteral,
  Var,
} from "./tokens.ts";

const WIDTH = 100;

/** The formatted text; a text with errors is left as it is. */
export function format(
  text: string,
  displayName: string,
): { readonly text: string; readonly diagnostics: readonly Diagnostic[] } {
  const { diagnostics } = parse(text, displayName);
  if (diagnostics.length > 0) return { text, diagnostics };
  const { tokens, comments } = tokenize(text, displayName, createReporter());
  const formatted = printDoc(new FilePrinter(attachComments(text, tokens, comments)).file(), WIDTH);
  return { text: formatted === "" ? "" : `${formatted}\n`, diagnostics };
}

/** Goes through the tokens of a file without syntax errors, one method a grammar rule. */
class FilePrinter {
  private at = 0;
  private readonly tokens: readonly TokenWithComments[];

  /** The last of `tokens` stands for the end of the file. */
  constructor(tokens: readonly TokenWithComments[]) {
    this.tokens = tokens;
  }

  file(): Doc {
    const docs: Doc[] = [];
    let wasObject = false;
    while (this.at < this.tokens.length - 1) {
      const isObject = this.isObjectNext();
      docs.push(this.beforeStatement(docs.length === 0, isObject || wasObject));
      docs.push(this.fileItem(isObject));
      wasObject = isObject;
    }
    docs.push(this.lastComments(docs.length === 0));
    return docs;
  }

  private isObjectNext(): boolean {
    const next = this.tokens[this.at + 1]?.token.tokenType;
    return next === Extends || next === LeftBrace ? this.peek() !== Import : false;
  }

  private fileItem(isObject: boolean): Doc {
    if (isObject) return this.object();
    if (this.peek() === Import) {
      const doc = [this.first(), " ", this.map(), " ", this.glued()];
      return [group(doc), this.glued()];
    }
    return this.assignment(this.first());
  }

  private object(): Doc {
    const head: Doc[] = [this.first()];
    while (this.peek() !== LeftBrace) head.push(" ", this.glued());
    head.push(" ", this.glued());
    const body: Doc[] = [];
    while (this.peek() !== RightBrace) {
      body.push(
        body.length === 0 ? HARDLINE : "",
        this.beforeStatement(body.length === 0, false),
        this.statement(),
      );
    }
    const comments = this.lastComments(body.length === 0);
    const hasComments = Array.isArray(comments) && comments.length > 0;
    if (hasComments && body.length === 0) body.push(HARDLINE);
    const end = this.text();
    if (body.length === 0) return [head, end];
    return [head, indent([body, comments]), HARDLINE, end];
  }

  private statement(): Doc {
    if (this.peek() === Var) {
      const head: Doc[] = [this.first()];
      while (this.peek() === StringLiteral) head.push(" ", this.glued());
      return [group([head, this.names()]), this.glued()];
    }
    const path = this.path(this.first());
    if (this.peek() === Equals) return this.assignment(path);
    return [group([path, this.names()]), this.glued()];
  }

  private names(): Doc {
    const names: Doc[] = [];
    do {
      names.push(names.length === 0 ? this.breakable() : [this.glued(), LINE, this.breakable()]);
    } while (this.peek() === Comma);
    return indent([LINE, names]);
  }

  private assignment(target: Doc): Doc {
    const head = [target, " ", this.glued()];
    const isSingle = !this.hasComma();
    if (isSingle) return [group([head, " ", this.value(this.glued)]), this.glued()];
    const values: Doc[] = [];
    do {
      values.push(
        values.length === 0 ? this.value(this.breakable) : [this.glued(), LINE, this.value(this.breakable)],
      );
    } while (this.peek() === Comma);
    return [group([head, indent([LINE, values])]), this.glued()];
  }

  /** Whether the list that begins here has several values. */
  private hasComma(): boolean {
    let depth = 0;
    for (let at = this.at; at < this.tokens.length; at += 1) {
      const type = this.tokens[at]?.token.tokenType;
      if (type === LeftBrace) depth += 1;
      if (type === RightBrace) depth -= 1;
      if (depth === 0 && type === Comma) return true;
      if (type === Semicolon) return false;
    }
    return false;
  }

  private value(first: () => Doc): Doc {
    if (this.peek() === LeftBrace) return this.map(first);
    return this.path(first.call(this));
  }

  private path(first: Doc): Doc {
    const names: Doc[] = [first];
    while (this.peek() === Dot) names.push(this.glued(), this.glued());
    return names;
  }

  /** Stays broken when its first key is on a line of its own. */
  private map(first: () => Doc = this.glued): Doc {
    const open = first.call(this);
    const isBroken = this.tokens[this.at]?.isAfterNewline === true;
    const pairs: Doc[] = [];
    let commaComments: Doc = "";
    while (this.peek() !== RightBrace) {
      const key = this.breakable();
      const arrow = this.glued();
      const pair: Doc[] = [key, " ", arrow, " ", this.value(this.glued)];
      const isLast = this.peek() !== Comma || this.tokens[this.at + 1]?.token.tokenType === RightBrace;
      if (this.peek() === Comma) {
        if (isLast) commaComments = this.omitted();
        else pair.push(this.glued());
      }
      pairs.push(pair);
    }
    const end: Doc = [{ kind: "if-broken", text: "," }, commaComments];
    return group([
      isBroken ? BREAK_PARENT : "",
      open,
      indent([LINE, join(LINE, pairs), end, this.endComments()]),
      LINE,
      this.text(),
    ]);
  }

  private peek(): TokenType | undefined {
    return this.tokens[this.at]?.token.tokenType;
  }

  /** The first token of a statement; `beforeStatement` has printed what stands above it. */
  private readonly first = (): Doc => this.text();

  /** A token that may begin a line. */
  private readonly breakable = (): Doc => {
    const leading = this.tokens[this.at]?.leading ?? [];
    return [leading.map(printLeading), this.text()];
  };

  /** A token that stays on the line of the one before it: comments above it move to the line's end. */
  private readonly glued = (): Doc => {
    const { token, leading = [] } = this.tokens[this.at] ?? {};
    const isSpaced = token !== undefined && !UNSPACED.has(token.tokenType);
    return [leading.map(isSpaced ? printGlued : printSuffix), this.text()];
  };

  /** A token that is left out; its comments are not. */
  private omitted(): Doc {
    const { leading = [], trailing = [] } = this.tokens[this.at] ?? {};
    this.at += 1;
    return [leading, trailing].map((comments) => comments.map(printSuffix));
  }

  private text(): Doc {
    const entry = this.tokens[this.at];
    if (entry === undefined) return "";
    this.at += 1;
    return [entry.source, entry.trailing.map(printSuffix)];
  }

  /** Line ends and comments above a statement. */
  private beforeStatement(isFirst: boolean, needsBlank: boolean): Doc {
    const entry = this.tokens[this.at];
    const docs: Doc[] = [];
    let isAtStart = isFirst;
    let blank = needsBlank;
    for (const comment of entry?.leading ?? []) {
      if (!isAtStart) docs.push(HARDLINE);
      if (!isAtStart && (comment.isAfterBlank || blank)) docs.push(HARDLINE);
      docs.push(comment.text);
      isAtStart = false;
      blank = false;
    }
    if (!isAtStart) docs.push(HARDLINE);
    if (!isAtStart && (entry?.isAfterBlank === true || blank)) docs.push(HARDLINE);
    return docs;
  }

  /** Comments after the last statement of an object or file, each on a line of its own. */
  private lastComments(isFirst: boolean): Doc {
    const docs: Doc[] = [];
    for (const { text, isAfterBlank } of this.tokens[this.at]?.leading ?? []) {
      if (!isFirst || docs.length > 0) docs.push(HARDLINE);
      if (isAfterBlank && (!isFirst || docs.length > 0)) docs.push(HARDLINE);
      docs.push(text);
    }
    return docs;
  }

  /** Comments before the closing brace of a map. */
  private endComments(): Doc {
    const leading = this.tokens[this.at]?.leading ?? [];
    return leading.map(({ text }) => [HARDLINE, text]);
  }
}

/** Nothing is printed between one of these and the token before it. */
const UNSPACED: ReadonlySet<TokenType> = new Set([Comma, Semicolon, Dot]);

function printLeading({ text, isBeforeNewline }: PlacedComment): Doc {
  return [text, isBeforeNewline ? HARDLINE : " "];
}

function printGlued(comment: PlacedComment): Doc {
  return comment.isBeforeNewline ? printSuffix(comment) : [comment.text, " "];
}

function printSuffix({ text }: PlacedComment): Doc {
  return [{ kind: "suffix", text }, BREAK_PARENT];
}
