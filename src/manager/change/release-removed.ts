/** After an operation: what removed components held is released. */
import type { NetworkDescription } from "../../network/description.ts";
import type { NetworkAllocation } from "../records/allocation.ts";
import type { Lease } from "../records/lease.ts";
import { networkFile, readNetwork, toFile, type MachineRecord, type NetworkState } from "../records/state.ts";

/**
 * An allocation ends when its component is neither described nor kept in the state; a segment's when no interface that is kept
 * lies on it.
 */
export async function releaseRemoved(lease: Lease, description: NetworkDescription): Promise<void> {
  await lease.commit((snapshot) => {
    const state = readNetwork(snapshot, lease.networkId);
    if (state === undefined) return undefined;
    const allocation = pruned(state, description);
    if (JSON.stringify(allocation) === JSON.stringify(state.record.allocation)) return undefined;
    const segments = Object.fromEntries(
      Object.entries(state.record.segments).filter(([id]) => id in allocation.segments),
    );
    return {
      message: `${lease.networkId}: addresses of removed components are free`,
      files: new Map([[networkFile(lease.networkId), toFile({ ...state.record, allocation, segments })]]),
    };
  });
}

function pruned(state: NetworkState, description: NetworkDescription): NetworkAllocation {
  const kept = new Set<string>();
  const described = Object.values(description.machines);
  const recorded = [...state.machines.values()].flatMap(descriptionsOf);
  for (const machine of [...described, ...recorded]) {
    for (const name of Object.keys(machine.interfaces))
      kept.add(machine.path === "" ? name : `${machine.path}.${name}`);
  }
  const interfaces = Object.fromEntries(
    Object.entries(state.record.allocation.interfaces).filter(([path]) => kept.has(path)),
  );
  const used = new Set(Object.values(interfaces).map((entry) => entry.segment));
  const segments = Object.fromEntries(
    Object.entries(state.record.allocation.segments).filter(
      ([id]) => used.has(id) || id in description.segments,
    ),
  );
  return { interfaces, segments };
}

function descriptionsOf(record: MachineRecord) {
  return [record.current, record.next].flatMap((incarnation) => incarnation?.description ?? []);
}
