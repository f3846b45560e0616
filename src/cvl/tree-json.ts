/** The instance tree as `cui eval --json` prints it; in pieces, because the whole may be larger than a string should be. */
import { Instance } from "./instance.ts";
import type { Layout } from "./object-class.ts";
import type { Component, Element, InstanceTree } from "./tree.ts";
import { OWN_NAME, UNKNOWN_SELF, type Value } from "./value.ts";

/** An element as JSON: a clear sensitive value is never in it. */
export type JsonElement =
  | string
  | { readonly unknown: readonly string[] }
  | { readonly unset: readonly string[] }
  | { readonly sensitive: true };

export function elementToJson(element: Element): JsonElement {
  if (typeof element === "string") return element;
  if (element.kind === "unknown") return { unknown: element.waitsFor };
  return element.kind === "unset" ? { unset: element.waitsFor } : { sensitive: true };
}

/** The JSON text in pieces of whole lines, to be joined by line ends; `isWanted` chooses components by path. */
export function* writeTreeJson(
  tree: InstanceTree,
  isWanted: (path: string) => boolean = () => true,
): Iterable<string> {
  let piece = `{"appliance":${JSON.stringify(tree.appliance)},"components":{`;
  let comma = "";
  const writer = new ComponentWriter();
  for (const component of tree.components.values()) {
    if (!isWanted(component.path)) continue;
    const line = `${comma}${JSON.stringify(component.path)}:${writer.write(component)}`;
    comma = ",";
    if (piece.length + line.length < PIECE_CHARACTERS) {
      piece += `\n${line}`;
    } else {
      yield piece;
      piece = line;
    }
  }
  yield `${piece}\n}}`;
}

/** The whole JSON text, for small trees and tests. */
export function treeToJson(tree: InstanceTree): string {
  return [...writeTreeJson(tree)].join("\n");
}

const PIECE_CHARACTERS = 256 * 1024;

class ComponentWriter {
  /** `"name":` of each parameter, by layout. */
  private readonly keys = new Map<Layout, readonly string[]>();

  write(component: Component): string {
    const { version } = component.source;
    const head = `{"kind":"${component.kind}","class":${JSON.stringify(component.class)}`;
    const source = version === null ? "" : `,"source":${JSON.stringify(component.source)}`;
    return `${head}${source},"parameters":{${this.writeParameters(component)}}}`;
  }

  private writeParameters(component: Component): string {
    if (component instanceof Instance) return this.writeInstance(component);
    return [...component.parameters]
      .map(([name, { elements }]) => `${JSON.stringify(name)}:${elementsText(elements)}`)
      .join(",");
  }

  private writeInstance(instance: Instance): string {
    const keys = this.keysOf(instance.type.layout);
    let text = "";
    for (let position = 0; position < keys.length; position += 1) {
      const value = instance.values[position];
      const key = keys[position] ?? "";
      text += position === 0 ? key : `,${key}`;
      text += value === undefined ? "[]" : valueText(value, instance, position);
    }
    return text;
  }

  private keysOf(layout: Layout): readonly string[] {
    let keys = this.keys.get(layout);
    if (keys === undefined) {
      keys = layout.slots.map(({ name }) => `${JSON.stringify(name)}:`);
      this.keys.set(layout, keys);
    }
    return keys;
  }
}

function valueText(value: Value, instance: Instance, position: number): string {
  if (value === OWN_NAME || value === UNKNOWN_SELF) return elementsText(instance.elementsAt(position));
  if (!value.isShared) return elementsText(value.elements);
  value.json ??= elementsText(value.elements);
  return value.json;
}

function elementsText(elements: readonly Element[]): string {
  const [first] = elements;
  if (elements.length === 1 && typeof first === "string") return `[${JSON.stringify(first)}]`;
  return JSON.stringify(elements.map(elementToJson));
}
