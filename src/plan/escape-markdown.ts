/**
 * Strangers' texts in Markdown that GitHub renders: they are shown, and do nothing. Everything goes into code spans, where
 * there is no Markdown, HTML, link, emoji or formula, and where GitHub looks for no @mention, #reference or command.
 */
import { createHash } from "node:crypto";

/** Longer names are shown shortened; long enough for any path a person wrote. */
export const LONGEST_NAME = 80;
const LONGEST_TEXT = 300;

/** A name as a code span. A longer one than 80 characters keeps its ends and gets a digest, so that it stays that one name. */
export function escapeName(name: string): string {
  return codeSpan(shortName(name));
}

/** Any text as a code span on one line, cut at `longest` characters. */
export function escapeText(text: string, longest = LONGEST_TEXT): string {
  return codeSpan(text.length <= longest ? text : `${text.slice(0, longest - 1)}…`);
}

/** A name inside `<summary>`, where GitHub reads HTML and no Markdown. */
export function escapeHtml(name: string): string {
  const escaped = plain(shortName(name)).replaceAll(
    /[&<>"']/g,
    (character) => `&#${character.charCodeAt(0)};`,
  );
  return `<code>${escaped}</code>`;
}

/** A diagram as a fenced block that no line of it can end. */
export function mermaidBlock(diagram: string): string {
  return fence(diagram.split("\n").map(replaceInvisible), "mermaid");
}

/** Text of many lines as a fenced block that none of them can end, where nobody is called; `language` is our own word. */
export function fencedBlock(text: string, language: "diff" | "text"): string {
  const lines = text
    .split("\n")
    .map((line) => withoutMentions(replaceInvisible(line.replaceAll("\t", "    "))));
  return fence(lines, language);
}

function fence(lines: readonly string[], language: string): string {
  const runs = lines.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length));
  const marks = "`".repeat(Math.max(3, Math.max(0, ...runs) + 1));
  return [`${marks}${language}`, ...lines, marks].join("\n");
}

function shortName(name: string): string {
  if (name.length <= LONGEST_NAME) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return `${name.slice(0, 40)}…${name.slice(-20)}~${digest}`;
}

function codeSpan(text: string): string {
  const shown = plain(text).trim();
  return shown === "" ? "`(empty)`" : `\`${shown}\``;
}

/** One line in which nothing is hidden, nothing turns the direction of reading, and nobody is called. */
function plain(text: string): string {
  // Without a backtick no code span can be left.
  const line = replaceInvisible(text).replaceAll("`", "\u02cb");
  // Marks that pile up would cover other lines.
  return withoutMentions(line.replaceAll(/(\p{M}{2})\p{M}+/gu, "$1\ufffd"));
}

/** Bots read the text as it is written: a word joiner keeps `@bot` from being one for them. */
function withoutMentions(text: string): string {
  return text.replaceAll(/(?<!\w)@(?=\w)/g, "@\u2060");
}

/** Control, format (bidi, zero-width, tags), private and unassigned characters, lone surrogates, line separators. */
function replaceInvisible(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd");
}
