/**
 * The grammar of CVL for chevrotain, which builds the syntax tree as it goes (no CST) and goes on after mistakes, to find
 * them all: puts in a missing bracket or separator, leaves out a token, or goes to the next statement. Text without
 * mistakes never comes here: see fast-parser.ts.
 */
import {
  EOF,
  EmbeddedActionsParser,
  type IRecognitionException,
  type IToken,
  type ParserMethod,
  type TokenType,
} from "chevrotain";
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
} from "./syntax.ts";
import { SYNTAX_MESSAGES } from "./syntax-messages.ts";
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
  VOCABULARY,
} from "./tokens.ts";

export interface FileBody {
  readonly imports: ImportSyntax[];
  readonly assignments: AssignmentSyntax[];
  readonly objects: ObjectSyntax[];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * One lookahead token decides everywhere, except whether a map's comma is its last. Alternatives and repetitions are made
 * once, in the constructor: what they work on is in fields where it cannot nest, so that parsing allocates the tree alone.
 */
export class RecoveringParser extends EmbeddedActionsParser {
  /** Chevrotain's own, which its types do not show: what may follow each of the open rules. */
  declare protected readonly flattenFollowSet: () => readonly TokenType[];
  private body: FileBody = { imports: [], assignments: [], objects: [] };
  private saved: IRecognitionException[] = [];
  private readonly file: ParserMethod<[], void>;
  private readonly importStatement: ParserMethod<[], void>;
  private readonly fileItem: ParserMethod<[], void>;
  private readonly object: ParserMethod<[], void>;
  private readonly statement: ParserMethod<[], StatementSyntax | undefined>;
  private readonly value: ParserMethod<[], ValueSyntax | undefined>;
  private readonly map: ParserMethod<[], MapSyntax | undefined>;
  private readonly pair: ParserMethod<[], PairSyntax | undefined>;
  /** Of the item or statement being read: these do not nest. */
  private name: NameSyntax = NO_NAME;
  private statements: StatementSyntax[] = [];
  private names: NameSyntax[] = [];
  private values: ValueSyntax[] = [];
  private segments: string[] = [];
  private segmentsEnd = 0;
  private readonly bodyKinds = {
    DEF: [
      {
        ALT: () => {
          this.CONSUME(Equals);
          this.valueList();
          return true;
        },
      },
      {
        ALT: () => {
          this.nameList(7);
          return false;
        },
      },
    ],
    ERR_MSG: "`=` and a value, or the name of a component",
  };
  private readonly readSegment = (): void => {
    this.CONSUME(Dot);
    const { image, endOffset } = this.CONSUME1(Identifier);
    this.segments.push(image);
    this.segmentsEnd = (endOffset ?? 0) + 1;
  };
  private readonly readNextValue = (): void => {
    this.CONSUME2(Comma);
    const value = this.SUBRULE2(this.value);
    if (value !== undefined) this.values.push(value);
  };

  constructor() {
    super(VOCABULARY, {
      recoveryEnabled: true,
      maxLookahead: 1,
      skipValidations: true,
      errorMessageProvider: SYNTAX_MESSAGES,
    });

    const fileItems = [
      {
        ALT: () => {
          this.SUBRULE(this.importStatement);
        },
      },
      {
        ALT: () => {
          this.SUBRULE(this.fileItem);
        },
      },
    ];
    this.file = this.RULE("file", () => {
      this.MANY(() => {
        this.OR(fileItems);
      });
    });

    this.importStatement = this.RULE("importStatement", () => {
      const start = this.CONSUME(Import).startOffset;
      const map = this.SUBRULE(this.map);
      const name = makeName(this.CONSUME(Identifier));
      this.CONSUME(Semicolon);
      if (map !== undefined) this.body.imports.push({ map, name, start, end: this.previousEnd() });
    });

    const fileItemKinds = [
      {
        ALT: () => {
          const { text, start, end } = this.name;
          this.CONSUME(Equals);
          const values = this.valueList();
          this.CONSUME(Semicolon);
          const target = { names: [text], start, end };
          this.body.assignments.push({ kind: "assignment", target, values, start, end: this.previousEnd() });
        },
      },
      {
        ALT: () => {
          this.SUBRULE(this.object);
        },
      },
    ];
    this.fileItem = this.RULE("fileItem", () => {
      this.name = makeName(this.CONSUME(Identifier));
      this.OR(fileItemKinds);
    });

    const readBase = () => {
      this.CONSUME(Extends);
      return makeName(this.CONSUME(Identifier));
    };
    const readStatement = () => {
      const statement = this.SUBRULE(this.statement);
      if (statement !== undefined) this.statements.push(statement);
    };
    this.object = this.RULE("object", () => {
      const { name } = this;
      const base = this.OPTION(readBase);
      this.CONSUME(LeftBrace);
      const statements: StatementSyntax[] = [];
      this.statements = statements;
      const end = Number.MAX_SAFE_INTEGER;
      const object: Writable<ObjectSyntax> = {
        name,
        base,
        statements,
        isDamaged: false,
        start: name.start,
        end,
      };
      // Kept before its end is seen: an object without a closing brace is still there.
      this.body.objects.push(object);
      this.MANY(readStatement);
      this.CONSUME(RightBrace);
      object.end = this.previousEnd();
    });

    const statementKinds = [{ ALT: () => this.variable() }, { ALT: () => this.assignmentOrComponent() }];
    this.statement = this.RULE("statement", () => this.OR(statementKinds));

    const valueKinds = [
      { ALT: () => makeString(this.CONSUME(StringLiteral)) },
      { ALT: () => this.reference() },
      { ALT: () => this.SUBRULE(this.map) },
    ];
    this.value = this.RULE("value", () => this.OR(valueKinds));

    this.map = this.RULE("map", (): MapSyntax => {
      const start = this.CONSUME(LeftBrace).startOffset;
      const pairs: (PairSyntax | undefined)[] = [this.SUBRULE(this.pair)];
      this.MANY({
        MAX_LOOKAHEAD: 2,
        DEF: () => {
          this.CONSUME(Comma);
          pairs.push(this.SUBRULE1(this.pair));
        },
      });
      this.OPTION(() => {
        this.CONSUME1(Comma);
      });
      this.CONSUME(RightBrace);
      return {
        kind: "map",
        pairs: pairs.filter((pair) => pair !== undefined),
        start,
        end: this.previousEnd(),
      };
    });

    const keyKinds = [
      { ALT: () => makeName(this.CONSUME(Identifier)) },
      { ALT: () => makeName(this.CONSUME(StringLiteral)) },
    ];
    this.pair = this.RULE("pair", (): PairSyntax | undefined => {
      const key = this.OR(keyKinds);
      this.CONSUME(Arrow);
      const value = this.SUBRULE(this.value);
      if (value === undefined) return undefined;
      return { key, value, start: key.start, end: value.end };
    });
    this.performSelfAnalysis();
  }

  /** Part of `statement`, as are all that follow. */
  private variable(): StatementSyntax {
    const start = this.CONSUME(Var).startOffset;
    const attributes: StringSyntax[] = [];
    this.MANY(() => {
      attributes.push(makeString(this.CONSUME(StringLiteral)));
    });
    const names = this.nameList(5);
    this.CONSUME(Semicolon);
    return { kind: "variable", attributes, names, start, end: this.previousEnd() };
  }

  private assignmentOrComponent(): StatementSyntax {
    const target = this.path();
    const isAssignment = this.OR1(this.bodyKinds);
    this.CONSUME1(Semicolon);
    const { start } = target;
    const end = this.previousEnd();
    if (isAssignment) return { kind: "assignment", target, values: this.values, start, end };
    return { kind: "component", class: target, names: this.names, start, end };
  }

  /** `index` tells the places in one rule apart, as chevrotain wants; it uses the next one as well. */
  private nameList(index: number): NameSyntax[] {
    this.names = [makeName(this.consume(index, Identifier))];
    this.many(index, () => {
      this.consume(index, Comma);
      this.names.push(makeName(this.consume(index + 1, Identifier)));
    });
    return this.names;
  }

  /** Part of `statement` and `fileItem`. A value never has a list in it. */
  private valueList(): ValueSyntax[] {
    const first = this.SUBRULE1(this.value);
    const values = first === undefined ? [] : [first];
    this.values = values;
    this.MANY2(this.readNextValue);
    return values;
  }

  /** Part of `value`. */
  private reference(): ValueSyntax {
    const { names, start, end } = this.path();
    return { kind: "reference", names, start, end };
  }

  /** Part of `statement` and `value`. */
  private path(): PathSyntax {
    const { image, startOffset, endOffset } = this.CONSUME(Identifier);
    this.segments = [image];
    this.segmentsEnd = (endOffset ?? 0) + 1;
    this.MANY1(this.readSegment);
    return { names: this.segments, start: startOffset, end: this.segmentsEnd };
  }

  run(tokens: CvlToken[]): { readonly body: FileBody; readonly errors: readonly IRecognitionException[] } {
    this.body = { imports: [], assignments: [], objects: [] };
    this.saved = [];
    this.input = tokens;
    try {
      this.file();
    } catch (error) {
      if (error !== GIVE_UP) throw error;
    }
    return { body: this.body, errors: this.saved };
  }

  /** Chevrotain calls it for every error; kept apart because a stop by exception must not lose them. */
  protected SAVE_ERROR(error: IRecognitionException): IRecognitionException {
    error.context = { ruleStack: [], ruleOccurrenceStack: [] };
    this.saved.push(error);
    if (this.saved.length > MAX_SYNTAX_ERRORS) throw GIVE_UP;
    return error;
  }

  /**
   * Chevrotain looks through the tokens that follow for one that an open rule can go on with. Where that is the end of the file alone
   * there is nothing to look for: a mistake would cost a look at the whole file.
   */
  protected findReSyncTokenType(): TokenType {
    const types = this.flattenFollowSet();
    for (let k = 1; types.some((type) => type !== EOF); k += 1) {
      const { tokenType } = this.LA(k);
      if (types.includes(tokenType)) return tokenType;
    }
    return EOF;
  }

  /** A missing name or string is not made up. */
  protected override canTokenTypeBeInsertedInRecovery(type: TokenType): boolean {
    return type !== Identifier && type !== StringLiteral;
  }

  protected override getTokenToInsert(type: TokenType): CvlToken {
    const at = this.previousEnd();
    return new CvlToken().set(type, "", at, at);
  }

  private previousEnd(): number {
    const { endOffset } = this.LA(0);
    return (endOffset ?? 0) + 1;
  }
}

/** Thrown to leave a parser; not an error chevrotain knows, so it does not try to recover. */
const GIVE_UP = new Error("the syntax is wrong");
const MAX_SYNTAX_ERRORS = 1000;

const NO_NAME: NameSyntax = { text: "", start: 0, end: 0 };

function makeName({ image, startOffset, endOffset }: IToken): NameSyntax {
  return { text: image, start: startOffset, end: (endOffset ?? 0) + 1 };
}

function makeString({ image, startOffset, endOffset }: IToken): StringSyntax {
  return { kind: "string", text: image, start: startOffset, end: (endOffset ?? 0) + 1 };
}
