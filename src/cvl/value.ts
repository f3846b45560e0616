/** Evaluated values: lists of elements, each known, unknown, unset or sensitive, with their sizes. */
import { encodeMapText } from "./map-text.ts";
import type { Element, SensitiveElement } from "./tree.ts";

export interface Value {
  readonly elements: readonly Element[];
  /** Its characters, and what each element takes: what the limits bound. */
  readonly size: number;
  /** Others may have this same value: its list must not be appended to. */
  readonly isShared: boolean;
  /** Its JSON once it was written twice; empty once it was written. */
  json: string | undefined;
}

export const ELEMENT_SIZE = 8;
/** Of an element that is not known or secret: it says what it waits for. */
const OBJECT_SIZE = ELEMENT_SIZE + 100;

export const EMPTY: Value = { elements: [], size: 0, isShared: true, json: undefined };

/** In place of a value that could not be made; the error is reported, and what is made from it is no further error. */
export const BROKEN: Value = { elements: [], size: 0, isShared: true, json: undefined };

/** Unknown, waiting for the very parameter that has it; made explicit only where it is looked at. */
export const UNKNOWN_SELF: Value = { elements: [], size: 0, isShared: false, json: undefined };

/** The component's own name; made explicit only where it is looked at. */
export const OWN_NAME: Value = { elements: [], size: 0, isShared: false, json: undefined };

export function makeValue(elements: readonly Element[], isShared = false): Value {
  let size = 0;
  for (const element of elements) size += elementSize(element);
  return { elements, size, isShared, json: undefined };
}

export function elementSize(element: Element): number {
  if (typeof element === "string") return element.length + ELEMENT_SIZE;
  let size = OBJECT_SIZE;
  for (const path of element.waitsFor) size += path.length + ELEMENT_SIZE;
  if (element.kind === "unknown") return size + (element.shape?.length ?? 0);
  if (element.kind === "unset") return size;
  for (const path of element.from) size += path.length + ELEMENT_SIZE;
  return size + (element.value?.length ?? 0);
}

/** The same element once it belongs to the sensitive parameter `path`. */
export function makeSensitive(element: Element, path: string): SensitiveElement {
  if (typeof element === "string") return { kind: "sensitive", from: [path], waitsFor: [], value: element };
  const from = element.kind === "sensitive" ? [...new Set([path, ...element.from])] : [path];
  const { waitsFor } = element;
  const value = element.kind === "sensitive" ? element.value : undefined;
  return value === undefined
    ? { kind: "sensitive", from, waitsFor }
    : { kind: "sensitive", from, waitsFor, value };
}

/** Puts a map together from pairs whose values may not be known yet. */
export class MapBuilder {
  /** Joined at the end: a text that grows piece by piece takes many times the memory. */
  private readonly pieces: string[] = [];
  private isUnset = false;
  private isSensitive = false;
  private readonly waitsFor = new Set<string>();
  private readonly from = new Set<string>();

  /** What the map has taken so far, in the units of `Value.size`. */
  size = ELEMENT_SIZE;

  /** `key` is encoded already. */
  add(key: string, element: Element): void {
    const clear = typeof element === "string" ? element : this.note(element);
    this.addEncoded(key, clear === undefined ? "" : encodeMapText(clear));
  }

  addEncoded(key: string, value: string): void {
    this.pieces.push(key, value);
    this.size += key.length + value.length + 2;
  }

  build(): Element {
    const waitsFor = [...this.waitsFor];
    const text = this.text();
    if (this.isSensitive) {
      const from = [...this.from];
      if (waitsFor.length > 0) return { kind: "sensitive", from, waitsFor };
      return { kind: "sensitive", from, waitsFor, value: text };
    }
    if (waitsFor.length === 0) return text;
    return this.isUnset ? { kind: "unset", waitsFor } : { kind: "unknown", waitsFor, shape: text };
  }

  private text(): string {
    const { pieces } = this;
    if (pieces.length === 2) return `${pieces[0] ?? ""}=${pieces[1] ?? ""}`;
    const pairs: string[] = [];
    for (let at = 0; at < pieces.length; at += 2) pairs.push(`${pieces[at] ?? ""}=${pieces[at + 1] ?? ""}`);
    return pairs.join("&");
  }

  /** Remembers what the map waits for; the clear value when there is one all the same, of an inner map its shape. */
  private note(element: Exclude<Element, string>): string | undefined {
    this.addPaths(this.waitsFor, element.waitsFor);
    if (element.kind === "unset") this.isUnset = true;
    if (element.kind === "unknown") return element.shape;
    if (element.kind !== "sensitive") return undefined;
    this.isSensitive = true;
    this.addPaths(this.from, element.from);
    return element.value;
  }

  private addPaths(paths: Set<string>, added: readonly string[]): void {
    for (const path of added) {
      if (!paths.has(path)) this.size += path.length + ELEMENT_SIZE;
      paths.add(path);
    }
  }
}
