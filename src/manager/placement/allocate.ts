/**
 * Gives a network its VLAN tags, subnets, MACs and addresses. Pure: the same network, with the same things taken, gets the
 * same; what it holds already is kept. What CVL sets is respected and checked first, so that it never meets a later choice.
 */
import { createHash } from "node:crypto";
import { CollectiveError } from "../../errors.ts";
import {
  EXTERNAL_SEGMENT,
  type InterfaceDescription,
  type NetworkDescription,
  type SegmentId,
} from "../../network/description.ts";
import {
  interfacePath,
  type InterfaceAllocation,
  type NetworkAllocation,
  type SegmentAllocation,
  type Taken,
} from "../records/allocation.ts";
import type { Inventory } from "../../site/inventory.ts";
import {
  formatAddress,
  formatSubnet,
  parseAddress,
  parseSubnet,
  isHostAddress,
  overlaps,
  subnetSize,
  type Subnet,
} from "../../network/ipv4.ts";
import { staticMac, staticAddress, staticSubnet } from "./static-addresses.ts";
import { derivedSubnet, parseSubnets, requireApart } from "./subnets.ts";

export interface AllocateOptions {
  readonly networkId: string;
  readonly description: NetworkDescription;
  readonly kept: NetworkAllocation;
  readonly taken: Taken;
  readonly inventory: Pick<Inventory, "vlans" | "external" | "addresses" | "subnets">;
}

interface Wanted {
  readonly path: string;
  readonly description: InterfaceDescription;
}

/**
 * Allocations of components that are no longer wanted stay in the result: they end when the component is removed.
 * @throws CollectiveError UTILITY_VLANS_EXHAUSTED, UTILITY_ADDRESSES_EXHAUSTED, UTILITY_NO_EXTERNAL, UTILITY_SUBNETS_MEET, and UTILITY_ADDRESS_INVALID or
 *   UTILITY_ADDRESS_TAKEN for values CVL sets.
 */
export function allocate(options: AllocateOptions): NetworkAllocation {
  const wanted = wantedInterfaces(options.description);
  const segments = allocateSegments(options, wanted);
  const macs = allocateMacs(options, wanted);
  const addresses = allocateAddresses(options, wanted, segments);
  const interfaces: Record<string, InterfaceAllocation> = { ...options.kept.interfaces };
  for (const { path, description } of wanted) {
    interfaces[path] = {
      segment: description.segment,
      mac: macs.get(path) ?? "",
      ip: addresses.get(path) ?? null,
    };
  }
  return { segments, interfaces };
}

function wantedInterfaces(description: NetworkDescription): Wanted[] {
  return Object.values(description.machines).flatMap((machine) =>
    Object.entries(machine.interfaces).map(([name, entry]) => ({
      path: interfacePath(machine.path, name),
      description: entry,
    })),
  );
}

function allocateSegments(
  options: AllocateOptions,
  wanted: readonly Wanted[],
): Record<SegmentId, SegmentAllocation> {
  const { kept, inventory, description } = options;
  const segments: Record<SegmentId, SegmentAllocation> = { ...kept.segments };
  const used = new Set([
    ...options.taken.tags,
    ...Object.values(kept.segments).map((segment) => segment.tag),
  ]);
  if (inventory.external?.tag != null) used.add(inventory.external.tag);
  const set = staticSubnets(wanted);
  const occupied = parseSubnets([
    ...Object.values(kept.segments).map(({ subnet }) => subnet),
    ...set.values(),
    inventory.external?.subnet ?? "",
  ]);
  for (const id of Object.keys(description.segments)) {
    if (id === EXTERNAL_SEGMENT) {
      segments[id] = externalSegment(inventory);
      continue;
    }
    const fixed = set.get(id);
    // A tag whose subnet is the provider's, or one that CVL gave another segment, is passed over.
    const isFree = (tag: number): boolean => {
      const derived = derivedSubnet(inventory.subnets, tag);
      return !used.has(tag) && (fixed !== undefined || !occupied.some((other) => overlaps(other, derived)));
    };
    const tag = kept.segments[id]?.tag ?? inventory.vlans.find(isFree);
    if (tag === undefined) throw vlansExhausted(inventory, description);
    used.add(tag);
    segments[id] = { tag, subnet: fixed ?? formatSubnet(derivedSubnet(inventory.subnets, tag)) };
  }
  requireApart(segments, inventory);
  return segments;
}

/** What CVL sets, by segment. */
function staticSubnets(wanted: readonly Wanted[]): ReadonlyMap<SegmentId, string> {
  const ofSegment = Map.groupBy(wanted, ({ description }) => description.segment);
  return new Map(
    [...ofSegment].flatMap(([id, interfaces]) => {
      if (id === null || id === EXTERNAL_SEGMENT) return [];
      const subnet = staticSubnet(interfaces);
      return subnet === undefined ? [] : [[id, subnet] as const];
    }),
  );
}

function externalSegment(inventory: AllocateOptions["inventory"]): SegmentAllocation {
  if (inventory.external === undefined) {
    throw new CollectiveError(
      "UTILITY_NO_EXTERNAL",
      "an interface lies on the external segment, but utility.yaml has none",
      {
        hint: "add it with `cui address add <range> --subnet <subnet> --gateway <address> --vlan <tag>`",
      },
    );
  }
  return { tag: inventory.external.tag, subnet: inventory.external.subnet };
}

function vlansExhausted(
  inventory: AllocateOptions["inventory"],
  description: NetworkDescription,
): CollectiveError {
  const total = inventory.vlans.length;
  return new CollectiveError(
    "UTILITY_VLANS_EXHAUSTED",
    `${description.appliance} needs a VLAN tag, but ${total === 0 ? "utility.yaml has none" : `all ${total} of utility.yaml are in use`}`,
    { hint: "add tags with `cui vlan add <first>-<last>`, or stop and remove a network", data: { total } },
  );
}

function allocateMacs(options: AllocateOptions, wanted: readonly Wanted[]): Map<string, string> {
  const owners = new Map<string, string>([...options.taken.macs].map((mac) => [mac, "another network"]));
  const result = new Map<string, string>();
  const isWanted = new Set(wanted.map((entry) => entry.path));
  const take = (path: string, mac: string): void => {
    owners.set(mac, path);
    result.set(path, mac);
  };
  for (const [path, { mac }] of Object.entries(options.kept.interfaces))
    if (!isWanted.has(path)) owners.set(mac, path);
  for (const { path, description } of wanted) {
    const mac = staticMac(path, description);
    if (mac === undefined) continue;
    const owner = owners.get(mac);
    if (owner !== undefined) throw taken(`${path}.mac`, mac, owner);
    take(path, mac);
  }
  for (const { path } of wanted) {
    const mac = options.kept.interfaces[path]?.mac;
    if (mac !== undefined && !result.has(path) && !owners.has(mac)) take(path, mac);
  }
  for (const { path } of wanted) {
    for (let attempt = 0; !result.has(path); attempt++) {
      const mac = derivedMac(options.networkId, path, attempt);
      if (!owners.has(mac)) take(path, mac);
    }
  }
  return result;
}

/** Locally administered and unicast: 02 and forty bits of a digest. */
function derivedMac(networkId: string, path: string, attempt: number): string {
  const digest = createHash("sha256").update(`${networkId}\0${path}\0${attempt}`).digest("hex");
  return ["02", ...Array.from({ length: 5 }, (_, index) => digest.slice(index * 2, index * 2 + 2))].join(":");
}

function allocateAddresses(
  options: AllocateOptions,
  wanted: readonly Wanted[],
  segments: Readonly<Record<SegmentId, SegmentAllocation>>,
): Map<string, string> {
  const result = new Map<string, string>();
  for (const id of Object.keys(options.description.segments)) {
    const subnet = parseSubnet(segments[id]?.subnet ?? "");
    if (subnet === undefined) continue;
    const ofSegment = wanted.filter((entry) => entry.description.segment === id);
    for (const [path, address] of allocateOnSegment({ ...options, id, subnet, ofSegment })) {
      result.set(path, formatAddress(address));
    }
  }
  return result;
}

interface OnSegment extends AllocateOptions {
  readonly id: SegmentId;
  readonly subnet: Subnet;
  readonly ofSegment: readonly Wanted[];
}

/** What CVL sets first, then what is kept, then the gateway at the first free address, then the others. */
function allocateOnSegment(options: OnSegment): Map<string, number> {
  const { id, subnet, ofSegment } = options;
  const owners = ownersOnSegment(options);
  const result = new Map<string, number>();
  const take = (path: string, address: number): void => {
    owners.set(address, path);
    result.set(path, address);
  };
  const open = ofSegment.filter((entry) => entry.description.ip.length === 0);
  for (const { path, description } of ofSegment) {
    const address = staticAddress({ path, description, subnet });
    if (address === undefined) continue;
    const owner = owners.get(address);
    if (owner !== undefined) throw taken(`${path}.ip`, formatAddress(address), owner);
    take(path, address);
  }
  for (const { path } of open) {
    const address = keptAddress(options, path);
    if (address !== undefined && !owners.has(address)) take(path, address);
  }
  const free = freeAddresses(options, owners);
  const gateway = options.description.segments[id]?.gateway;
  for (const { path } of [...open].sort((a, b) => Number(b.path === gateway) - Number(a.path === gateway))) {
    if (result.has(path)) continue;
    const next = free(path === gateway);
    if (next === undefined) throw addressesExhausted(options, path);
    take(path, next);
  }
  return result;
}

/** Addresses of the segment that are somebody's already; the first one of a network waits for its gateway. */
function ownersOnSegment(options: OnSegment): Map<number, string> {
  const { id, ofSegment, kept, taken: others, inventory } = options;
  const owners = new Map<number, string>();
  if (id === EXTERNAL_SEGMENT) {
    for (const address of others.publicAddresses) owners.set(address, "another network");
    const gateway = parseAddress(inventory.external?.gateway ?? "");
    if (gateway !== undefined) owners.set(gateway, "the gateway of the external segment");
  }
  const isHere = new Set(ofSegment.map((entry) => entry.path));
  for (const [path, allocation] of Object.entries(kept.interfaces)) {
    const address = parseAddress(allocation.ip ?? "");
    if (allocation.segment === id && address !== undefined && !isHere.has(path)) owners.set(address, path);
  }
  return owners;
}

/** The address an interface had on this segment, as long as it still belongs to it. */
function keptAddress(options: OnSegment, path: string): number | undefined {
  const kept = options.kept.interfaces[path];
  const address = parseAddress(kept?.ip ?? "");
  if (kept?.segment !== options.id || address === undefined || !isHostAddress(options.subnet, address))
    return undefined;
  return address;
}

function freeAddresses(
  options: OnSegment,
  owners: ReadonlyMap<number, string>,
): (isGateway: boolean) => number | undefined {
  const { subnet } = options;
  const first = subnet.network + 1;
  const ranges =
    options.id === EXTERNAL_SEGMENT
      ? options.inventory.addresses
      : [{ first, last: subnet.network + subnetSize(subnet.prefix) - 2 }];
  return (isGateway) => {
    for (const range of ranges) {
      for (let address = range.first; address <= range.last; address++) {
        const isReserved = options.id !== EXTERNAL_SEGMENT && address === first && !isGateway;
        if (!isReserved && isHostAddress(subnet, address) && !owners.has(address)) return address;
      }
    }
    return undefined;
  };
}

function addressesExhausted(options: OnSegment, path: string): CollectiveError {
  if (options.id === EXTERNAL_SEGMENT) {
    return new CollectiveError(
      "UTILITY_ADDRESSES_EXHAUSTED",
      `${path} needs a public address, but the pool of utility.yaml has no free one inside ${formatSubnet(options.subnet)}`,
      { hint: "add addresses with `cui address add <first>-<last>`, or stop and remove a network" },
    );
  }
  return new CollectiveError(
    "UTILITY_ADDRESSES_EXHAUSTED",
    `${path} needs an address, but all of ${formatSubnet(options.subnet)} are in use`,
    { hint: "a network has room for 253 machines beside its gateway; split it into nested networks" },
  );
}

function taken(parameter: string, value: string, owner: string): CollectiveError {
  return new CollectiveError(
    "UTILITY_ADDRESS_TAKEN",
    `${parameter} is set to ${value}, which belongs to ${owner}`,
    {
      hint: `set another value, or leave ${parameter} unset so that the utility assigns one`,
    },
  );
}
