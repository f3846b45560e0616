/** `cui attic restore <entry> <cvl> <component>`: data comes back under a component that is stopped. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import { machineName } from "../../network/paths.ts";
import { underLease, type NetworkOperationOptions } from "../apply/network-operation.ts";
import { fenceOf } from "../change/operation.ts";
import {
  LOOK_BEFORE_CHANGE_MS,
  observeHosts,
  requireHost,
  type ObservedHosts,
} from "../observe/observe-hosts.ts";
import { observeNetwork } from "../observe/observe-network.ts";
import { readNetwork, type MachineRecord, type NetworkState } from "../records/state.ts";
import { askOne } from "./ask-hosts.ts";
import { listAttic, requireOwn, theEntry, type FoundEntry } from "./list-attic.ts";

export interface RestoreOptions extends NetworkOperationOptions {
  readonly component: ComponentPath;
  /** Its id, or how that begins. */
  readonly entry: string;
  /** Default: the device it was. */
  readonly device?: string | undefined;
  /** Called when everything is decided and nothing done; a rejection ends it there. */
  readonly onDecided?: (decided: DecidedRestore) => Promise<void>;
}

export interface DecidedRestore {
  readonly entry: FoundEntry;
  readonly component: ComponentPath;
  readonly device: string;
  /** The component has a disk there, which goes to the attic. */
  readonly replaces: boolean;
}

export interface RestoreResult extends DecidedRestore {
  readonly host: string;
  /** The entry which the disk became that the component had. */
  readonly putAside: string | null;
  readonly warnings: readonly string[];
}

/**
 * Nothing is overwritten and nothing is copied: the entry must lie on the component's host.
 * @throws CollectiveError UTILITY_NETWORK_UNKNOWN, UTILITY_UNKNOWN_COMPONENT, UTILITY_ATTIC_UNKNOWN, UTILITY_OTHER_HOST,
 *   UTILITY_DATA_DISK_UNKNOWN, UTILITY_NETWORK_RUNNING, UTILITY_HOST_UNREACHABLE before anything is changed
 */
export async function restoreFromAttic(options: RestoreOptions): Promise<RestoreResult> {
  const decided = await decide(options);
  await options.onDecided?.(decided);
  const command = `attic restore ${decided.entry.id} ${options.file} ${options.component}`.trimEnd();
  return underLease(options, command, async ({ lease, observedHosts }) => {
    const { component } = options;
    const state = requireKnown(options, readNetwork(await options.store.read(), options.networkId));
    const record = requireMachine(state, component);
    requireSameHost(decided.entry, record);
    requireStopped(options, state, observedHosts);
    const host = requireHost(observedHosts, record.host, `${machineName(component)} and its data are there`);
    const { entry, device } = decided;
    const { sizeBytes, putAside } = await host.restoreFromAttic(
      fenceOf(lease, options.inventory),
      { networkId: options.networkId, component },
      { entry: entry.id, device },
    );
    return { ...decided, host: record.host, putAside, warnings: sizeWarnings(record, { device, sizeBytes }) };
  });
}

async function decide(options: RestoreOptions): Promise<DecidedRestore> {
  const { component, networkId, inventory, connect } = options;
  const state = requireKnown(options, readNetwork(await options.store.read(), networkId));
  const record = requireMachine(state, component);
  const entry = requireOwn(theEntry(await listAttic(options), options.entry), inventory);
  requireSameHost(entry, record);
  const device = options.device ?? entry.device;
  requireDevice(record, device);
  const host = inventory.hosts.find(({ name }) => name === record.host);
  await requireStoppedNow(options, state);
  const { disks } =
    host === undefined ? { disks: [] } : await askOne(host, connect, (asked) => asked.listData(networkId));
  const replaces = disks.some((disk) => disk.id.component === component && disk.device === device);
  return { entry, component, device, replaces };
}

function requireKnown({ file }: RestoreOptions, state: NetworkState | undefined): NetworkState {
  if (state !== undefined) return state;
  throw new CollectiveError("UTILITY_NETWORK_UNKNOWN", `${file} was never started here`, {
    hint: `start it and stop the component first, or take the data out: cui attic restore <entry> --file <file>`,
  });
}

function requireMachine({ record, machines }: NetworkState, component: ComponentPath): MachineRecord {
  const machine = machines.get(component);
  if (machine !== undefined) return machine;
  throw new CollectiveError(
    "UTILITY_UNKNOWN_COMPONENT",
    `${record.appliance} has no machine ${component || "at its root"}`,
    { hint: `its machines are ${[...machines.keys()].slice(0, 20).join(", ")}` },
  );
}

function requireSameHost(entry: FoundEntry, { host, component }: MachineRecord): void {
  if (entry.host === host) return;
  throw new CollectiveError(
    "UTILITY_OTHER_HOST",
    `the entry ${entry.id} lies on ${entry.host}, and ${machineName(component)} is on ${host}`,
    {
      data: { entry: entry.id, entryHost: entry.host, host },
      hint: `take it out with \`cui attic restore ${entry.id} --file <file>\`; nothing was changed`,
    },
  );
}

function requireDevice({ component, current, next }: MachineRecord, device: string): void {
  const known = ((current ?? next)?.description.dataDisks ?? []).map((disk) => disk.device);
  if (known.includes(device)) return;
  throw new CollectiveError(
    "UTILITY_DATA_DISK_UNKNOWN",
    `${machineName(component)} has no data disk ${device}; ${known.length === 0 ? "it has none" : `it has ${known.join(", ")}`}`,
    { data: { device, known }, hint: "--device names the one that the data is to be" },
  );
}

/** Nobody is asked about what would be refused. */
async function requireStoppedNow(options: RestoreOptions, state: NetworkState): Promise<void> {
  const observedHosts = await observeHosts(options.inventory.hosts, options.connect, LOOK_BEFORE_CHANGE_MS);
  try {
    requireStopped(options, state, observedHosts);
  } finally {
    await observedHosts.close();
  }
}

/** What runs anywhere, as it should or not, may write into its disk. */
function requireStopped(
  { networkId, component, file }: RestoreOptions,
  state: NetworkState,
  observedHosts: ObservedHosts,
): void {
  const { machines, orphans } = observeNetwork(networkId, state, observedHosts);
  const machine = machines.get(component);
  const orphan = orphans.find((each) => each.component === component);
  const isOff = machine === undefined || machine.state === "absent" || machine.state === "unseen";
  if (isOff && orphan === undefined) return;
  const where = orphan?.host ?? machine?.host ?? "";
  throw new CollectiveError("UTILITY_NETWORK_RUNNING", `${machineName(component)} runs on ${where}`, {
    data: { component, host: where },
    hint: `\`cui stop ${file} ${component}\` first; nothing was changed`,
  });
}

/** A disk that is larger than the network asks for keeps its machine from starting: disks never shrink. */
function sizeWarnings(
  { component, current, next }: MachineRecord,
  { device, sizeBytes }: { readonly device: string; readonly sizeBytes: number },
): string[] {
  const wanted = (current ?? next)?.description.dataDisks.find((disk) => disk.device === device)?.sizeBytes;
  if (wanted === undefined || sizeBytes <= wanted) return [];
  return [
    `${device} of ${machineName(component)} has ${sizeBytes} bytes now, the network asks for ${wanted}: set the size in datadisks to that before it is started`,
  ];
}
