/** Inputs of an action as typed values; each error names the input, what was expected and what came. */
import path from "node:path";
import { visible } from "../src/diagnostics.ts";
import { CollectiveError } from "../src/errors.ts";

export interface InputReader {
  /** Trimmed; undefined when it is empty or not given. @throws CollectiveError USAGE for control characters other than line breaks and tabs. */
  text(name: string): string | undefined;
  /** @throws CollectiveError USAGE when it is empty. */
  required(name: string): string;
  /** A folder of the checkout as it is written, `.` when it is empty. @throws CollectiveError USAGE for one outside. */
  folder(name: string): string;
  /** `true` or `false`; `fallback` when it is empty. @throws CollectiveError USAGE. */
  flag(name: string, fallback: boolean): boolean;
  /** @throws CollectiveError USAGE when it is none of `choices`. */
  choice<Choice extends string>(name: string, choices: readonly Choice[], fallback: Choice): Choice;
  /** Lines and commas separate; empty parts are dropped. */
  list(name: string): readonly string[];
}

/** Of ASCII, of Latin 1, and those that turn the direction of reading. */
const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** Reads `INPUT_<NAME>` as the runner sets it: upper case, blanks as underscores, dashes kept. */
export function createInputReader(env: Readonly<Record<string, string | undefined>>): InputReader {
  const text = (name: string): string | undefined => {
    const value = env[`INPUT_${name.toUpperCase().replaceAll(" ", "_")}`]?.trim();
    if (value !== undefined && CONTROL_CHARACTERS.test(value)) {
      throw unexpected(name, "a text without control characters", value);
    }
    return value === "" ? undefined : value;
  };
  const choice: InputReader["choice"] = (name, choices, fallback) => {
    const value = text(name) ?? fallback;
    const found = choices.find((candidate) => candidate === value);
    if (found === undefined) throw unexpected(name, `one of ${choices.join(", ")}`, value);
    return found;
  };
  return {
    text,
    choice,
    required: (name) => text(name) ?? fail(name),
    folder: (name) => {
      const folder = text(name) ?? ".";
      if (isWithin(workspaceOf(env), folder)) return folder;
      throw unexpected(name, "a folder of the checkout", folder);
    },
    flag: (name, fallback) => choice(name, ["true", "false"], fallback ? "true" : "false") === "true",
    list: (name) =>
      (text(name) ?? "")
        .split(/[\n,]/)
        .map((part) => part.trim())
        .filter((part) => part !== ""),
  };
}

/** The folder of the checkout. */
export function workspaceOf(env: Readonly<Record<string, string | undefined>>): string {
  return env["GITHUB_WORKSPACE"] ?? process.cwd();
}

function isWithin(workspace: string, folder: string): boolean {
  const relative = path.relative(workspace, path.resolve(workspace, folder));
  return relative !== ".." && !relative.startsWith(`..${path.sep}`);
}

function fail(name: string): never {
  throw unexpected(name, "a value", "");
}

function unexpected(name: string, expected: string, got: string): CollectiveError {
  return new CollectiveError(
    "USAGE",
    `the input ${name} expects ${expected}, got "${visible(got.slice(0, 200))}"`,
  );
}
