/** Which tags and public addresses of the site are used: by the state, and by the hosts' own word where the state has lost it. */
import { formatAddress, parseAddress } from "../../network/ipv4.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { StateStore } from "../records/state-store.ts";
import { usedPublicAddresses, usedTags, type UsedAddress } from "../records/usage.ts";
import { withObservedHosts, type ConnectHost, type ObservedHosts } from "./observe-hosts.ts";
import { usesOnHosts } from "./used-on-hosts.ts";

export interface TagUse {
  readonly tag: number;
  /** Null for a tag that is free. */
  readonly network: string | null;
  /** Who uses it without the state's knowledge: `d of office-3f2a1c on h1`. */
  readonly onHost: string | null;
}

export interface AddressUse extends UsedAddress {
  /** As that of a tag. */
  readonly onHost: string | null;
}

export interface SiteUsage {
  /** Every tag of utility.yaml. */
  readonly tags: readonly TagUse[];
  /** Those that are used, also outside the pool. */
  readonly addresses: readonly AddressUse[];
  /** Addresses of the pool. */
  readonly pool: { readonly total: number; readonly free: number };
  /** Hosts that may use more. */
  readonly unreachable: readonly { readonly host: string; readonly message: string }[];
}

export async function siteUsage(options: {
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
  readonly store: StateStore;
}): Promise<SiteUsage> {
  const { inventory, connect, store } = options;
  return withObservedHosts(inventory.hosts, connect, async (observing) => {
    const [snapshot, observedHosts] = await Promise.all([store.read(), observing]);
    const addresses = addressUses(usedPublicAddresses(snapshot), observedHosts, inventory);
    return {
      tags: tagUses(usedTags(snapshot), observedHosts, inventory),
      addresses,
      pool: poolOf(inventory, addresses),
      unreachable: [...observedHosts.missed].map(([host, { error }]) => ({ host, message: error.message })),
    };
  });
}

function tagUses(
  known: ReadonlyMap<number, string>,
  observedHosts: ObservedHosts,
  inventory: Inventory,
): TagUse[] {
  const found = new Map<number, { readonly network: string; readonly user: string }>();
  for (const { id, user, tag } of usesOnHosts(observedHosts, inventory))
    if (tag !== undefined && known.get(tag) !== id.networkId) found.set(tag, { network: id.networkId, user });
  return inventory.vlans.map((tag) => ({
    tag,
    network: known.get(tag) ?? found.get(tag)?.network ?? null,
    onHost: found.get(tag)?.user ?? null,
  }));
}

function addressUses(
  known: readonly UsedAddress[],
  observedHosts: ObservedHosts,
  inventory: Inventory,
): AddressUse[] {
  const keyOf = (address: string, network: string): string => `${address} ${network}`;
  const expected = new Set(known.map(({ address, network }) => keyOf(address, network)));
  const uses = known.map((use): AddressUse => ({ ...use, onHost: null }));
  for (const { id, user, publicAddress } of usesOnHosts(observedHosts, inventory)) {
    if (publicAddress === undefined) continue;
    const address = formatAddress(publicAddress);
    if (!expected.has(keyOf(address, id.networkId)))
      uses.push({ address, network: id.networkId, component: id.component, onHost: user });
  }
  return uses;
}

function poolOf({ addresses }: Inventory, uses: readonly AddressUse[]): SiteUsage["pool"] {
  const total = addresses.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  const used = new Set(uses.map(({ address }) => parseAddress(address) ?? -1));
  const inPool = [...used].filter((address) =>
    addresses.some(({ first, last }) => address >= first && address <= last),
  );
  return { total, free: total - inPool.length };
}
