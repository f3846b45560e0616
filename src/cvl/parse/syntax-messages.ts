/** Chevrotain's messages in our words: only what was expected; what came is added where they are reported. */
import { EOF, type IParserErrorMessageProvider, type TokenType } from "chevrotain";
import { RightBrace } from "./tokens.ts";

/** What may stand where a rule has a choice or must begin. */
const EXPECTED_BY_RULE: Readonly<Record<string, string>> = {
  file: "`import`, or an object `Name extends Base { … }`",
  fileItem: "`extends`, `{` or `=`",
  statement: "a statement or `}`",
  value: "a value (a string, a name or a map)",
  pair: "a key (a name or a string)",
};

export const SYNTAX_MESSAGES: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, ruleName }) => describeExpected(expected, ruleName),
  buildNotAllInputParsedMessage: () => describeRule("file"),
  buildNoViableAltMessage: ({ ruleName, customUserDescription }) =>
    customUserDescription ?? describeRule(ruleName),
  buildEarlyExitMessage: ({ ruleName }) => describeRule(ruleName),
};

function describeRule(name: string): string {
  return EXPECTED_BY_RULE[name] ?? "something else";
}

function describeExpected(type: TokenType, rule: string): string {
  if (type === EOF) return describeRule("file");
  if (type === RightBrace) return rule === "map" ? "`,` or `}`" : describeRule("statement");
  return type.LABEL ?? type.name;
}
