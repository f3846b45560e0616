/** `cui remove`: a network that is stopped leaves state, tags and addresses; its data goes to the attics of its hosts. */
import { CollectiveError } from "../../errors.ts";
import { machineName } from "../../network/paths.ts";
import { planRemove } from "../../plan/diff-networks.ts";
import { missingDataDisks } from "../observe/missing-data-disks.ts";
import {
  LOOK_BEFORE_CHANGE_MS,
  observeHosts,
  requireHost,
  type ObservedHosts,
} from "../observe/observe-hosts.ts";
import { observeNetwork, type ObservedNetwork } from "../observe/observe-network.ts";
import {
  describeRunning,
  leaseFile,
  networkPrefix,
  readNetwork,
  type NetworkState,
} from "../records/state.ts";
import { applyActions, requireAllDone } from "./apply.ts";
import {
  beginOperation,
  underLease,
  type HeldNetwork,
  type NetworkOperationOptions,
} from "./network-operation.ts";
import { stopNetwork } from "./stop-network.ts";

export interface RemoveOptions extends NetworkOperationOptions {
  /** Data disks that are lost for good, `w:vdb`: the network goes without them. */
  readonly lostDataDisks?: ReadonlySet<string>;
  /** Stops it first, where it runs, and only when nothing else is in the way. */
  readonly stopFirst?: boolean;
}

export interface RemovedNetwork {
  readonly networkId: string;
  /** Machines that were removed. */
  readonly machines: readonly string[];
  /** Data disks that went to the attic: `vdb of w on h1`. */
  readonly dataDisks: readonly string[];
}

/** What would go and where its data would stay, for the question that is asked first. @throws CollectiveError UTILITY_NETWORK_UNKNOWN */
export async function describeRemoval({
  store,
  networkId,
  file,
}: Pick<NetworkOperationOptions, "store" | "networkId" | "file">): Promise<RemovedNetwork> {
  const state = requireKnown(file, readNetwork(await store.read(), networkId));
  const machines = [...state.machines.values()];
  return {
    networkId,
    machines: machines.map(({ component }) => machineName(component)),
    dataDisks: machines.flatMap(({ component, host, current, next }) =>
      ((current ?? next)?.description.dataDisks ?? []).map(
        ({ device }) => `${device} of ${machineName(component)} on ${host}`,
      ),
    ),
  };
}

/**
 * The token of its lease is kept: hosts remember it for good.
 * @throws CollectiveError UTILITY_NETWORK_UNKNOWN, UTILITY_NETWORK_RUNNING, UTILITY_HOST_UNREACHABLE, UTILITY_DATA_DISK_MISSING before anything is changed;
 *   UTILITY_INCOMPLETE when some of it failed: a second run goes on from there.
 */
export async function removeNetwork(options: RemoveOptions): Promise<RemovedNetwork> {
  const removed = await describeRemoval(options);
  if (options.stopFirst === true) {
    await checkRemoval(options);
    await stopNetwork(options);
  }
  await underLease(options, `remove ${options.file}`, (held) => removeWith(options, held));
  return removed;
}

interface Observation {
  readonly state: NetworkState;
  readonly observed: ObservedNetwork;
  readonly observedHosts: ObservedHosts;
}

async function removeWith(options: RemoveOptions, held: HeldNetwork): Promise<void> {
  const { store, networkId, file } = options;
  const { lease, observedHosts } = held;
  const state = requireKnown(file, readNetwork(await store.read(), networkId));
  const observed = observeNetwork(networkId, state, observedHosts);
  requireStopped(file, observed);
  requireData(options, { state, observed, observedHosts });
  const machines = [...state.machines.values()].flatMap(
    ({ current, next }) => (current ?? next)?.description ?? [],
  );
  const { actions } = planRemove(describeRunning(state.record, machines));
  const what = { name: "remove", count: actions.length, state, observed };
  const operation = await beginOperation(options, held, what);
  const outcomes = await applyActions(operation, actions);
  await Promise.all(operation.writes);
  requireAllDone(outcomes);
  await lease.commit((snapshot) => {
    const files = [...snapshot.files.keys()].filter((name) => name.startsWith(networkPrefix(networkId)));
    const gone = files.filter((name) => name !== leaseFile(networkId));
    return { message: `${networkId}: removed`, files: new Map(gone.map((name) => [name, null])) };
  });
}

/** What would refuse the removal once the network is stopped. */
async function checkRemoval(options: RemoveOptions): Promise<void> {
  const { store, networkId, file, inventory, connect } = options;
  const state = requireKnown(file, readNetwork(await store.read(), networkId));
  const observedHosts = await observeHosts(inventory.hosts, connect, LOOK_BEFORE_CHANGE_MS);
  try {
    const observed = observeNetwork(networkId, state, observedHosts);
    requireData(options, { state, observed, observedHosts });
  } finally {
    await observedHosts.close();
  }
}

function requireStopped(file: string, { machines, orphans }: ObservedNetwork): void {
  const running = [
    ...[...machines.values()].filter(({ state }) => state !== "absent"),
    ...orphans.map((orphan) => ({ ...orphan, state: "running" })),
  ];
  if (running.length === 0) return;
  const list = running
    .slice(0, 10)
    .map(({ component, host, state }) => `${machineName(component)} (${state} on ${host})`);
  throw new CollectiveError("UTILITY_NETWORK_RUNNING", `${file} runs: ${list.join(", ")}`, {
    data: { running: list },
    hint: `\`cui stop ${file}\` first, or \`cui remove ${file} --stop\``,
  });
}

/** One that comes back when nobody knows of it any more, with a file system that was not mounted, would be in the way of the next start. */
function requireData(
  { networkId, file, lostDataDisks }: RemoveOptions,
  { state, observed, observedHosts }: Observation,
): void {
  for (const { component, host } of state.machines.values())
    requireHost(observedHosts, host, `${machineName(component)} has been there, and its data may be`);
  const missing = missingDataDisks(networkId, observed, observedHosts);
  const present = [...(lostDataDisks ?? [])].find((disk) => !missing.has(disk));
  if (present !== undefined) {
    throw new CollectiveError("UTILITY_DATA_DISK_PRESENT", `the data disk ${present} is not missing`, {
      data: { disk: present, missing: [...missing.keys()] },
      hint: "--lost-data-disk is for a data disk that its host has lost; one that is there goes to the attic",
    });
  }
  const left = [...missing].filter(([disk]) => lostDataDisks?.has(disk) !== true);
  if (left.length === 0) return;
  const list = left.map(([disk, { host }]) => `${disk} is not on ${host}`);
  throw new CollectiveError(
    "UTILITY_DATA_DISK_MISSING",
    `data disks of ${file} cannot go to the attic: ${list.slice(0, 10).join(", ")}`,
    {
      data: { missing: left.map(([disk]) => disk) },
      hint: `bring them back (is a file system not mounted?); where one is lost for good: \`cui remove ${file} --lost-data-disk ${left[0]?.[0] ?? ""}\``,
    },
  );
}

function requireKnown(file: string, state: NetworkState | undefined): NetworkState {
  if (state !== undefined) return state;
  throw new CollectiveError("UTILITY_NETWORK_UNKNOWN", `${file} was never started here`, {
    hint: "cui status lists what was; CUI_STATE names the state repository",
  });
}
