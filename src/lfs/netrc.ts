/**
 * `~/.netrc`, which git reads through curl before it asks anybody else.
 *
 *     machine git.example.org login alice password secret
 *     default login anonymous password guest
 *
 * @see curl's documentation, "The .netrc file format"
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import type { Environment } from "../git/git.ts";

export interface NetrcEntry {
  /** Undefined: whatever no other entry is for. */
  readonly machine: string | undefined;
  readonly login: string;
  readonly password: string;
}

/** The first entry for a host; `login` is the user that the URL names. Undefined without one, or without the file. */
export async function findInNetrc(
  env: Environment,
  wanted: { readonly host: string; readonly login: string | undefined; readonly allowsDefault: boolean },
): Promise<NetrcEntry | undefined> {
  const home = env["HOME"] ?? homedir();
  const text = await readFile(path.join(home, ".netrc"), "utf8").catch(() => "");
  return parseNetrc(text).find(
    ({ machine, login }) =>
      (machine === undefined ? wanted.allowsDefault : machine.toLowerCase() === wanted.host.toLowerCase()) &&
      (wanted.login === undefined || wanted.login === login),
  );
}

export function parseNetrc(text: string): readonly NetrcEntry[] {
  const entries: { machine: string | undefined; login: string; password: string }[] = [];
  const words = wordsOf(text);
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    const entry = entries.at(-1);
    if (word === "default") entries.push({ machine: undefined, login: "", password: "" });
    else if (word === "machine") entries.push({ machine: words[(at += 1)] ?? "", login: "", password: "" });
    else if (word === "login" && entry !== undefined) entry.login = words[(at += 1)] ?? "";
    else if (word === "password" && entry !== undefined) entry.password = words[(at += 1)] ?? "";
    else at += 1; // `account`, and what nobody knows, with its value
  }
  return entries.filter(({ password }) => password !== "");
}

/** Without comments, and without macros, which go on until an empty line. */
function wordsOf(text: string): readonly string[] {
  const plain = text
    .replaceAll("\r\n", "\n")
    .replaceAll(/^[ \t]*#.*$/gm, "")
    .replaceAll(/(?:^|\s)macdef[^]*?(?:\n\n|$)/g, "\n");
  return [...plain.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, word]) =>
      word ?? (quoted ?? "").replaceAll(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter),
  );
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
