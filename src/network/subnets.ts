/** Checks on the subnets that CVL sets: one for each segment, and no two that meet. */
import type { Component } from "../cvl/tree.ts";
import { placeOf, report, type BuildContext } from "./build-context.ts";
import { EXTERNAL_SEGMENT, type SegmentId } from "./description.ts";
import {
  formatAddress,
  formatSubnet,
  isHostAddress,
  parseAddress,
  parseSubnet,
  prefixOfNetmask,
  subnetSize,
  type Subnet,
} from "./ipv4.ts";
import { displayPath, joinPath } from "./paths.ts";
import type { Topology } from "./topology.ts";

interface SetSubnet {
  readonly segment: SegmentId;
  readonly subnet: Subnet;
  readonly machine: Component;
  readonly interfaceName: string;
}

/** Of a network's segment: the paper's 256 addresses. */
const DEFAULT_PREFIX = 24;
const PREFIXES = { least: 8, most: 30 };

export function checkSubnets(context: BuildContext, topology: Topology): void {
  const ofSegment = new Map<SegmentId, SetSubnet>();
  for (const entry of eachInterface(context, topology)) {
    const subnet = readSubnet(context, entry.machine, entry.interfaceName);
    if (subnet === undefined) continue;
    const found: SetSubnet = { ...entry, subnet };
    const first = ofSegment.get(entry.segment);
    if (first === undefined) ofSegment.set(entry.segment, found);
    else if (formatSubnet(first.subnet) !== formatSubnet(subnet)) reportDifferent(context, first, found);
  }
  if (ofSegment.size === 0) return;
  for (const entry of eachInterface(context, topology)) {
    const set = ofSegment.get(entry.segment);
    if (set !== undefined) checkInside(context, entry, set);
  }
  checkApart(context, [...ofSegment.values()]);
}

/** Every interface on the segment of a network: that of the external one is the inventory's. */
function* eachInterface(
  { tree }: BuildContext,
  { segmentOf }: Topology,
): Iterable<Omit<SetSubnet, "subnet">> {
  for (const machine of tree.components.values()) {
    for (const name of machine.interfaces) {
      const segment = segmentOf.get(joinPath(machine.path, name));
      if (segment !== undefined && segment !== EXTERNAL_SEGMENT)
        yield { machine, interfaceName: name, segment };
    }
  }
}

/** The one string of an interface's parameter. */
function known(machine: Component, parameter: string): string | undefined {
  const elements = machine.parameters.get(parameter)?.elements ?? [];
  return elements.length === 1 && typeof elements[0] === "string" ? elements[0] : undefined;
}

/** Undefined when CVL does not set it, or it is wrong by itself. */
function readSubnet(context: BuildContext, machine: Component, name: string): Subnet | undefined {
  const network = parseAddress(known(machine, `${name}.subnet`) ?? "");
  const netmask = known(machine, `${name}.netmask`);
  const prefix = netmask === undefined ? DEFAULT_PREFIX : prefixOfNetmask(netmask);
  if (network === undefined || prefix === undefined) return undefined;
  const subnet = parseSubnet(`${formatAddress(network)}/${prefix}`);
  if (subnet !== undefined && prefix >= PREFIXES.least && prefix <= PREFIXES.most) return subnet;
  report(context, {
    code: "NETWORK_ADDRESS_SYNTAX",
    message: `${joinPath(machine.path, name)}.subnet must be a network address that fits its netmask (/${PREFIXES.least} to /${PREFIXES.most}), but it is ${formatAddress(network)}/${prefix}`,
    place: placeOf(machine, `${name}.subnet`),
  });
  return undefined;
}

function fullName({ machine, interfaceName }: Omit<SetSubnet, "subnet">): string {
  return joinPath(machine.path, interfaceName);
}

function subnetPlace({ machine, interfaceName }: SetSubnet): ReturnType<typeof placeOf> {
  return placeOf(machine, `${interfaceName}.subnet`);
}

function reportDifferent(context: BuildContext, first: SetSubnet, other: SetSubnet): void {
  report(context, {
    code: "NETWORK_SUBNET_DIFFERS",
    message: `${fullName(other)} has the subnet ${formatSubnet(other.subnet)}, but ${fullName(first)} on the same segment has ${formatSubnet(first.subnet)}`,
    place: subnetPlace(other),
    hint: "a segment has one subnet: set it at one interface, or at all of them the same",
    related: [{ message: fullName(first), place: subnetPlace(first) }],
  });
}

/** An address that CVL sets lies in the subnet that another interface sets; one with its own subnet is checked with that. */
function checkInside(context: BuildContext, entry: Omit<SetSubnet, "subnet">, set: SetSubnet): void {
  const { machine, interfaceName } = entry;
  if (known(machine, `${interfaceName}.subnet`) !== undefined) return;
  const ip = known(machine, `${interfaceName}.ip`);
  const address = parseAddress(ip ?? "");
  if (ip === undefined || address === undefined || isHostAddress(set.subnet, address)) return;
  report(context, {
    code: "NETWORK_IP_OUTSIDE_SUBNET",
    message: `${fullName(entry)}.ip is ${ip}, which is no usable address of ${formatSubnet(set.subnet)}, the subnet of its segment`,
    place: placeOf(machine, `${interfaceName}.ip`),
    related: [{ message: "the subnet", place: subnetPlace(set) }],
  });
}

/** Sorted by their first address, each can meet only what began before it and has not ended. */
function checkApart(context: BuildContext, subnets: SetSubnet[]): void {
  subnets.sort((a, b) => a.subnet.network - b.subnet.network || a.subnet.prefix - b.subnet.prefix);
  let widest: SetSubnet | undefined;
  for (const entry of subnets) {
    if (widest !== undefined && entry.subnet.network < endOf(widest)) reportMeeting(context, widest, entry);
    if (widest === undefined || endOf(entry) > endOf(widest)) widest = entry;
  }
}

function endOf({ subnet }: SetSubnet): number {
  return subnet.network + subnetSize(subnet.prefix);
}

function reportMeeting(context: BuildContext, first: SetSubnet, other: SetSubnet): void {
  const name = ({ segment }: SetSubnet) => displayPath(segment, context.tree.appliance);
  report(context, {
    code: "NETWORK_SUBNETS_OVERLAP",
    message: `the subnet ${formatSubnet(other.subnet)} of the network ${name(other)} overlaps ${formatSubnet(first.subnet)} of ${name(first)}`,
    place: subnetPlace(other),
    hint: "give each network addresses of its own, or leave the choice to the utility",
    related: [{ message: fullName(first), place: subnetPlace(first) }],
  });
}
