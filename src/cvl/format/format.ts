/**
 * One way to write a CVL file. Comments are kept, strings stay as they are written, at most one blank line is kept between
 * statements. Formatting what is formatted changes nothing.
 */
import type { TokenType } from "chevrotain";
import type { Diagnostic } from "../../diagnostics.ts";
import { attachComments, type PlacedComment, type TokenWithComments } from "./comments.ts";
import { BREAK_PARENT, type Doc, group, HARDLINE, indent, LINE, printDoc } from "./doc.ts";
import { tokenize } from "../parse/lexer.ts";
import { parse } from "../parse/parser.ts";
import { createReporter } from "../report.ts";
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
} from "../parse/tokens.ts";

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

/**
 * Goes through the tokens of a file without syntax errors, one method a grammar rule. A comment stays where a line may end
 * or begin; one in the middle of what is kept on a line moves above its statement.
 */
class FilePrinter {
  private at = 0;
  /** The token whose comments above it are printed by `withComments`. */
  private first = -1;
  /** Comments after the token printed last, as long as it is not clear whether the line ends there. */
  private trailing: readonly PlacedComment[] = [];
  /** Comments of the statement being printed that move above it. */
  private moved: PlacedComment[] = [];
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
      docs.push(this.withComments(docs.length === 0, isObject || wasObject, () => this.fileItem(isObject)));
      wasObject = isObject;
    }
    docs.push(ownLines(this.leading(), docs.length === 0));
    return docs;
  }

  private isObjectNext(): boolean {
    const next = this.tokens[this.at + 1]?.token.tokenType;
    return (next === Extends || next === LeftBrace) && this.peek() !== Import;
  }

  private fileItem(isObject: boolean): Doc {
    if (isObject) return this.object();
    const first = this.glued();
    if (this.peek() !== LeftBrace) return this.assignment(first);
    return [group([first, " ", this.map(this.glued), " ", this.glued()]), this.lastOnLine()];
  }

  private object(): Doc {
    const head: Doc[] = [this.glued()];
    while (this.peek() !== LeftBrace) head.push(" ", this.glued());
    head.push(" ", this.glued());
    if (this.peek() === RightBrace) return [head, this.emptyBody()];
    head.push(this.lineEnd());
    const body: Doc[] = [];
    while (this.peek() !== RightBrace) {
      body.push(this.withComments(body.length === 0, false, () => this.statement()));
    }
    const comments = ownLines(this.leading(), false);
    return [head, indent([HARDLINE, body, comments]), HARDLINE, this.end(), this.lineEnd()];
  }

  private emptyBody(): Doc {
    const comments = [...this.trailing, ...this.leading()];
    this.trailing = [];
    const body = comments.length === 0 ? "" : [indent([HARDLINE, ownLines(comments, true)]), HARDLINE];
    return [body, this.end(), this.lineEnd()];
  }

  private statement(): Doc {
    const isVariable = this.peek() === Var;
    const head: Doc[] = [this.glued()];
    while (isVariable && this.peek() === StringLiteral) head.push(" ", this.glued());
    if (isVariable) return [group([head, this.names()]), this.lastOnLine()];
    const path = this.path(head);
    if (this.peek() === Equals) return this.assignment(path);
    return [group([path, this.names()]), this.lastOnLine()];
  }

  private names(): Doc {
    const names: Doc[] = [this.lineEnd(), LINE, this.breakable()];
    while (this.peek() === Comma) names.push(this.lastOnLine(), LINE, this.breakable());
    return indent(names);
  }

  private assignment(target: Doc): Doc {
    if (!this.isList()) {
      return [group([target, " ", this.glued(), " ", this.value(this.glued)]), this.lastOnLine()];
    }
    const head: Doc = [target, " ", this.lastOnLine()];
    const values: Doc[] = [LINE, this.value(this.breakable)];
    while (this.peek() === Comma) values.push(this.lastOnLine(), LINE, this.value(this.breakable));
    return [group([head, indent(values)]), this.lastOnLine()];
  }

  /** Whether the assignment has several values. */
  private isList(): boolean {
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
    return this.peek() === LeftBrace ? this.map(first) : this.path(first());
  }

  private path(first: Doc): Doc {
    const names: Doc[] = [first];
    while (this.peek() === Dot) names.push(this.glued(), this.glued());
    return names;
  }

  /** Stays broken when its first key is on a line of its own. */
  private map(first: () => Doc): Doc {
    const isBroken = this.tokens[this.at + 1]?.isAfterNewline === true;
    const open = [first(), this.lineEnd()];
    const pairs: Doc[] = [];
    while (this.peek() !== RightBrace) pairs.push(LINE, this.pair());
    const comments = this.leading().map(({ text }) => [HARDLINE, text]);
    return group([isBroken ? BREAK_PARENT : "", open, indent([pairs, comments]), LINE, this.end()]);
  }

  /** With its comma; the last pair has one exactly when the map is broken. */
  private pair(): Doc {
    const pair: Doc[] = [this.breakable(), " ", this.glued(), " ", this.value(this.glued)];
    const isComma = this.peek() === Comma;
    if (isComma && this.tokens[this.at + 1]?.token.tokenType !== RightBrace) return [pair, this.lastOnLine()];
    if (isComma) this.leaveOut();
    return [pair, { kind: "if-broken", text: "," }, this.lineEnd()];
  }

  private peek(): TokenType | undefined {
    return this.tokens[this.at]?.token.tokenType;
  }

  private leading(): readonly PlacedComment[] {
    return this.tokens[this.at]?.leading ?? [];
  }

  /** A statement, below the comments above it and those that move there. */
  private withComments(isFirst: boolean, needsBlank: boolean, print: () => Doc): Doc {
    const above = this.above(isFirst, needsBlank);
    const outer = this.moved;
    this.moved = [];
    this.first = this.at;
    const doc = print();
    const moved = this.moved.map(({ text }) => [text, HARDLINE]);
    this.moved = outer;
    return [above, moved, doc];
  }

  /** Line ends and comments above a statement. */
  private above(isFirst: boolean, needsBlank: boolean): Doc {
    const docs: Doc[] = [];
    let isTop = isFirst;
    let blank = needsBlank;
    for (const { text, isAfterBlank } of this.leading()) {
      if (!isTop) docs.push(HARDLINE, isAfterBlank || blank ? HARDLINE : "");
      docs.push(text);
      isTop = false;
      blank = false;
    }
    if (!isTop) docs.push(HARDLINE, this.tokens[this.at]?.isAfterBlank === true || blank ? HARDLINE : "");
    return docs;
  }

  /** A token that may begin a line. */
  private readonly breakable = (): Doc => {
    const leading = this.leading().map(({ text, isBeforeNewline }) => [
      text,
      isBeforeNewline ? HARDLINE : " ",
    ]);
    return [leading, this.end()];
  };

  /** A token that stays on the line of the one before it. */
  private readonly glued = (): Doc => {
    this.moved.push(...this.trailing, ...(this.at === this.first ? [] : this.leading()));
    return this.end();
  };

  /** A token that stays on the line of the one before it and is the last there. */
  private lastOnLine(): Doc {
    return [this.glued(), this.lineEnd()];
  }

  /** A token whose leading comments are printed already. */
  private end(): Doc {
    const entry = this.tokens[this.at];
    this.at += 1;
    this.trailing = entry?.trailing ?? [];
    return entry?.source ?? "";
  }

  /** A comma that is printed in another way. */
  private leaveOut(): void {
    const before = this.trailing;
    this.moved.push(...this.leading());
    this.end();
    if (before.length === 0) return;
    this.moved.push(...this.trailing);
    this.trailing = before;
  }

  /** The comments that end the line of the token before. */
  private lineEnd(): Doc {
    const comments = this.trailing;
    this.trailing = [];
    return comments.map(({ text }) => [{ kind: "suffix", text }, BREAK_PARENT]);
  }
}

/** Comments that nothing follows, each on a line of its own. */
function ownLines(comments: readonly PlacedComment[], isFirst: boolean): Doc {
  return comments.map(({ text, isAfterBlank }, index) =>
    index === 0 && isFirst ? text : [HARDLINE, isAfterBlank ? HARDLINE : "", text],
  );
}
