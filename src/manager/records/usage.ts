/** Who has what of the site, from the state: for the lists of `cui vlan`, `cui address` and `cui host`. */
import { EXTERNAL_SEGMENT } from "../../network/description.ts";
import type { StateSnapshot } from "./state-snapshot.ts";
import { listNetworks, readNetwork, readNetworkRecord } from "./state.ts";

/** Network ids by VLAN tag. */
export function usedTags(snapshot: StateSnapshot): ReadonlyMap<number, string> {
  const used = new Map<number, string>();
  for (const id of listNetworks(snapshot)) {
    for (const [segment, { tag }] of Object.entries(
      readNetworkRecord(snapshot, id)?.allocation.segments ?? {},
    )) {
      if (segment !== EXTERNAL_SEGMENT && tag !== null) used.set(tag, id);
    }
  }
  return used;
}

export interface UsedAddress {
  readonly address: string;
  readonly network: string;
  /** Full path of the interface. */
  readonly component: string;
}

export function usedPublicAddresses(snapshot: StateSnapshot): UsedAddress[] {
  return listNetworks(snapshot).flatMap((network) =>
    Object.entries(readNetworkRecord(snapshot, network)?.allocation.interfaces ?? {}).flatMap(
      ([component, entry]) =>
        entry.segment === EXTERNAL_SEGMENT && entry.ip !== null
          ? [{ address: entry.ip, network, component }]
          : [],
    ),
  );
}

/** Machines the state has on a host, `office w`, also stopped ones: their data may be there. */
export function machinesOn(snapshot: StateSnapshot, host: string): string[] {
  return listNetworks(snapshot).flatMap((network) =>
    [...(readNetwork(snapshot, network)?.machines.values() ?? [])]
      .filter((record) => record.host === host)
      .map((record) => `${network} ${record.component || "(root)"}`),
  );
}
