/**
 * The fast path: text without mistakes to the syntax tree, by recursive descent over tokens as the lexer makes them; it gives up
 * at the first mistake.
 * grammar.ts has the grammar and goes on after mistakes, but takes several times as long, most of it for what makes that
 * possible. Both make the same tree of every text without mistakes: test/cvl/properties.test.ts compares them.
 */
import { EOF, type TokenType } from "chevrotain";
import type { FileBody } from "./grammar.ts";
import type { Lexer } from "./lexer.ts";
import type {
  AssignmentSyntax,
  ImportSyntax,
  MapSyntax,
  NameSyntax,
  ObjectSyntax,
  PairSyntax,
  PathSyntax,
  StatementSyntax,
  StringSyntax,
  ValueSyntax,
  VariableSyntax,
} from "./syntax.ts";
import {
  Arrow,
  Comma,
  CvlToken,
  Dot,
  Equals,
  Extends,
  Identifier,
  Import,
  LeftBrace,
  RightBrace,
  Semicolon,
  StringLiteral,
  Var,
} from "./tokens.ts";

/** The file's content, or undefined when there is anything wrong with its syntax. */
export function parseFast(lexer: Lexer): FileBody | undefined {
  try {
    return new FastParser(lexer).file();
  } catch (error) {
    if (error === GIVE_UP) return undefined;
    throw error;
  }
}

const GIVE_UP = new Error("the syntax is wrong");

class FastParser {
  private readonly lexer: Lexer;
  /** The one token of lookahead: the lexer makes each in place of the one before. */
  private readonly token = new CvlToken();
  /** Where the token before it ends. */
  private end = 0;

  constructor(lexer: Lexer) {
    this.lexer = lexer;
    lexer.read(this.token);
  }

  file(): FileBody {
    const body: FileBody = { imports: [], assignments: [], objects: [] };
    while (this.token.tokenType !== EOF) {
      if (this.token.tokenType === Import) {
        body.imports.push(this.importStatement());
      } else {
        const name = this.name(Identifier);
        if (this.token.tokenType === Equals) body.assignments.push(this.fileAssignment(name));
        else body.objects.push(this.object(name));
      }
    }
    return body;
  }

  private importStatement(): ImportSyntax {
    const start = this.token.startOffset;
    this.expect(Import);
    const map = this.map();
    const name = this.name(Identifier);
    this.expect(Semicolon);
    return { map, name, start, end: this.end };
  }

  private fileAssignment({ text, start, end }: NameSyntax): AssignmentSyntax {
    const target = { names: [text], start, end };
    const values = this.values();
    return { kind: "assignment", target, values, start, end: this.end };
  }

  private object(name: NameSyntax): ObjectSyntax {
    const base = this.take(Extends) ? this.name(Identifier) : undefined;
    this.expect(LeftBrace);
    const statements: StatementSyntax[] = [];
    while (!this.take(RightBrace)) statements.push(this.statement());
    return { name, base, statements, isDamaged: false, start: name.start, end: this.end };
  }

  private statement(): StatementSyntax {
    if (this.token.tokenType === Var) return this.variable();
    const target = this.path();
    const { start } = target;
    if (this.token.tokenType === Equals) {
      const values = this.values();
      return { kind: "assignment", target, values, start, end: this.end };
    }
    const names = this.names();
    return { kind: "component", class: target, names, start, end: this.end };
  }

  private variable(): VariableSyntax {
    const start = this.token.startOffset;
    this.expect(Var);
    const attributes: StringSyntax[] = [];
    while (this.token.tokenType === StringLiteral) attributes.push(this.string());
    const names = this.names();
    return { kind: "variable", attributes, names, start, end: this.end };
  }

  /** Names and the semicolon. */
  private names(): NameSyntax[] {
    const names = [this.name(Identifier)];
    while (this.take(Comma)) names.push(this.name(Identifier));
    this.expect(Semicolon);
    return names;
  }

  /** `=`, values and the semicolon. */
  private values(): ValueSyntax[] {
    this.expect(Equals);
    const values = [this.value()];
    while (this.take(Comma)) values.push(this.value());
    this.expect(Semicolon);
    return values;
  }

  private value(): ValueSyntax {
    const { tokenType } = this.token;
    if (tokenType === StringLiteral) return this.string();
    if (tokenType === LeftBrace) return this.map();
    const { names, start, end } = this.path();
    return { kind: "reference", names, start, end };
  }

  /** Nesting is bounded by the lexer. */
  private map(): MapSyntax {
    const start = this.token.startOffset;
    this.expect(LeftBrace);
    const pairs = [this.pair()];
    while (this.take(Comma)) {
      if (this.token.tokenType === RightBrace) break;
      pairs.push(this.pair());
    }
    this.expect(RightBrace);
    return { kind: "map", pairs, start, end: this.end };
  }

  private pair(): PairSyntax {
    const key = this.name(this.token.tokenType === StringLiteral ? StringLiteral : Identifier);
    this.expect(Arrow);
    const value = this.value();
    return { key, value, start: key.start, end: value.end };
  }

  private path(): PathSyntax {
    const start = this.token.startOffset;
    const first = this.image(Identifier);
    if (!this.take(Dot)) return { names: [first], start, end: this.end };
    // Two names are by far the most: a list that is made of two takes a sixth of one that grew.
    const names = [first, this.image(Identifier)];
    while (this.take(Dot)) names.push(this.image(Identifier));
    return { names, start, end: this.end };
  }

  private name(type: TokenType): NameSyntax {
    const start = this.token.startOffset;
    const text = this.image(type);
    return { text, start, end: this.end };
  }

  private string(): StringSyntax {
    const start = this.token.startOffset;
    const text = this.image(StringLiteral);
    return { kind: "string", text, start, end: this.end };
  }

  private image(type: TokenType): string {
    const { image } = this.token;
    this.expect(type);
    return image;
  }

  private expect(type: TokenType): void {
    if (!this.take(type)) throw GIVE_UP;
  }

  /** True, and the next token is read, when this one is of that type. */
  private take(type: TokenType): boolean {
    const { token } = this;
    if (token.tokenType !== type) return false;
    this.end = token.endOffset + 1;
    this.lexer.read(token);
    return true;
  }
}
