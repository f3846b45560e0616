/** The vocabulary of CVL, and the token our lexer hands to chevrotain's parser. */
import { createToken, Lexer, type IToken, type TokenType } from "chevrotain";

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

/** A token with offsets only; `image` is the source text, for a string literal its decoded content. */
export class CvlToken implements IToken {
  readonly image: string;
  readonly startOffset: number;
  /** Of the last character, as chevrotain counts. */
  readonly endOffset: number;
  readonly tokenTypeIdx: number;
  readonly tokenType: TokenType;

  constructor(tokenType: TokenType, image: string, start: number, end: number) {
    this.image = image;
    this.startOffset = start;
    this.endOffset = end - 1;
    this.tokenTypeIdx = tokenType.tokenTypeIdx ?? 0;
    this.tokenType = tokenType;
  }
}
