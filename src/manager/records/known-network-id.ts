import { findNetwork, networkIdFor } from "../../site/network-id.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { StateSnapshot } from "./state-snapshot.ts";
import { listNetworks, readNetworkRecord } from "./state.ts";

/**
 * The id of a root file where nobody writes utility.yaml: what the inventory says, else what the state has under that file,
 * so that a network somebody started by hand is not started a second time, else the one it would get.
 */
export function knownNetworkId(
  inventory: Inventory,
  snapshot: StateSnapshot,
  { file, object }: { file: string; object?: string | undefined },
): string {
  const fresh = networkIdFor(inventory, file, object);
  if (findNetwork(inventory, file, object) !== undefined) return fresh;
  const listed = new Set(inventory.networks.map(({ id }) => id));
  const known = listNetworks(snapshot).filter(
    (id) => !listed.has(id) && readNetworkRecord(snapshot, id)?.file === file,
  );
  return known.length === 1 && !known.includes(fresh) ? (known[0] ?? fresh) : fresh;
}
