/** `cui remove`: a network that is stopped leaves state, tags and addresses; its data goes to the attics of its hosts. */
import { CollectiveError } from "../../errors.ts";
import { machineName } from "../../network/paths.ts";
import { diskName } from "../../plan/data-disk-changes.ts";
import { planRemove } from "../../plan/diff-networks.ts";
import { missingDataDisks, requireMissing } from "../observe/missing-data-disks.ts";
import {
  LOOK_BEFORE_CHANGE_MS,
  observeHosts,
  requireHost,
  type ObservedHosts,
} from "../observe/observe-hosts.ts";
import { refuseUnknownNetwork } from "../observe/require-state.ts";
import { observeNetwork, type ObservedNetwork } from "../observe/observe-network.ts";
import {
  describeRunning,
  leaseFile,
  networkPrefix,
  readNetwork,
  type MachineRecord,
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
  readonly lostDataDisks?: ReadonlySet<string> | undefined;
  /** Stops it first, where it runs, and only when nothing else is in the way. */
  readonly stopFirst?: boolean;
}

export interface RemovedNetwork {
  readonly networkId: string;
  /** Machines that were removed. */
  readonly machines: readonly string[];
  /** Data disks that went to the attic: `vdb of w on h1`. */
  readonly dataDisks: readonly string[];
  /** Data disks that were lost and are let go of: `vdc of w on h1`. */
  readonly lostDataDisks: readonly string[];
}

/**
 * What would go and where its data would stay, for the question that is asked first; what would be refused is refused here.
 * @throws CollectiveError as removeNetwork, before anything is changed
 */
export async function describeRemoval(options: RemoveOptions): Promise<RemovedNetwork> {
  const { networkId, file, inventory, connect } = options;
  const state = await readKnown(options);
  const observedHosts = await observeHosts(inventory.hosts, connect, LOOK_BEFORE_CHANGE_MS);
  try {
    const observed = observeNetwork(networkId, state, observedHosts);
    if (options.stopFirst !== true) requireStopped(file, observed);
    requireData(options, { state, observed, observedHosts });
  } finally {
    await observedHosts.close();
  }
  return whatGoes(options, state);
}

/**
 * The token of its lease is kept: hosts remember it for good.
 * @throws CollectiveError UTILITY_NETWORK_UNKNOWN, UTILITY_NETWORK_RUNNING, UTILITY_HOST_UNREACHABLE, UTILITY_DATA_DISK_MISSING,
 *   UTILITY_DATA_DISK_PRESENT, UTILITY_DATA_DISK_UNKNOWN before anything is changed; UTILITY_INCOMPLETE when some of it failed: a second run goes on from there.
 */
export async function removeNetwork(options: RemoveOptions): Promise<RemovedNetwork> {
  if (options.stopFirst === true) {
    await describeRemoval(options);
    await stopNetwork(options);
  }
  return underLease(options, `remove ${options.file}`, (held) => removeWith(options, held));
}

function whatGoes(
  { networkId, lostDataDisks }: Pick<RemoveOptions, "networkId" | "lostDataDisks">,
  state: NetworkState,
): RemovedNetwork {
  const disks = [...state.machines.values()].flatMap((machine) =>
    devicesOf(machine).map((device) => ({
      isLost: lostDataDisks?.has(diskName(machine.component, device)) === true,
      text: `${device} of ${machineName(machine.component)} on ${machine.host}`,
    })),
  );
  return {
    networkId,
    machines: [...state.machines.values()].map(({ component }) => machineName(component)),
    dataDisks: disks.flatMap(({ isLost, text }) => (isLost ? [] : [text])),
    lostDataDisks: disks.flatMap(({ isLost, text }) => (isLost ? [text] : [])),
  };
}

function devicesOf({ current, next }: MachineRecord): readonly string[] {
  return ((current ?? next)?.description.dataDisks ?? []).map(({ device }) => device);
}

interface Observation {
  readonly state: NetworkState;
  readonly observed: ObservedNetwork;
  readonly observedHosts: ObservedHosts;
}

async function removeWith(options: RemoveOptions, held: HeldNetwork): Promise<RemovedNetwork> {
  const { networkId, file } = options;
  const { lease, observedHosts } = held;
  const state = await readKnown(options);
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
  return whatGoes(options, state);
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
  const known = [...state.machines.values()].flatMap((machine) =>
    devicesOf(machine).map((device) => diskName(machine.component, device)),
  );
  requireMissing(lostDataDisks, { missing, known, option: "--lost-data-disk" });
  const left = [...missing].filter(([disk]) => lostDataDisks?.has(disk) !== true);
  if (left.length === 0) return;
  const list = left.map(([disk, { host }]) => `${disk} is not on ${host}`);
  throw new CollectiveError(
    "UTILITY_DATA_DISK_MISSING",
    `data disks of ${file} cannot go to the attic: ${list.slice(0, 10).join(", ")}`,
    {
      data: { missing: left.map(([disk]) => disk) },
      hint: `bring them back (is a file system not mounted?); where one is lost for good: \`cui remove ${file} ${left.map(([disk]) => `--lost-data-disk ${disk}`).join(" ")}\``,
    },
  );
}

async function readKnown(options: RemoveOptions): Promise<NetworkState> {
  return readNetwork(await options.store.read(), options.networkId) ?? (await refuseUnknownNetwork(options));
}
