/** Edits of utility.yaml that keep its comments and order: text in, text out. */
import { YAMLSeq, isMap, isScalar, isSeq, type Document } from "yaml";
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
  return edit(text, (document) => {
    if (!isMap(document.contents) || document.has("site")) return;
    const { items } = document.contents;
    const format = items.findIndex(({ key }) => isScalar(key) && key.value === "format");
    items.splice(format + 1, 0, document.createPair("site", id));
  });
}

/** Adds a host, or replaces the one of that name. */
export function addHost(text: string, host: NewHost): string {
  return edit(text, (document) => {
    const hosts = listOf(document, "hosts");
    const node = document.createNode(host, { flow: true });
    const index = indexOf(hosts, "name", host.name);
    if (index === -1) hosts.add(node);
    else hosts.items[index] = node;
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
  return edit(text, (document) => {
    listOf(document, "vlans").add(document.createNode(/^[0-9]+$/.test(range) ? Number(range) : range));
  });
}

/** `range` as written: `198.51.100.10-198.51.100.99`. */
export function addAddresses(text: string, range: string): string {
  return edit(text, (document) => {
    listOf(document, "addresses").add(document.createNode(range));
  });
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
  return edit(text, (document) => {
    listOf(document, "networks").add(document.createNode(network, { flow: true }));
  });
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
  return document.toString({ lineWidth: 110, flowCollectionPadding: true });
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
