/**
 * Edits of a YAML file that somebody keeps: text in, text out. Every character that the edit is not about stays as it is; only a text that
 * is written in an unusual manner (anchors, tags, a flow map at the top) is written anew as a whole, its comments included.
 */
import { isDeepStrictEqual } from "node:util";
import {
  Document,
  LineCounter,
  YAMLSeq,
  isMap,
  isNode,
  isScalar,
  isSeq,
  parseDocument,
  visit,
  type Node,
} from "yaml";
import { inManner } from "./line-ends.ts";

/** The document with comments and order; what is added is quoted where a YAML 1.1 reader would take it for no string. */
export function parseEditable(text: string): Document {
  return parseDocument(text, { lineCounter: new LineCounter(), prettyErrors: false, compat: "yaml-1.1" });
}

/** An element at the end of the list under `key`, which is made when it is absent or empty. */
export function appendItem(text: string, key: string, value: unknown): string {
  const whole = rewrite(text, (document) => {
    const list = listOf(document, key);
    if (list.items.length === 0) list.flow = false;
    list.add(document.createNode(value, { flow: true }));
  });
  return choose(whole, () => {
    const list = readNode(text, key);
    return isSeq(list) && list.items.length > 0
      ? appendToList(text, list, render(value))
      : appendToEmpty(text, key, render(value));
  });
}

export function replaceItem(text: string, key: string, index: number, value: unknown): string {
  const whole = rewrite(text, (document) => {
    listOf(document, key).items[index] = document.createNode(value, { flow: true });
  });
  return choose(whole, () => {
    const place = itemAt(text, key, index);
    return place && splice(text, place.start, place.end, render(value));
  });
}

/** With the comment lines right above the element, if it is not the first: those of the first may be about the list. */
export function removeItem(text: string, key: string, index: number): string {
  const whole = rewrite(text, (document) => void listOf(document, key).items.splice(index, 1));
  return choose(whole, () => {
    const place = itemAt(text, key, index);
    if (place === undefined) return undefined;
    return place.list.flow === true ? removeFromFlow(text, place) : removeFromBlock(text, key, place);
  });
}

/** A value on one line under `key`, in the place of the one that is there. */
export function setKey(text: string, key: string, value: unknown): string {
  const whole = rewrite(text, (document) => {
    document.set(key, document.createNode(value, { flow: true }));
  });
  return choose(whole, () => {
    const node = readNode(text, key);
    if (node === undefined) return addLines(text, `${key}: ${render(value)}`);
    const place = placeOf(text, node);
    const line = keyLine(text, key);
    if (place === undefined || line === undefined) return undefined;
    if (place.start < line.end) return splice(text, place.start, place.end, render(value));
    const comment = /^:[ \t]*(#.*)?$/.exec(text.slice(line.colon, line.end));
    return comment && splice(text, line.colon, place.end, join(`: ${render(value)}`, comment[1]));
  });
}

interface Place {
  readonly start: number;
  /** After its last character, white space and comments apart. */
  readonly end: number;
}

interface ItemPlace extends Place {
  readonly list: YAMLSeq;
  readonly index: number;
}

function rewrite(text: string, change: (document: Document) => void): string {
  const document = parseEditable(text);
  if (!isMap(document.contents)) document.contents = document.createNode({ format: 1 });
  change(document);
  return inManner(text, document.toString({ lineWidth: 110, flowCollectionPadding: true }));
}

/** What was put together by hand counts only when it means the same. */
function choose(whole: string, spliceText: () => string | null | undefined): string {
  const spliced = spliceText();
  return typeof spliced === "string" && isSameYaml(spliced, whole) ? spliced : whole;
}

/** The order of keys apart. */
export function isSameYaml(text: string, other: string): boolean {
  const [one, two] = [text, other].map((each) => parseEditable(each));
  if (one === undefined || two === undefined || one.errors.length > 0) return false;
  return isDeepStrictEqual(one.toJS({ maxAliasCount: 100 }), two.toJS({ maxAliasCount: 100 }));
}

function appendToList(text: string, list: YAMLSeq, element: string): string | undefined {
  const last = list.items.at(-1);
  const place = isNode(last) ? placeOf(text, last) : undefined;
  if (place === undefined || list.range == null) return undefined;
  if (list.flow === true) return splice(text, place.end, place.end, `, ${element}`);
  const start = list.range[0];
  const indent = text.slice(lineStart(text, start), start);
  if (!/^[ \ufeff]*$/.test(indent)) return undefined;
  const end = lineEnd(text, place.end);
  return splice(text, end, end, `${newlineOf(text)}${indent}- ${element}`);
}

/** `key:`, `key: []`, each with a comment behind it or none; or no such key. */
function appendToEmpty(text: string, key: string, element: string): string | undefined {
  const line = keyLine(text, key);
  const newline = newlineOf(text);
  if (line === undefined) return addLines(text, `${key}:${newline}  - ${element}`);
  const found = /^:[ \t]*(?:\[[ \t]*\][ \t]*)?(#.*)?$/.exec(text.slice(line.colon, line.end));
  return found === null
    ? undefined
    : splice(text, line.colon, line.end, `${join(":", found[1])}${newline}  - ${element}`);
}

function removeFromFlow(text: string, { list, index, start, end }: ItemPlace): string | undefined {
  if (list.range == null) return undefined;
  const inside = text.slice(list.range[0], list.range[1]);
  if (list.items.length === 1 && !inside.includes("\n"))
    return splice(text, list.range[0], list.range[1], "[]");
  const isAlone =
    /^[ \t]*$/.test(text.slice(lineStart(text, start), start)) &&
    /^,?[ \t]*(#.*)?$/.test(text.slice(end, lineEnd(text, end)));
  if (isAlone) return splice(text, lineStart(text, start), nextLine(text, end), "");
  const next = neighbour(text, list, index + 1);
  if (next !== undefined) return splice(text, start, next.start, "");
  const before = neighbour(text, list, index - 1);
  return before && splice(text, before.end, end, "");
}

function removeFromBlock(text: string, key: string, { list, index, start, end }: ItemPlace): string | null {
  const dash = text.lastIndexOf("-", start - 1);
  let from = lineStart(text, dash);
  if (!/^[ \ufeff]*$/.test(text.slice(from, dash))) return null;
  while (index > 0 && isCommentLine(text, from - 1)) from = lineStart(text, from - 1);
  const to = nextLine(text, end);
  // What ends without a newline goes on to do so.
  const removed =
    to === lineEnd(text, end) ? splice(text, lineEnd(text, from - 1), to, "") : splice(text, from, to, "");
  if (list.items.length > 1) return removed;
  const line = keyLine(text, key);
  return line === undefined ? null : splice(removed, line.colon, line.colon + 1, ": []");
}

function addLines(text: string, lines: string): string {
  const newline = newlineOf(text);
  if (text === "" || text.endsWith("\n")) return `${text}${lines}${newline}`;
  return `${text}${newline}${lines}`;
}

function readNode(text: string, key: string): Node | undefined {
  const document = parseEditable(text);
  const node = document.errors.length > 0 ? undefined : document.get(key, true);
  return isNode(node) ? node : undefined;
}

function itemAt(text: string, key: string, index: number): ItemPlace | undefined {
  const list = readNode(text, key);
  if (!isSeq(list)) return undefined;
  const place = neighbour(text, list, index);
  return place && { ...place, list, index };
}

function neighbour(text: string, list: YAMLSeq, index: number): Place | undefined {
  const item = list.items[index];
  return isNode(item) ? placeOf(text, item) : undefined;
}

function placeOf(text: string, { range }: Node): Place | undefined {
  return range == null ? undefined : { start: range[0], end: text.slice(0, range[1]).trimEnd().length };
}

/** Where the colon after a key of the top map lies, and the line's end. */
function keyLine(text: string, key: string): { readonly colon: number; readonly end: number } | undefined {
  const { contents } = parseEditable(text);
  const pair = isMap(contents)
    ? contents.items.find((item) => isScalar(item.key) && item.key.value === key)
    : undefined;
  if (!isNode(pair?.key) || pair.key.range == null) return undefined;
  const colon = text.indexOf(":", pair.key.range[1]);
  return { colon, end: lineEnd(text, colon) };
}

/** The list under `key`; made when it is absent. */
function listOf(document: Document, key: string): YAMLSeq {
  const found = document.get(key, true);
  if (isSeq(found)) return found;
  const created = new YAMLSeq();
  document.set(key, created);
  return created;
}

/** On one line, quoted so that it can stand in a flow list. */
function render(value: unknown): string {
  const list = new Document([value], { compat: "yaml-1.1" });
  visit(list, { Collection: (_, node) => void (node.flow = true) });
  return list.toString({ lineWidth: 0, flowCollectionPadding: true }).trim().slice(1, -1).trim();
}

function join(text: string, comment: string | undefined): string {
  return comment === undefined ? text : `${text} ${comment}`;
}

function splice(text: string, start: number, end: number, inserted: string): string {
  return `${text.slice(0, start)}${inserted}${text.slice(end)}`;
}

function newlineOf(text: string): string {
  return text.includes("\r\n") ? "\r\n" : "\n";
}

function lineStart(text: string, at: number): number {
  return at <= 0 ? 0 : text.lastIndexOf("\n", at - 1) + 1;
}

/** Before the line's `\r\n` or `\n`. */
function lineEnd(text: string, at: number): number {
  const found = text.indexOf("\n", at);
  return found === -1 ? text.length : found - Number(text[found - 1] === "\r");
}

function nextLine(text: string, at: number): number {
  const found = text.indexOf("\n", at);
  return found === -1 ? text.length : found + 1;
}

function isCommentLine(text: string, end: number): boolean {
  return end >= 0 && /^[ \t]*#/.test(text.slice(lineStart(text, end), end));
}
