/**
 * The text of a release: what Collective says lies between marks of its own, so that what people write around it stays.
 *
 *     <!-- collective:withdrawn -->            <!-- collective:version v6 <commit> -->
 *     > [!CAUTION] …                           … what changed …
 *     <!-- /collective:withdrawn -->           <!-- /collective:version -->
 */
import { escapeText } from "../plan/escape-markdown.ts";

type Part = "version" | "withdrawn";

/** `body` with the part about a version put in, or in the place of the one it has. */
export function withVersionPart(
  body: string,
  { tag, commit, text }: { readonly tag: string; readonly commit: string; readonly text: string },
): string {
  return withPart(body, { part: "version", words: `${tag} ${commit}`, text, isFirst: false });
}

/** `body` with the warning on top of it, or without one where `why` is undefined. */
export function withWithdrawal(body: string, why: string | undefined): string {
  const rest = withoutPart(body, "withdrawn");
  if (why === undefined) return rest;
  const text = `> [!CAUTION]\n> **Withdrawn**, nobody should take this version any more: ${escapeText(why)}`;
  return withPart(rest, { part: "withdrawn", words: "", text, isFirst: true });
}

const WITHDRAWN_NAME = " (withdrawn)";

export function withdrawnName(name: string, isWithdrawn: boolean): string {
  const plain = name.endsWith(WITHDRAWN_NAME) ? name.slice(0, -WITHDRAWN_NAME.length) : name;
  return isWithdrawn ? `${plain}${WITHDRAWN_NAME}` : plain;
}

export function isMarkedWithdrawn(body: string): boolean {
  return body.includes(beginOf("withdrawn"));
}

/** The commit a release was made at; undefined for one somebody else made. */
export function releasedCommit(body: string): string | undefined {
  return /<!-- collective:version v[0-9]+ ([0-9a-f]{40}) -->/.exec(body)?.[1];
}

interface PartText {
  readonly part: Part;
  readonly words: string;
  readonly text: string;
  readonly isFirst: boolean;
}

function withPart(body: string, { part, words, text, isFirst }: PartText): string {
  // No line of a stranger's may end the part.
  const neutral = text.replaceAll("collective:", "collective\u2060:");
  const marked = `${beginOf(part)}${words === "" ? "" : ` ${words}`} -->\n${neutral.trim()}\n${endOf(part)}`;
  const place = placeOf(body, part);
  if (place !== undefined) return body.slice(0, place.start) + marked + body.slice(place.end);
  const rest = body.trim();
  if (rest === "") return marked;
  return isFirst ? `${marked}\n\n${rest}` : `${rest}\n\n${marked}`;
}

function withoutPart(body: string, part: Part): string {
  const place = placeOf(body, part);
  return place === undefined ? body : (body.slice(0, place.start) + body.slice(place.end)).trim();
}

function placeOf(body: string, part: Part): { start: number; end: number } | undefined {
  const start = body.indexOf(beginOf(part));
  const end = body.indexOf(endOf(part), start);
  return start === -1 || end === -1 ? undefined : { start, end: end + endOf(part).length };
}

function beginOf(part: Part): string {
  return `<!-- collective:${part}`;
}

function endOf(part: Part): string {
  return `<!-- /collective:${part} -->`;
}
