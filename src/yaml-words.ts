/** What is wrong with a YAML file, in the words of those who write it: maps and lists, not the parser's terms nor JavaScript's. */
import type { YAMLParseError } from "yaml";

const MESSAGES: Partial<Record<YAMLParseError["code"], string>> = {
  MULTIPLE_DOCS: "expected the end of the file, and a second document begins here (`---` or `...`)",
  DUPLICATE_KEY: "this key is in the map already",
  TAB_AS_INDENT: "expected spaces for indentation, and there is a tab",
  BAD_INDENT: "expected the indentation of the lines around it",
  MULTILINE_IMPLICIT_KEY: "expected `key: value` on one line",
  BLOCK_AS_IMPLICIT_KEY: "expected one `: ` in a line; a value that has one is put in quotes",
  BAD_DQ_ESCAPE:
    "this escape is not known in a double-quoted value; in single quotes `\\` is a plain character",
  BAD_SCALAR_START: "a value that begins with this character is put in quotes",
  MULTIPLE_ANCHORS: "expected one anchor (&name) at most",
  MULTIPLE_TAGS: "expected one tag (!name) at most",
};

/** By how the parser's message begins. */
const BEGINNINGS: readonly (readonly [string, string])[] = [
  ["Missing closing", "expected a closing quote before the end of the file"],
  ["Implicit map keys need to be followed", "expected `key: value`"],
  ["Sequence item without -", "expected `- ` before an element of a list"],
  ["Missing , ", "expected a comma between two elements"],
  ["Comments must be separated", "expected a space before `#`"],
];

export function syntaxMessage({ code, message }: Pick<YAMLParseError, "code" | "message">): string {
  const found = MESSAGES[code] ?? BEGINNINGS.find(([beginning]) => message.startsWith(beginning))?.[1];
  return found ?? message.slice(0, 1).toLowerCase() + message.slice(1);
}

const TYPES: Readonly<Record<string, string>> = {
  object: "a map",
  array: "a list",
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  null: "nothing",
  undefined: "nothing",
};

/** What a schema says of a value, and where: `tokens.0.name: expected text, found nothing`; of the whole value without a place. */
export function issueText(
  issue: { readonly path: readonly PropertyKey[]; readonly message: string } | undefined,
): string {
  const place = issue?.path.map(String).join(".") ?? "";
  return `${place === "" ? "" : `${place}: `}${shapeMessage(issue?.message ?? "it has another shape")}`;
}

/** `message` is that of an issue of a schema. */
export function shapeMessage(message: string): string {
  const [, expected = "", received = ""] =
    /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? [];
  const [wanted, found] = [TYPES[expected], TYPES[received]];
  return wanted === undefined || found === undefined ? message : `expected ${wanted}, found ${found}`;
}
