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
import * as z from "zod";
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import {
  EXTERNAL_SEGMENT,
  NETWORK_FORMAT,
  type MachineDescription,
  type NetworkDescription,
} from "../../network/description.ts";
import { damageBelow, textIn, type StateSnapshot } from "./state-snapshot.ts";
import {
  machineDescriptionSchema,
  networkComponentSchema,
  segmentDescriptionSchema,
} from "../../network/description-schema.ts";
import { networkAllocationSchema, NOTHING_ALLOCATED, type Taken } from "./allocation.ts";
import { parseAddress } from "../../network/ipv4.ts";
import { issueText } from "../../yaml-words.ts";

export const STATE_FORMAT = 1;

const networkRecordSchema = z
  .object({
    format: z.literal(STATE_FORMAT),
    id: z.string(),
    /** Folder of the site and root file in it, as of the last operation. */
    site: z.string(),
    file: z.string(),
    appliance: z.string(),
    isNetwork: z.boolean(),
    allocation: networkAllocationSchema,
    segments: z.record(z.string(), segmentDescriptionSchema).readonly(),
    networks: z.record(z.string(), networkComponentSchema).readonly(),
  })
  .readonly();

export type NetworkRecord = z.infer<typeof networkRecordSchema>;

const incarnationSchema = z
  .object({
    /** Put as labels on the domain, so that a look at the host tells which incarnation runs. */
    plan: z.string(),
    description: machineDescriptionSchema,
    /** Keyed MAC of each sensitive parameter's value, by the name it is sent under. */
    sensitive: z.record(z.string(), z.string()).readonly(),
  })
  .readonly();

/** What one start of a machine is made from. */
export type Incarnation = z.infer<typeof incarnationSchema>;

const machineRecordSchema = z
  .object({
    /** Absent in what the first releases wrote. */
    format: z.literal(STATE_FORMAT).exactOptional(),
    component: z.string(),
    host: z.string(),
    /** `starting` and `stopping` are left behind by a manager that died: the host says which it became. */
    phase: z.enum(["starting", "running", "stopping", "stopped", "failed"]),
    /** What runs, or ran last. */
    current: incarnationSchema.nullable(),
    /** What is being started in its place. */
    next: incarnationSchema.nullable(),
  })
  .readonly();

export type MachineRecord = z.infer<typeof machineRecordSchema>;

export interface NetworkState {
  readonly record: NetworkRecord;
  readonly machines: ReadonlyMap<ComponentPath, MachineRecord>;
}

const ROOT_MACHINE = "@root";

/** Undefined when the network was never started. @throws CollectiveError UTILITY_STATE_FORMAT, REPOSITORY_DAMAGED */
export function readNetwork(snapshot: StateSnapshot, id: string): NetworkState | undefined {
  const damage = damageBelow(snapshot, networkPrefix(id));
  if (damage !== undefined) throw damage;
  const record = readNetworkRecord(snapshot, id);
  if (record === undefined) return undefined;
  const prefix = `networks/${id}/machines/`;
  const machines = new Map<ComponentPath, MachineRecord>();
  for (const [file, text] of snapshot.files) {
    if (!file.startsWith(prefix)) continue;
    const machine = parseRecord({ schema: machineRecordSchema, text, file });
    machines.set(machine.component, machine);
  }
  return { record, machines };
}

/** The network alone, without its machines. @throws CollectiveError UTILITY_STATE_FORMAT. */
export function readNetworkRecord(snapshot: StateSnapshot, id: string): NetworkRecord | undefined {
  const file = networkFile(id);
  const text = textIn(snapshot, file);
  return text === undefined ? undefined : parseRecord({ schema: networkRecordSchema, text, file });
}

/** Ids of all networks whose record can be read. */
export function listNetworks(snapshot: StateSnapshot): string[] {
  return [...snapshot.files.keys()]
    .flatMap((file) => /^networks\/([^/]+)\/network\.json$/.exec(file)?.[1] ?? [])
    .sort();
}

/** All networks that can be read whole, by their ids. */
export function readableNetworks(snapshot: StateSnapshot): ReadonlyMap<string, NetworkState> {
  const unreadable = damagedNetworks(snapshot);
  return new Map(
    listNetworks(snapshot).flatMap((id) => {
      const state = unreadable.has(id) ? undefined : readNetwork(snapshot, id);
      return state === undefined ? [] : [[id, state] as const];
    }),
  );
}

/** Networks of which something cannot be read, with the first such file. */
export function damagedNetworks(snapshot: StateSnapshot): ReadonlyMap<string, CollectiveError> {
  const found = new Map<string, CollectiveError>();
  for (const [place, error] of snapshot.damaged ?? []) {
    const id = /^networks\/([^/]+)\//.exec(place)?.[1];
    if (id !== undefined && !found.has(id)) found.set(id, error);
  }
  return found;
}

/** What the files of a network begin with. */
export function networkPrefix(id: string): string {
  return `networks/${id}/`;
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

/** What `machineFile` holds. */
export function machineText(record: MachineRecord): string {
  return toFile({ ...record, format: STATE_FORMAT });
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
    const { allocation = NOTHING_ALLOCATED } = readNetworkRecord(snapshot, other) ?? {};
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

/** @throws CollectiveError UTILITY_STATE_FORMAT for a format of another release, and for what is no such record. */
export function parseRecord<Schema extends z.ZodType>({
  schema,
  text,
  file,
}: {
  readonly schema: Schema;
  readonly text: string;
  readonly file: string;
}): z.infer<Schema> {
  const value = parseJson(text, file);
  const format = typeof value === "object" && value !== null && "format" in value ? value.format : undefined;
  if (format !== undefined && format !== STATE_FORMAT) {
    throw new CollectiveError(
      "UTILITY_STATE_FORMAT",
      `${file} of the state has format ${JSON.stringify(format)}; this cui understands ${STATE_FORMAT}`,
      { hint: "use the release of cui that wrote it, or a newer one" },
    );
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new CollectiveError(
    "UTILITY_STATE_FORMAT",
    `${file} of the state has another shape than expected: ${issueText(result.error.issues[0])}`,
    { hint: `look at it with \`git show main:${file}\` in the state repository` },
  );
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CollectiveError("UTILITY_STATE_FORMAT", `${file} of the state is not valid JSON`, {
      cause: error,
      hint: `look at it with \`git show main:${file}\` in the state repository`,
    });
  }
}
