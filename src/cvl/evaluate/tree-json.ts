/** The instance tree as `cui eval --json` prints it; in pieces, because the whole may be larger than a string should be. */
import { Instance } from "./instance.ts";
import type { Shape } from "./shape.ts";
import type { Component, Element, InstanceTree } from "../tree.ts";
import { OWN_NAME, UNKNOWN_SELF } from "../value.ts";

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

const PIECE_CHARACTERS = 256 * 1024;

class ComponentWriter {
  private readonly templates = new Map<Shape, Template>();

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
    const { texts, holes } = this.templateOf(instance.shape);
    const prefix = instance.path === "" ? "" : `${instance.path}.`;
    let text = texts[0] ?? "";
    for (let index = 0; index < holes.length; index += 1) {
      const hole = holes[index] ?? 0;
      text += hole === PATH_PREFIX ? prefix : hole === NAME ? instance.name : valueText(instance, hole);
      text += texts[index + 1] ?? "";
    }
    return text;
  }

  private templateOf(shape: Shape): Template {
    let template = this.templates.get(shape);
    if (template === undefined) {
      template = makeTemplate(shape);
      this.templates.set(shape, template);
    }
    return template;
  }
}

/** The text instances of one shape have in common; between two texts is a hole. */
interface Template {
  readonly texts: readonly string[];
  /** What fills each: a position in the instance's values, its name, or its path and a dot. */
  readonly holes: readonly number[];
}

const NAME = -1;
const PATH_PREFIX = -2;

function makeTemplate({ layout, values }: Shape): Template {
  const texts: string[] = [];
  const holes: number[] = [];
  let text = "";
  const addHole = (hole: number) => {
    texts.push(text);
    holes.push(hole);
    text = "";
  };
  layout.slots.forEach(({ name }, position) => {
    const value = values[position];
    text += `${position === 0 ? "" : ","}${JSON.stringify(name)}:`;
    if (value === undefined) {
      addHole(position);
    } else if (value === OWN_NAME) {
      text += '["';
      addHole(NAME); // names and paths have nothing JSON would escape
      text += '"]';
    } else if (value === UNKNOWN_SELF) {
      text += '[{"unknown":["';
      addHole(PATH_PREFIX);
      text += `${name}"]}]`;
    } else {
      text += elementsText(value.elements);
    }
  });
  texts.push(text);
  return { texts, holes };
}

function valueText(instance: Instance, position: number): string {
  const value = instance.values[position];
  if (value === undefined) return "[]";
  if (value === OWN_NAME || value === UNKNOWN_SELF) return elementsText(instance.elementsAt(position));
  if (value.json !== undefined && value.json !== "") return value.json;
  const text = elementsText(value.elements);
  if (value.isShared && value.size <= MAX_KEPT_SIZE) value.json = value.json === undefined ? "" : text;
  return text;
}

/** The texts of larger values are not kept: they would take as much memory again. */
const MAX_KEPT_SIZE = 64 * 1024;

function elementsText(elements: readonly Element[]): string {
  const [first] = elements;
  if (elements.length === 1 && typeof first === "string") return `[${JSON.stringify(first)}]`;
  return JSON.stringify(elements.map(elementToJson));
}
