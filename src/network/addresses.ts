/** Checks on the addresses that are known: written in CVL, or assigned before. */
import type { Component, Place } from "../cvl/tree.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { isHostAddress, parseAddress, prefixOfNetmask } from "./ipv4.ts";
import { normalizeMac } from "./mac.ts";
import { joinPath } from "./paths.ts";
import type { Topology } from "./topology.ts";

interface KnownAddress {
  readonly interfaceName: string;
  readonly text: string;
  readonly place: Place;
}

export function checkAddresses(context: BuildContext, topology: Topology): void {
  const macs = new Map<string, KnownAddress>();
  const ips = new Map<string, KnownAddress>();
  for (const machine of context.tree.components.values()) {
    for (const name of machine.interfaces) {
      const full = joinPath(machine.path, name);
      checkMac(context, machine, name, macs);
      const segment = topology.segmentOf.get(full);
      checkIp(context, machine, name, segment === undefined ? undefined : { segment, ips });
      checkKnown(context, machine, name, "defaultroute", parseAddress);
    }
  }
}

function checkMac(
  context: BuildContext,
  machine: Component,
  name: string,
  seen: Map<string, KnownAddress>,
): void {
  const known = checkKnown(context, machine, name, "mac", normalizeMac);
  if (known === undefined) return;
  claim(context, seen, { key: known.value, code: "NETWORK_MAC_TWICE", address: known.address });
}

function checkIp(
  context: BuildContext,
  machine: Component,
  name: string,
  on: { readonly segment: string; readonly ips: Map<string, KnownAddress> } | undefined,
): void {
  const ip = checkKnown(context, machine, name, "ip", parseAddress);
  const subnet = checkKnown(context, machine, name, "subnet", parseAddress);
  const prefix = checkKnown(context, machine, name, "netmask", prefixOfNetmask);
  if (ip === undefined) return;
  if (on !== undefined) {
    const key = `${on.segment} ${ip.value}`;
    claim(context, on.ips, { key, code: "NETWORK_IP_TWICE", address: ip.address });
  }
  if (subnet === undefined || prefix === undefined) return;
  if (isHostAddress({ network: subnet.value, prefix: prefix.value }, ip.value)) return;
  report(context, {
    code: "NETWORK_IP_OUTSIDE_SUBNET",
    message: `${ip.address.interfaceName}.ip is ${ip.address.text}, which is no usable address of its subnet ${subnet.address.text} with netmask ${prefix.address.text}`,
    place: ip.address.place,
    related: [{ message: "the subnet", place: subnet.address.place }],
  });
}

/** The one known value of an interface's parameter, parsed; undefined when it is unknown, unset, or wrong (then reported). */
function checkKnown<Value>(
  context: BuildContext,
  machine: Component,
  name: string,
  field: "mac" | "ip" | "subnet" | "netmask" | "defaultroute",
  parse: (text: string) => Value | undefined,
): { readonly value: Value; readonly address: KnownAddress } | undefined {
  const parameter = `${name}.${field}`;
  const elements = machine.parameters.get(parameter)?.elements ?? [];
  const [first] = elements;
  if (first === undefined || (elements.length === 1 && typeof first !== "string")) return undefined;
  const text = elements.length === 1 && typeof first === "string" ? first : undefined;
  const value = text === undefined ? undefined : parse(text);
  const interfaceName = joinPath(machine.path, name);
  const place = placeOf(machine, parameter);
  if (text !== undefined && value !== undefined) return { value, address: { interfaceName, text, place } };
  report(context, {
    code: "NETWORK_ADDRESS_SYNTAX",
    message: `${interfaceName}.${field} must be ${EXPECTED[field]}, but it is ${text === undefined ? `a list of ${elements.length}` : `"${text.slice(0, 60)}"`}`,
    place,
  });
  return undefined;
}

const EXPECTED = {
  mac: "one unicast MAC address such as 52:54:00:12:34:56",
  ip: "one dotted IPv4 address such as 10.0.7.2",
  subnet: "one dotted network address such as 10.0.7.0",
  netmask: "one dotted netmask such as 255.255.255.0",
  defaultroute: "one dotted IPv4 address such as 10.0.7.1",
} as const;

function claim(
  context: BuildContext,
  seen: Map<string, KnownAddress>,
  {
    key,
    code,
    address,
  }: { key: string; code: "NETWORK_MAC_TWICE" | "NETWORK_IP_TWICE"; address: KnownAddress },
): void {
  const other = seen.get(key);
  if (other === undefined) {
    seen.set(key, address);
    return;
  }
  report(context, {
    code,
    message: `${address.interfaceName} and ${other.interfaceName} both have the ${code === "NETWORK_MAC_TWICE" ? "MAC address" : "address"} ${address.text}`,
    place: address.place,
    hint: "give them different ones, or leave the choice to the utility",
    related: [{ message: other.interfaceName, place: other.place }],
  });
}
