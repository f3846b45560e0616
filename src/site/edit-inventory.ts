/** Edits of utility.yaml that keep its comments and order: text in, text out. */
import { Document, YAMLSeq, isMap, isNode, isScalar, isSeq, visit } from "yaml";
import { inManner } from "../line-ends.ts";
import { INVENTORY_FORMAT } from "./inventory.ts";
import { parseInventoryDocument } from "./read-inventory.ts";

/** As it is written: memory is text like `16GiB`. */
export interface NewHost {
  readonly name: string;
  readonly address: string;
  readonly memory?: string;
  readonly maxMachines?: number;
  readonly arch?: string;
}

/** Gives the site its id, where it has none. */
export function addSiteId(text: string, id: string): string {
  const whole = edit(text, (document) => {
    if (!isMap(document.contents) || document.has("site")) return;
    const { items } = document.contents;
    const format = items.findIndex(({ key }) => isScalar(key) && key.value === "format");
    items.splice(format + 1, 0, document.createPair("site", id));
  });
  const spliced = text.replace(
    /^\ufeff?format:[^\r\n]*(\r?\n)/m,
    (line, end) => `${line}site: "${id}"${String(end)}`,
  );
  return isSameYaml(spliced, whole) ? spliced : whole;
}

/** Adds a host, or replaces the one of that name. */
export function addHost(text: string, host: NewHost): string {
  const index = indexOf(listOf(parseInventoryDocument(text), "hosts"), "name", host.name);
  if (index === -1) return append(text, "hosts", host, true);
  return edit(text, (document) => {
    listOf(document, "hosts").items[index] = document.createNode(host, { flow: true });
  });
}

/** Undefined when there is no such host. */
export function removeHost(text: string, name: string): string | undefined {
  const index = indexOf(listOf(parseInventoryDocument(text), "hosts"), "name", name);
  return index === -1
    ? undefined
    : edit(text, (document) => void listOf(document, "hosts").items.splice(index, 1));
}

/** `range` as written: `100-199`, `300`. */
export function addVlans(text: string, range: string): string {
  return append(text, "vlans", /^[0-9]+$/.test(range) ? Number(range) : range);
}

/** `range` as written: `198.51.100.10-198.51.100.99`. */
export function addAddresses(text: string, range: string): string {
  return append(text, "addresses", range);
}

export function setExternal(
  text: string,
  external: { vlan: number | "untagged"; subnet: string; gateway: string },
): string {
  return edit(text, (document) => {
    document.set("external", document.createNode(external, { flow: true }));
  });
}

export function addNetwork(text: string, network: { id: string; file: string; object?: string }): string {
  return append(text, "networks", network, true);
}

/** A network that is not listed is none to remove. */
export function removeNetworkEntry(text: string, id: string): string {
  const index = indexOf(listOf(parseInventoryDocument(text), "networks"), "id", id);
  return index === -1
    ? text
    : edit(text, (document) => void listOf(document, "networks").items.splice(index, 1));
}

function edit(text: string, change: (document: Document) => void): string {
  const document = parseInventoryDocument(text);
  if (!isMap(document.contents)) document.contents = document.createNode({ format: INVENTORY_FORMAT });
  change(document);
  return inManner(text, document.toString({ lineWidth: 110, flowCollectionPadding: true }));
}

/** Puts one element at the end of a list and leaves every other character as it is, where the text is such that this can be done. */
function append(text: string, key: string, value: unknown, isFlow = false): string {
  const whole = edit(text, (document) => {
    listOf(document, key).add(document.createNode(value, { flow: isFlow }));
  });
  const document = parseInventoryDocument(text);
  const list = document.errors.length > 0 ? undefined : document.get(key, true);
  const spliced = isSeq(list) ? spliceInto(text, list, renderElement(value)) : undefined;
  return spliced !== undefined && isSameYaml(spliced, whole) ? spliced : whole;
}

/** Undefined where the list has no element to go by. */
function spliceInto(text: string, list: YAMLSeq, element: string): string | undefined {
  const last = list.items.at(-1);
  if (!isNode(last) || last.range == null || list.range == null) return undefined;
  const end = last.range[1];
  if (list.flow === true) return `${text.slice(0, end)}, ${element}${text.slice(end)}`;
  const start = list.range[0];
  const indent = text.slice(text.lastIndexOf("\n", start - 1) + 1, start);
  if (!/^[ \ufeff]*$/.test(indent)) return undefined;
  const trimmed = text.slice(0, end).trimEnd().length;
  const found = text.indexOf("\n", trimmed);
  const lineEnd = found === -1 ? text.length : found - Number(text[found - 1] === "\r");
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  return `${text.slice(0, lineEnd)}${newline}${indent}- ${element}${text.slice(lineEnd)}`;
}

/** On one line, quoted so that it can stand in a flow list. */
function renderElement(value: unknown): string {
  const list = new Document([value], { compat: "yaml-1.1" });
  visit(list, { Collection: (_, node) => void (node.flow = true) });
  return list.toString({ lineWidth: 0, flowCollectionPadding: true }).trim().slice(1, -1).trim();
}

function isSameYaml(text: string, other: string): boolean {
  const [one, two] = [text, other].map((each) => parseInventoryDocument(each));
  if (one === undefined || two === undefined || one.errors.length > 0) return false;
  return (
    JSON.stringify(one.toJS({ maxAliasCount: 100 })) === JSON.stringify(two.toJS({ maxAliasCount: 100 }))
  );
}

/** The list under `key`; made when it is absent or empty. */
function listOf(document: Document, key: string): YAMLSeq {
  const found = document.get(key, true);
  if (isSeq(found)) {
    if (found.items.length === 0) found.flow = false;
    return found;
  }
  const created = new YAMLSeq();
  document.set(key, created);
  return created;
}

function indexOf(list: YAMLSeq, key: string, value: string): number {
  return list.items.findIndex((item) => isMap(item) && item.get(key) === value);
}
