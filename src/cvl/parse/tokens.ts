/** The vocabulary of CVL, and the token our lexer hands to chevrotain's parser. */
import { createToken, EOF, Lexer, type IToken, type TokenType } from "chevrotain";

export const Identifier = createToken({ name: "Identifier", label: "a name", pattern: Lexer.NA });
export const StringLiteral = createToken({
  name: "StringLiteral",
  label: "a string in double quotes",
  pattern: Lexer.NA,
});
export const Import = createToken({ name: "Import", label: "`import`", pattern: Lexer.NA });
export const Var = createToken({ name: "Var", label: "`var`", pattern: Lexer.NA });
export const Extends = createToken({ name: "Extends", label: "`extends`", pattern: Lexer.NA });
export const LeftBrace = createToken({ name: "LeftBrace", label: "`{`", pattern: Lexer.NA });
export const RightBrace = createToken({ name: "RightBrace", label: "`}`", pattern: Lexer.NA });
export const Comma = createToken({ name: "Comma", label: "`,`", pattern: Lexer.NA });
export const Semicolon = createToken({ name: "Semicolon", label: "`;`", pattern: Lexer.NA });
export const Equals = createToken({ name: "Equals", label: "`=`", pattern: Lexer.NA });
export const Arrow = createToken({ name: "Arrow", label: "`=>`", pattern: Lexer.NA });
export const Dot = createToken({ name: "Dot", label: "`.`", pattern: Lexer.NA });

export const VOCABULARY: TokenType[] = [
  Identifier,
  StringLiteral,
  Import,
  Var,
  Extends,
  LeftBrace,
  RightBrace,
  Comma,
  Semicolon,
  Equals,
  Arrow,
  Dot,
];

/** Words that are no names. */
export const KEYWORDS: ReadonlyMap<string, TokenType> = new Map([
  ["import", Import],
  ["var", Var],
  ["extends", Extends],
]);

const EOF_INDEX = EOF.tokenTypeIdx ?? 1;

/** A token with offsets only. A parser that keeps none hands the same few out again and again. */
export class CvlToken implements IToken {
  tokenType: TokenType = EOF;
  tokenTypeIdx = EOF_INDEX;
  /** The source text; for a string literal its decoded content. */
  image = "";
  startOffset = 0;
  /** Of the last character, as chevrotain counts. */
  endOffset = -1;

  set(tokenType: TokenType, image: string, start: number, end: number): this {
    this.tokenType = tokenType;
    this.tokenTypeIdx = tokenType.tokenTypeIdx ?? EOF_INDEX;
    this.image = image;
    this.startOffset = start;
    this.endOffset = end - 1;
    return this;
  }
}
