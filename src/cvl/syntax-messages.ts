/** Chevrotain's messages in our words: only what was expected; what came is added where they are reported. */
import type { IParserErrorMessageProvider, TokenType } from "chevrotain";

/** What may stand where a rule has a choice or must begin. */
const EXPECTED_BY_RULE: Readonly<Record<string, string>> = {
  file: "`import`, or an object `Name extends Base { … }`",
  fileItem: "`extends`, `{` or `=`",
  statement: "a statement or `}`",
  value: "a value (a string, a name or a map)",
  pair: "a key (a name or a string)",
};

export const SYNTAX_MESSAGES: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected }) => describeType(expected),
  buildNotAllInputParsedMessage: () => describeRule("file"),
  buildNoViableAltMessage: ({ ruleName, customUserDescription }) =>
    customUserDescription ?? describeRule(ruleName),
  buildEarlyExitMessage: ({ ruleName }) => describeRule(ruleName),
};

function describeRule(name: string): string {
  return EXPECTED_BY_RULE[name] ?? "something else";
}

function describeType(type: TokenType): string {
  return type.LABEL ?? type.name;
}
