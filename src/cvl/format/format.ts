/**
 * One way to write a CVL file. Comments are kept, and their order; strings stay as they are written, at most one blank line is
 * kept between statements. Formatting what is formatted changes nothing.
 */
import type { TokenType } from "chevrotain";
import type { Diagnostic } from "../../diagnostics.ts";
import { CommentedTokens, type PlacedComment } from "./comments.ts";
import { BREAK_PARENT, type Doc, DocPrinter, group, HARDLINE, indent, LINE } from "./doc.ts";
import { parse } from "../parse/parser.ts";
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
const NONE: readonly PlacedComment[] = [];

/** The formatted text; a text with errors is left as it is. */
export function format(
  text: string,
  displayName: string,
): { readonly text: string; readonly diagnostics: readonly Diagnostic[] } {
  const { diagnostics } = parse(text, displayName);
  if (diagnostics.length > 0) return { text, diagnostics };
  const formatted = new FilePrinter(new CommentedTokens(text, displayName)).print();
  return { text: formatted === "" ? "" : `${formatted}\n`, diagnostics };
}

/**
 * Goes through the tokens of a file without syntax errors, one method a grammar rule, and prints statement by statement. What
 * may begin a line is a unit: a statement, a value of a list, a pair of a map. A comment stays where a line may end or begin.
 * One in the middle of a unit moves before it, one before the sign that ends a unit behind that sign: so none passes another.
 */
class FilePrinter {
  private at = 0;
  private readonly printer = new DocPrinter(WIDTH);
  /** The token whose comments above it are printed by `above`. */
  private first = -1;
  /** Comments after the token printed last, as long as it is not clear whether the line ends there. */
  private trailing: readonly PlacedComment[] = NONE;
  /** Comments of the unit being printed that move before it. */
  private moved: readonly PlacedComment[] = NONE;
  /** Comments that move to the end of the line. */
  private late: readonly PlacedComment[] = NONE;
  /** Comments that move to the next line, since a line comment is there already: above what comes next. */
  private carried: readonly PlacedComment[] = NONE;
  private readonly tokens: CommentedTokens;

  constructor(tokens: CommentedTokens) {
    this.tokens = tokens;
  }

  print(): string {
    let isFirst = true;
    let wasObject = false;
    while (this.at < this.tokens.length - 1) {
      const isObject = this.isObjectNext();
      const needsBlank = isObject || wasObject;
      if (isObject) this.object(isFirst);
      else this.printStatement({ isFirst, needsBlank, indentation: 0 }, () => this.fileItem());
      isFirst = false;
      wasObject = isObject;
    }
    this.printer.print(ownLines(this.leading(), isFirst));
    return this.printer.text();
  }

  private isObjectNext(): boolean {
    const next = this.tokens.type(this.at + 1);
    return (next === Extends || next === LeftBrace) && this.peek() !== Import;
  }

  /** A statement, below the comments above it and those that move there. */
  private printStatement(
    where: { readonly isFirst: boolean; readonly needsBlank: boolean; readonly indentation: number },
    print: () => Doc,
  ): void {
    const above = this.above(where.isFirst, where.needsBlank);
    this.first = this.at;
    const doc = print();
    const moved = this.moved.map(({ text }) => [text, HARDLINE]);
    this.moved = NONE;
    this.printer.print([above, moved, doc], where.indentation);
  }

  /** An import, or an assignment outside of objects. */
  private fileItem(): Doc {
    const first = this.glued();
    if (this.peek() !== LeftBrace) return this.assignment(first);
    return [group([first, " ", this.map(this.glued), " ", this.closing()]), this.lastOnLine()];
  }

  private object(isFirst: boolean): void {
    this.printStatement({ isFirst, needsBlank: true, indentation: 0 }, () => {
      const head: Doc[] = [this.glued()];
      while (this.peek() !== LeftBrace) head.push(" ", this.glued());
      head.push(" ", this.glued());
      return this.peek() === RightBrace ? [head, this.emptyBody()] : [head, this.lineEnd()];
    });
    if (this.tokens.type(this.at - 1) === RightBrace) return;
    this.printer.print(HARDLINE, 1);
    for (let isTop = true; this.peek() !== RightBrace; isTop = false)
      this.printStatement({ isFirst: isTop, needsBlank: false, indentation: 1 }, () => this.statement());
    this.printer.print(ownLines(this.leading(), false), 1);
    this.printer.print([HARDLINE, this.end(), this.lineEnd()]);
  }

  private emptyBody(): Doc {
    const comments = [...this.trailing, ...this.leading()];
    this.trailing = NONE;
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
    const names: Doc[] = [this.lineEnd(), LINE, this.unit(this.end)];
    while (this.peek() === Comma) names.push(this.lastOnLine(), LINE, this.unit(this.end));
    return indent(names);
  }

  private assignment(target: Doc): Doc {
    if (!this.isList()) {
      return [group([target, " ", this.glued(), " ", this.value(this.glued)]), this.lastOnLine()];
    }
    const head: Doc = [target, " ", this.glued(), this.lineEnd()];
    const values: Doc[] = [LINE, this.unit(() => this.value(this.end))];
    while (this.peek() === Comma)
      values.push(
        this.lastOnLine(),
        LINE,
        this.unit(() => this.value(this.end)),
      );
    return [group([head, indent(values)]), this.lastOnLine()];
  }

  /** Whether the assignment has several values. */
  private isList(): boolean {
    let depth = 0;
    for (let at = this.at; at < this.tokens.length; at += 1) {
      const type = this.tokens.type(at);
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
    if (this.peek() !== Dot) return first;
    const names: Doc[] = [first];
    while (this.peek() === Dot) names.push(this.glued(), this.glued());
    return names;
  }

  /** Stays broken when its first key is on a line of its own. */
  private map(first: () => Doc): Doc {
    const isBroken = this.tokens.isAfterNewline(this.at + 1);
    const open = [first(), this.lineEnd()];
    const pairs: Doc[] = [];
    while (this.peek() !== RightBrace) pairs.push(LINE, this.pair());
    const comments = this.leading().map(({ text }) => [HARDLINE, text]);
    return group([isBroken ? BREAK_PARENT : "", open, indent([pairs, comments]), LINE, this.end()]);
  }

  /** With its comma; the last pair has one exactly when the map is broken. */
  private pair(): Doc {
    const pair = this.unit(() => [this.end(), " ", this.glued(), " ", this.value(this.glued)]);
    const isComma = this.peek() === Comma;
    if (isComma && this.tokens.type(this.at + 1) !== RightBrace) return [pair, this.lastOnLine()];
    if (isComma) this.closing();
    return [pair, { kind: "if-broken", text: "," }, this.lineEnd()];
  }

  private peek(): TokenType | undefined {
    return this.tokens.type(this.at);
  }

  /** The comments before the next token. */
  private leading(): readonly PlacedComment[] {
    const comments = this.tokens.leading(this.at);
    if (this.carried.length === 0) return comments;
    const all = [...this.carried, ...comments];
    this.carried = NONE;
    return all;
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
    if (!isTop) docs.push(HARDLINE, this.tokens.isAfterBlank(this.at) || blank ? HARDLINE : "");
    return docs;
  }

  /** What may begin a line, behind the comments before it and those in it. */
  private unit(print: () => Doc): Doc {
    const leading = this.leading();
    const outer = this.moved;
    this.moved = NONE;
    const doc = print();
    const comments = leading.length + this.moved.length === 0 ? undefined : [...leading, ...this.moved];
    this.moved = outer;
    if (comments === undefined) return doc;
    return [comments.map(({ text, isBeforeNewline }) => [text, isBeforeNewline ? HARDLINE : " "]), doc];
  }

  /** A token that stays on the line of the one before it. */
  private readonly glued = (): Doc => {
    const leading = this.at === this.first ? NONE : this.leading();
    if (this.trailing.length + leading.length > 0) this.moved = [...this.moved, ...this.trailing, ...leading];
    return this.end();
  };

  /** A token after which comments of the unit it ends are printed. */
  private closing(): Doc {
    const leading = this.leading();
    if (this.trailing.length + leading.length > 0) this.late = [...this.late, ...this.trailing, ...leading];
    return this.end();
  }

  /** A comma or semicolon: it stays on the line of the token before it and is the last there. */
  private lastOnLine(): Doc {
    const token = this.closing();
    const comments = this.lineEnd();
    return comments === "" ? token : [token, comments];
  }

  /** A token whose leading comments are printed already. */
  private readonly end = (): Doc => {
    const { at } = this;
    this.at += 1;
    this.trailing = this.tokens.trailing(at);
    return this.tokens.source(at);
  };

  /** The comments that end the line of the token before. */
  private lineEnd(): Doc {
    if (this.late.length + this.trailing.length === 0) return "";
    const comments = [...this.late, ...this.trailing];
    const line = comments.findIndex(({ text }) => text.startsWith("//"));
    if (line !== -1) this.carried = comments.splice(line + 1);
    this.late = NONE;
    this.trailing = NONE;
    return comments.map(({ text }) => [{ kind: "suffix", text }, BREAK_PARENT]);
  }
}

/** Comments that nothing follows, each on a line of its own. */
function ownLines(comments: readonly PlacedComment[], isFirst: boolean): Doc {
  return comments.map(({ text, isAfterBlank }, index) =>
    index === 0 && isFirst ? text : [HARDLINE, isAfterBlank ? HARDLINE : "", text],
  );
}
