/**
 * What the cluster manager knows of each network, as files of the state repository:
 *
 * ```
 * networks/<id>/network.json            root file, allocations, the segments and networks of what runs
 * networks/<id>/lease.json              who works on it, and the highest token given out
 * networks/<id>/machines/<path>.json    where a machine is, what runs, what is about to ("@root" for a root machine)
 * networks/<id>/journal.jsonl           the steps of the running or last operation, before and after each
 * ```
 *
 * No file holds a sensitive value; see sensitive.ts.
 */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import {
  EXTERNAL_SEGMENT,
  NETWORK_FORMAT,
  type MachineDescription,
  type NetworkDescription,
} from "../../network/description.ts";
import type { StateSnapshot } from "./state-store.ts";
import { NOTHING_ALLOCATED, type NetworkAllocation, type Taken } from "./allocation.ts";
import { parseAddress } from "../../network/ipv4.ts";

export const STATE_FORMAT = 1;

export interface NetworkRecord {
  readonly format: typeof STATE_FORMAT;
  readonly id: string;
  /** Folder of the site and root file in it, as of the last operation. */
  readonly site: string;
  readonly file: string;
  readonly appliance: string;
  readonly isNetwork: boolean;
  readonly allocation: NetworkAllocation;
  readonly segments: NetworkDescription["segments"];
  readonly networks: NetworkDescription["networks"];
}

/** What one start of a machine is made from. */
export interface Incarnation {
  /** Put as labels on the domain, so that a look at the host tells which incarnation runs. */
  readonly plan: string;
  readonly description: MachineDescription;
  /** Keyed MAC of each sensitive parameter's value, by the name it is sent under. */
  readonly sensitive: Readonly<Record<string, string>>;
}

/** `starting` and `stopping` are left behind by a manager that died: the host says which it became. */
export type MachinePhase = "starting" | "running" | "stopping" | "stopped" | "failed";

export interface MachineRecord {
  readonly component: ComponentPath;
  readonly host: string;
  readonly phase: MachinePhase;
  /** What runs, or ran last. */
  readonly current: Incarnation | null;
  /** What is being started in its place. */
  readonly next: Incarnation | null;
}

export interface NetworkState {
  readonly record: NetworkRecord;
  readonly machines: ReadonlyMap<ComponentPath, MachineRecord>;
}

const ROOT_MACHINE = "@root";

/** Undefined when the network was never started. */
export function readNetwork(snapshot: StateSnapshot, id: string): NetworkState | undefined {
  const text = snapshot.files.get(networkFile(id));
  if (text === undefined) return undefined;
  const { format } = parseRecord(text, networkFile(id)) as { format: unknown };
  if (format !== STATE_FORMAT) {
    throw new CollectiveError(
      "UTILITY_STATE_FORMAT",
      `the state of network ${id} has format ${String(format)}; this cui understands ${STATE_FORMAT}`,
      { hint: "use the release of cui that wrote it, or a newer one" },
    );
  }
  const prefix = `networks/${id}/machines/`;
  const machines = new Map<ComponentPath, MachineRecord>();
  for (const [file, content] of snapshot.files) {
    if (!file.startsWith(prefix)) continue;
    const machine = parseRecord(content, file) as MachineRecord;
    machines.set(machine.component, machine);
  }
  return { record: parseRecord(text, networkFile(id)) as NetworkRecord, machines };
}

/** Ids of all networks the state knows. */
export function listNetworks(snapshot: StateSnapshot): string[] {
  return [...snapshot.files.keys()]
    .flatMap((file) => /^networks\/([^/]+)\/network\.json$/.exec(file)?.[1] ?? [])
    .sort();
}

export function networkFile(id: string): string {
  return `networks/${id}/network.json`;
}

export function leaseFile(id: string): string {
  return `networks/${id}/lease.json`;
}

export function journalFile(id: string): string {
  return `networks/${id}/journal.jsonl`;
}

export function machineFile(id: string, component: ComponentPath): string {
  return `networks/${id}/machines/${component === "" ? ROOT_MACHINE : component}.json`;
}

/** As it is written: stable, and good to read in `git log -p`. */
export function toFile(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

/** What all networks but `id` hold. */
export function takenByOthers(snapshot: StateSnapshot, id: string): Taken {
  const tags = new Set<number>();
  const macs = new Set<string>();
  const publicAddresses = new Set<number>();
  for (const other of listNetworks(snapshot)) {
    if (other === id) continue;
    const { allocation } = readNetwork(snapshot, other)?.record ?? { allocation: NOTHING_ALLOCATED };
    for (const [segment, { tag }] of Object.entries(allocation.segments)) {
      if (segment !== EXTERNAL_SEGMENT && tag !== null) tags.add(tag);
    }
    for (const entry of Object.values(allocation.interfaces)) {
      macs.add(entry.mac);
      const address = parseAddress(entry.ip ?? "");
      if (entry.segment === EXTERNAL_SEGMENT && address !== undefined) publicAddresses.add(address);
    }
  }
  return { tags, macs, publicAddresses };
}

/** The description of the given machines as they run, for a plan's left side. */
export function describeRunning(
  record: NetworkRecord,
  machines: readonly MachineDescription[],
): NetworkDescription {
  const used = new Set(
    machines.flatMap((machine) => Object.values(machine.interfaces).map((entry) => entry.segment)),
  );
  return {
    format: NETWORK_FORMAT,
    appliance: record.appliance,
    isNetwork: record.isNetwork,
    machines: Object.fromEntries(machines.map((machine) => [machine.path, machine])),
    segments: Object.fromEntries(Object.entries(record.segments).filter(([id]) => used.has(id))),
    networks: record.networks,
    nestedNetworks: [],
    missing: [],
  };
}

function parseRecord(text: string, file: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CollectiveError("UTILITY_STATE_FORMAT", `${file} of the state is not valid JSON`, {
      cause: error,
      hint: "look at it with `git show main:<file>` in the state repository",
    });
  }
}
