/** Where the serial console of a machine is. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { StateStore } from "../records/state-store.ts";
import type { Inventory } from "../../site/inventory.ts";
import { readNetwork } from "../records/state.ts";
import { requireHost, withObservedHosts, type ConnectHost } from "./observe-hosts.ts";
import { refuseUnknownNetwork } from "./require-state.ts";
import { machineName } from "../../network/paths.ts";

export interface FoundConsole {
  /** Of the host, as the inventory has it. */
  readonly address: string;
  /** Of the unix socket on that host. */
  readonly path: string;
}

/** @throws CollectiveError UTILITY_NETWORK_UNKNOWN, UTILITY_STATE_LOST, UTILITY_UNKNOWN_COMPONENT, UTILITY_HOST_UNREACHABLE */
export async function findConsole(options: {
  readonly store: StateStore;
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
  readonly networkId: string;
  readonly file: string;
  readonly component: ComponentPath;
}): Promise<FoundConsole> {
  const { networkId, component } = options;
  const state = readNetwork(await options.store.read(), networkId);
  if (state === undefined) return refuseUnknownNetwork(options);
  const record = state.machines.get(component);
  if (record === undefined) {
    throw new CollectiveError(
      "UTILITY_UNKNOWN_COMPONENT",
      `${state.record.appliance} has no machine ${component || "at its root"}`,
      { hint: `its machines are ${[...state.machines.keys()].slice(0, 20).join(", ")}` },
    );
  }
  const entries = options.inventory.hosts.filter((host) => host.name === record.host);
  return withObservedHosts(entries, options.connect, async (observing) => {
    const need = `${machineName(component)} is on ${record.host}`;
    const host = requireHost(await observing, record.host, need);
    return { address: entries[0]?.address ?? "", path: await host.consolePath({ networkId, component }) };
  });
}
