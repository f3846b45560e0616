/** What other networks really use, by the hosts' own word: also those that the state knows nothing of. */
import { CollectiveError } from "../../errors.ts";
import { EXTERNAL_SEGMENT } from "../../network/description.ts";
import { contains, parseAddress, parseSubnet } from "../../network/ipv4.ts";
import { machineName } from "../../network/paths.ts";
import type { MachineId } from "../../host/host.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { NetworkAllocation, Taken } from "../records/allocation.ts";
import type { ObservedHosts } from "./observe-hosts.ts";

/** Who uses each: `d of office-3f2a1c on h1`. */
export interface UsedOnHosts {
  readonly tags: ReadonlyMap<number, string>;
  readonly macs: ReadonlyMap<string, string>;
  /** Addresses on the external segment, as numbers. */
  readonly publicAddresses: ReadonlyMap<number, string>;
}

/** Of every network but `networkId`. */
export function usedOnHosts(
  networkId: string,
  observedHosts: ObservedHosts,
  inventory: Pick<Inventory, "external">,
): UsedOnHosts {
  const tags = new Map<number, string>();
  const macs = new Map<string, string>();
  const publicAddresses = new Map<number, string>();
  for (const { id, user, mac, tag, publicAddress } of usesOnHosts(observedHosts, inventory)) {
    if (id.networkId === networkId) continue;
    macs.set(mac, user);
    if (tag !== undefined) tags.set(tag, user);
    if (publicAddress !== undefined) publicAddresses.set(publicAddress, user);
  }
  return { tags, macs, publicAddresses };
}

/** What one interface of a machine uses. */
export interface UseOnHost {
  readonly id: MachineId;
  /** `d of office-3f2a1c on h1`. */
  readonly user: string;
  readonly mac: string;
  /** Of a segment of its network; undefined on the external segment, and without a tag. */
  readonly tag: number | undefined;
  readonly publicAddress: number | undefined;
}

/** Of all networks. */
export function* usesOnHosts(
  { reached }: ObservedHosts,
  { external }: Pick<Inventory, "external">,
): Iterable<UseOnHost> {
  const subnet = parseSubnet(external?.subnet ?? "");
  for (const [host, { inventory }] of reached) {
    for (const { id, interfaces } of inventory.machines) {
      const user = `${machineName(id.component)} of ${id.networkId} on ${host}`;
      for (const { mac, port, ip } of interfaces) {
        const isExternal = external !== undefined && port?.tag === external.tag;
        const address = parseAddress(ip ?? "");
        const isPublic =
          isExternal && subnet !== undefined && address !== undefined && contains(subnet, address);
        yield {
          ...{ id, user, mac },
          tag: isExternal ? undefined : (port?.tag ?? undefined),
          publicAddress: isPublic ? address : undefined,
        };
      }
    }
  }
}

export function joinTaken(taken: Taken, used: UsedOnHosts): Taken {
  return {
    tags: new Set([...taken.tags, ...used.tags.keys()]),
    macs: new Set([...taken.macs, ...used.macs.keys()]),
    publicAddresses: new Set([...taken.publicAddresses, ...used.publicAddresses.keys()]),
  };
}

/**
 * What the state gave this network nobody else may use: two machines would answer at one address.
 * @throws CollectiveError UTILITY_IN_USE
 */
export function requireUnshared({ segments, interfaces }: NetworkAllocation, used: UsedOnHosts): void {
  const conflicts: string[] = [];
  const add = (what: string, user: string | undefined): void => {
    if (user !== undefined) conflicts.push(`${what} is used by ${user}`);
  };
  for (const [id, { tag }] of Object.entries(segments))
    if (id !== EXTERNAL_SEGMENT && tag !== null) add(`VLAN tag ${tag}`, used.tags.get(tag));
  for (const [path, { mac, ip, segment }] of Object.entries(interfaces)) {
    add(`the MAC address ${mac} of ${path}`, used.macs.get(mac));
    const address = segment === EXTERNAL_SEGMENT ? parseAddress(ip ?? "") : undefined;
    if (address !== undefined) add(`the address ${ip} of ${path}`, used.publicAddresses.get(address));
  }
  if (conflicts.length === 0) return;
  throw new CollectiveError(
    "UTILITY_IN_USE",
    `another network uses what this one holds: ${conflicts.slice(0, 5).join("; ")}`,
    {
      data: { conflicts },
      hint: "is the state an old copy, or does another site use the same hosts? stop the one that should not run; nothing was changed",
    },
  );
}
