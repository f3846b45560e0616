/** A network that runs and that the state knows nothing of: the state was lost, or is not the one that started it. */
import { CollectiveError } from "../../errors.ts";
import { machineName } from "../../network/paths.ts";
import type { Inventory } from "../../site/inventory.ts";
import { withObservedHosts, type ConnectHost, type ObservedHosts } from "./observe-hosts.ts";
import type { StateStore } from "../records/state-store.ts";
import type { NetworkState } from "../records/state.ts";

/** Starting it anew would double its machines, and its hosts would refuse that anyway. @throws CollectiveError UTILITY_STATE_LOST */
export function requireState(options: {
  readonly networkId: string;
  readonly state: NetworkState | undefined;
  readonly observedHosts: ObservedHosts;
  readonly store: Pick<StateStore, "directory">;
}): void {
  const { networkId, state, observedHosts, store } = options;
  if (state !== undefined) return;
  const found = [...observedHosts.reached].flatMap(([host, { inventory }]) => [
    ...inventory.machines
      .filter(({ id }) => id.networkId === networkId)
      .map(({ id }) => `${machineName(id.component)} is on ${host}`),
    ...inventory.dataDisks
      .filter(({ id, inAttic }) => id.networkId === networkId && !inAttic)
      .map(({ id, device }) => `the data disk ${device} of ${machineName(id.component)} is on ${host}`),
  ]);
  if (found.length === 0) return;
  throw new CollectiveError(
    "UTILITY_STATE_LOST",
    `${found.slice(0, 5).join("; ")}, and the state in ${store.directory} knows nothing of network ${networkId}`,
    {
      data: { found },
      hint: 'name the right state with CUI_STATE, or bring it back from a backup: docs/operations.md, "A lost state"; nothing was changed',
    },
  );
}

/**
 * For what needs a network that was started, where the state knows none: where a host has something of it, the state is the wrong one.
 * @throws CollectiveError UTILITY_STATE_LOST, UTILITY_NETWORK_UNKNOWN
 */
export async function refuseUnknownNetwork(options: {
  readonly networkId: string;
  readonly file: string;
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
  readonly store: Pick<StateStore, "directory">;
}): Promise<never> {
  const { networkId, file, inventory, connect, store } = options;
  await withObservedHosts(inventory.hosts, connect, async (observing) => {
    requireState({ networkId, state: undefined, observedHosts: await observing, store });
  });
  throw new CollectiveError("UTILITY_NETWORK_UNKNOWN", `${file} was never started here`, {
    hint: "cui status lists what was; CUI_STATE names the state repository",
  });
}
