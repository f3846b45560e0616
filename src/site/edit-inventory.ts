/** Edits of utility.yaml that keep its comments and order: text in, text out. */
import { isMap, isSeq } from "yaml";
import { appendItem, isSameYaml, parseEditable, removeItem, replaceItem, setKey } from "../yaml-edit.ts";

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
  const document = parseEditable(text);
  if (isMap(document.contents) && document.has("site")) return text;
  const whole = setKey(text, "site", id);
  const spliced = text.replace(
    /^\ufeff?format:[^\r\n]*(\r?\n)/m,
    (line, end) => `${line}site: "${id}"${String(end)}`,
  );
  return isSameYaml(spliced, whole) ? spliced : whole;
}

/** Adds a host, or replaces the one of that name. */
export function addHost(text: string, host: NewHost): string {
  const index = indexOf(text, "hosts", "name", host.name);
  return index === -1 ? appendItem(text, "hosts", host) : replaceItem(text, "hosts", index, host);
}

/** Undefined when there is no such host. */
export function removeHost(text: string, name: string): string | undefined {
  const index = indexOf(text, "hosts", "name", name);
  return index === -1 ? undefined : removeItem(text, "hosts", index);
}

/** `range` as written: `100-199`, `300`. */
export function addVlans(text: string, range: string): string {
  return appendItem(text, "vlans", /^[0-9]+$/.test(range) ? Number(range) : range);
}

/** `range` as written: `198.51.100.10-198.51.100.99`. */
export function addAddresses(text: string, range: string): string {
  return appendItem(text, "addresses", range);
}

export function setExternal(
  text: string,
  external: { vlan: number | "untagged"; subnet: string; gateway: string },
): string {
  return setKey(text, "external", external);
}

export function addNetwork(text: string, network: { id: string; file: string; object?: string }): string {
  return appendItem(text, "networks", network);
}

/** A network that is not listed is none to remove. */
export function removeNetworkEntry(text: string, id: string): string {
  const index = indexOf(text, "networks", "id", id);
  return index === -1 ? text : removeItem(text, "networks", index);
}

function indexOf(text: string, list: string, key: string, value: string): number {
  const found = parseEditable(text).get(list, true);
  return isSeq(found) ? found.items.findIndex((item) => isMap(item) && item.get(key) === value) : -1;
}
