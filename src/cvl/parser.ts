/** Tokens to the syntax tree: chevrotain's parser with error recovery, building the tree as it goes (no CST). */
import {
  EmbeddedActionsParser,
  type IRecognitionException,
  type IToken,
  type ParserMethod,
  type TokenType,
} from "chevrotain";
import type { Diagnostic } from "../diagnostics.ts";
import { tokenize } from "./lexer.ts";
import { createReporter, type Reporter } from "./report.ts";
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
  SyntaxFile,
  ValueSyntax,
  VariableSyntax,
} from "./syntax.ts";
import { reportSyntaxErrors, SYNTAX_MESSAGES } from "./syntax-errors.ts";
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

/** The tree of `text` and every syntax error in it; never throws. */
export function parse(
  text: string,
  displayName: string,
): { readonly file: SyntaxFile; readonly diagnostics: readonly Diagnostic[] } {
  const reporter = createReporter();
  const file = parseInto(text, displayName, reporter);
  return { file, diagnostics: sortByPlace(reporter.diagnostics) };
}

function parseInto(text: string, displayName: string, reporter: Reporter): SyntaxFile {
  const { tokens, comments } = tokenize(text, displayName, reporter);
  parser ??= new CvlParser();
  const { body, errors } = parser.run(tokens);
  const damage = reportSyntaxErrors(errors, tokens, { displayName, text }, reporter);
  damage.push(...reporter.diagnostics.map(({ span }) => span?.start ?? 0));
  return { displayName, text, ...body, objects: markDamage(body.objects, damage, text.length), comments };
}

function markDamage(objects: ObjectSyntax[], damage: readonly number[], end: number): ObjectSyntax[] {
  if (damage.length === 0) return objects;
  return objects.map((object) => ({
    ...object,
    end: Math.min(object.end, end),
    isDamaged: damage.some((offset) => offset >= object.start && offset <= object.end),
  }));
}

/** The lexer's findings come before the parser's; a reader goes from top to bottom. */
function sortByPlace(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  return [...diagnostics].sort((left, right) => (left.span?.start ?? 0) - (right.span?.start ?? 0));
}

/** Built at the first use and used for every file: its tables take longer to make than a small file to parse. */
let parser: CvlParser | undefined;

interface FileBody {
  readonly imports: ImportSyntax[];
  readonly assignments: AssignmentSyntax[];
  readonly objects: ObjectSyntax[];
}

/** Thrown to leave the parser when more errors would not be shown. */
const GIVE_UP = new Error("too many syntax errors");
const MAX_SYNTAX_ERRORS = 1000;

/** One lookahead token decides everywhere, except whether a map's comma is its last. */
class CvlParser extends EmbeddedActionsParser {
  private body: FileBody = { imports: [], assignments: [], objects: [] };
  private saved: IRecognitionException[] = [];
  /** Of the object whose rule comes next. */
  private objectName: NameSyntax = { text: "", start: 0, end: 0 };
  private readonly file: ParserMethod<[], void>;
  private readonly importStatement: ParserMethod<[], void>;
  private readonly fileItem: ParserMethod<[], void>;
  private readonly object: ParserMethod<[], void>;
  private readonly statement: ParserMethod<[], StatementSyntax | undefined>;
  private readonly variable: ParserMethod<[], VariableSyntax | undefined>;
  private readonly assignmentOrComponent: ParserMethod<[], StatementSyntax | undefined>;
  private readonly nameList: ParserMethod<[], NameSyntax[] | undefined>;
  private readonly valueList: ParserMethod<[], ValueSyntax[] | undefined>;
  private readonly value: ParserMethod<[], ValueSyntax | undefined>;
  private readonly path: ParserMethod<[], PathSyntax | undefined>;
  private readonly map: ParserMethod<[], MapSyntax | undefined>;
  private readonly pair: ParserMethod<[], PairSyntax | undefined>;

  constructor() {
    super(VOCABULARY, {
      recoveryEnabled: true,
      maxLookahead: 1,
      skipValidations: true,
      errorMessageProvider: SYNTAX_MESSAGES,
    });

    this.file = this.RULE("file", () => {
      this.MANY(() => {
        this.OR([
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
        ]);
      });
    });

    this.importStatement = this.RULE("importStatement", () => {
      const start = this.CONSUME(Import).startOffset;
      const map = this.SUBRULE(this.map);
      const name = makeName(this.CONSUME(Identifier));
      this.CONSUME(Semicolon);
      this.ACTION(() => {
        if (map !== undefined) this.body.imports.push({ map, name, start, end: this.previousEnd() });
      });
    });

    this.fileItem = this.RULE("fileItem", () => {
      const name = makeName(this.CONSUME(Identifier));
      this.OR([
        {
          ALT: () => {
            this.CONSUME(Equals);
            const values = this.SUBRULE(this.valueList);
            this.CONSUME(Semicolon);
            this.ACTION(() => {
              const { start, end } = name;
              const target = { names: [name.text], start, end };
              this.body.assignments.push({
                kind: "assignment",
                target,
                values: values ?? [],
                start,
                end: this.previousEnd(),
              });
            });
          },
        },
        {
          ALT: () => {
            this.objectName = name;
            this.SUBRULE(this.object);
          },
        },
      ]);
    });

    this.object = this.RULE("object", () => {
      const name = this.objectName;
      const base = this.OPTION(() => {
        this.CONSUME(Extends);
        return makeName(this.CONSUME(Identifier));
      });
      this.CONSUME(LeftBrace);
      const statements: StatementSyntax[] = [];
      // Kept before its end is seen: an object without a closing brace is still there.
      const object: Writable<ObjectSyntax> = {
        name,
        base,
        statements,
        isDamaged: false,
        start: name.start,
        end: Number.MAX_SAFE_INTEGER,
      };
      this.body.objects.push(object);
      this.MANY(() => {
        const statement = this.SUBRULE(this.statement);
        if (statement !== undefined) statements.push(statement);
      });
      this.CONSUME(RightBrace);
      object.end = this.previousEnd();
    });

    this.statement = this.RULE("statement", () =>
      this.OR<StatementSyntax | undefined>([
        { ALT: () => this.SUBRULE(this.variable) },
        { ALT: () => this.SUBRULE(this.assignmentOrComponent) },
      ]),
    );

    this.variable = this.RULE("variable", (): VariableSyntax | undefined => {
      const start = this.CONSUME(Var).startOffset;
      const attributes: StringSyntax[] = [];
      this.MANY(() => {
        attributes.push(makeString(this.CONSUME(StringLiteral)));
      });
      const names = this.SUBRULE(this.nameList);
      this.CONSUME(Semicolon);
      return { kind: "variable", attributes, names: names ?? [], start, end: this.previousEnd() };
    });

    this.assignmentOrComponent = this.RULE("assignmentOrComponent", (): StatementSyntax | undefined => {
      const path = this.SUBRULE(this.path);
      let values: ValueSyntax[] | undefined;
      let names: NameSyntax[] | undefined;
      this.OR([
        {
          ALT: () => {
            this.CONSUME(Equals);
            values = this.SUBRULE(this.valueList) ?? [];
          },
        },
        {
          ALT: () => {
            names = this.SUBRULE(this.nameList) ?? [];
          },
        },
      ]);
      this.CONSUME(Semicolon);
      if (path === undefined) return undefined;
      const { start } = path;
      const end = this.previousEnd();
      if (values !== undefined) return { kind: "assignment", target: path, values, start, end };
      return { kind: "component", class: path, names: names ?? [], start, end };
    });

    this.nameList = this.RULE("nameList", () => {
      const names: NameSyntax[] = [];
      this.AT_LEAST_ONE_SEP({
        SEP: Comma,
        DEF: () => {
          names.push(makeName(this.CONSUME(Identifier)));
        },
      });
      return names;
    });

    this.valueList = this.RULE("valueList", () => {
      const values: ValueSyntax[] = [];
      this.AT_LEAST_ONE_SEP({
        SEP: Comma,
        DEF: () => {
          const value = this.SUBRULE(this.value);
          if (value !== undefined) values.push(value);
        },
      });
      return values;
    });

    this.value = this.RULE("value", () =>
      this.OR<ValueSyntax | undefined>([
        { ALT: () => makeString(this.CONSUME(StringLiteral)) },
        {
          ALT: () => {
            const path = this.SUBRULE(this.path);
            if (path === undefined) return undefined;
            return { kind: "reference", names: path.names, start: path.start, end: path.end };
          },
        },
        { ALT: () => this.SUBRULE(this.map) },
      ]),
    );

    this.path = this.RULE("path", () => {
      const first = this.CONSUME(Identifier);
      const names = [first.image];
      let end = first.endOffset ?? 0;
      this.MANY(() => {
        this.CONSUME(Dot);
        const next = this.CONSUME1(Identifier);
        names.push(next.image);
        end = next.endOffset ?? end;
      });
      return { names, start: first.startOffset, end: end + 1 };
    });

    this.map = this.RULE("map", (): MapSyntax | undefined => {
      const start = this.CONSUME(LeftBrace).startOffset;
      const pairs: PairSyntax[] = [];
      const add = (pair: PairSyntax | undefined) => {
        if (pair !== undefined) pairs.push(pair);
      };
      add(this.SUBRULE(this.pair));
      this.MANY({
        MAX_LOOKAHEAD: 2,
        DEF: () => {
          this.CONSUME(Comma);
          add(this.SUBRULE1(this.pair));
        },
      });
      this.OPTION(() => {
        this.CONSUME1(Comma);
      });
      this.CONSUME(RightBrace);
      return { kind: "map", pairs, start, end: this.previousEnd() };
    });

    this.pair = this.RULE("pair", () => {
      const token = this.OR([
        { ALT: () => this.CONSUME(Identifier) },
        { ALT: () => this.CONSUME(StringLiteral) },
      ]);
      this.CONSUME(Arrow);
      const value = this.SUBRULE(this.value);
      if (value === undefined) return undefined;
      return { key: makeName(token), value, start: token.startOffset, end: value.end };
    });

    this.performSelfAnalysis();
  }

  run(tokens: CvlToken[]): { readonly body: FileBody; readonly errors: readonly IRecognitionException[] } {
    this.body = { imports: [], assignments: [], objects: [] };
    this.saved = [];
    try {
      this.input = tokens;
      this.file();
    } catch (error) {
      if (error !== GIVE_UP) throw error;
    }
    return { body: this.body, errors: this.saved };
  }

  /** Chevrotain calls it for every error; kept apart because a stop by exception must not lose them. */
  protected SAVE_ERROR(error: IRecognitionException): IRecognitionException {
    this.saved.push(error);
    if (this.saved.length > MAX_SYNTAX_ERRORS) throw GIVE_UP;
    return error;
  }

  /** A missing bracket or separator is put in; a missing name or string is not made up. */
  protected override canTokenTypeBeInsertedInRecovery(type: TokenType): boolean {
    return type !== Identifier && type !== StringLiteral;
  }

  protected override getTokenToInsert(type: TokenType): CvlToken {
    const at = this.previousEnd();
    return new CvlToken(type, "", at, at);
  }

  private previousEnd(): number {
    const token = this.LA(0);
    return (token.endOffset ?? 0) + 1;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function makeName(token: IToken): NameSyntax {
  return { text: token.image, start: token.startOffset, end: (token.endOffset ?? 0) + 1 };
}

function makeString(token: IToken): StringSyntax {
  return { kind: "string", text: token.image, start: token.startOffset, end: (token.endOffset ?? 0) + 1 };
}
