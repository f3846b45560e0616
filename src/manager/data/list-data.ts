/** `cui data list`: the data disks of machines, as the hosts have them, and those that the state knows and nobody has. */
import type { DataListing } from "../../host/data/data-calls.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { ConnectHost } from "../observe/observe-hosts.ts";
import type { StateSnapshot } from "../records/state-snapshot.ts";
import type { StateStore } from "../records/state-store.ts";
import { readableNetworks, readNetwork } from "../records/state.ts";
import { askHosts, requireAnAnswer, type Answers, type UnreachableHost } from "./ask-hosts.ts";
import { fileOf } from "./list-attic.ts";

export interface FoundDisk {
  readonly networkId: string;
  /** Root file, where the inventory or the state know the network still. */
  readonly file: string | null;
  readonly component: string;
  readonly device: string;
  readonly host: string;
  /**
   * `present`; `left`: it is there, and the state does not expect it; `missing`: the host of its machine does not have it;
   * `unknown`: that host does not answer.
   */
  readonly state: "present" | "left" | "missing" | "unknown";
  readonly path: string | null;
  readonly sizeBytes: number | null;
  readonly allocatedBytes: number | null;
  readonly snapshots: number | null;
  readonly isInUse: boolean | null;
  readonly isExported: boolean | null;
  /** Of the file system it lies on. */
  readonly freeBytes: number | null;
  readonly totalBytes: number | null;
}

export interface FoundDisks {
  readonly disks: readonly FoundDisk[];
  readonly unreachable: readonly UnreachableHost[];
}

export interface ListDataOptions {
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
  readonly store: StateStore;
  /** Default: every network. */
  readonly networkId?: string | undefined;
  /** How long a host may take; as `askHosts`. */
  readonly limitMs?: number;
}

/** @throws CollectiveError UTILITY_HOST_UNREACHABLE when no host answers and the state knows of no disk either */
export async function listData(options: ListDataOptions): Promise<FoundDisks> {
  const { inventory, connect, store, networkId, limitMs } = options;
  const [snapshot, listed] = await Promise.all([
    store.read(),
    askHosts(inventory.hosts, { connect, limitMs }, (host) => host.listData(networkId ?? null)),
  ]);
  const expected = expectedDisks(snapshot, networkId);
  const present = presentDisks(listed, { expected, snapshot, inventory });
  const known = new Set(present.map(keyOf));
  const answered = new Set(listed.answers.keys());
  if (expected.length === 0) requireAnAnswer(inventory.hosts, listed.unreachable);
  const absent = expected
    .filter((disk) => !known.has(keyOf(disk)))
    .map((disk) => absentDisk(disk, { isAnswered: answered.has(disk.host), snapshot, inventory }));
  return {
    disks: [...present, ...absent].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    unreachable: listed.unreachable,
  };
}

interface DiskPlace {
  readonly networkId: string;
  readonly component: string;
  readonly device: string;
  readonly host: string;
}

function keyOf({ networkId, component, device, host }: DiskPlace): string {
  return [networkId, component, device, host].join("\0");
}

/** What the state says there is. */
function expectedDisks(snapshot: StateSnapshot, networkId: string | undefined): DiskPlace[] {
  const ids = networkId === undefined ? [...readableNetworks(snapshot).keys()] : [networkId];
  return ids.flatMap((id) =>
    [...(readNetwork(snapshot, id)?.machines.values() ?? [])].flatMap(({ component, host, current, next }) =>
      ((current ?? next)?.description.dataDisks ?? []).map(({ device }) => ({
        ...{ networkId: id, component, device, host },
      })),
    ),
  );
}

interface Known {
  readonly snapshot: StateSnapshot;
  readonly inventory: Inventory;
}

function presentDisks(
  { answers }: Answers<DataListing>,
  { expected, snapshot, inventory }: Known & { readonly expected: readonly DiskPlace[] },
): FoundDisk[] {
  const wanted = new Set(expected.map(keyOf));
  return [...answers].flatMap(([host, { disks, fileSystem }]) =>
    disks.map(({ id, device, path, sizeBytes, allocatedBytes, snapshots, isInUse, isExported }) => {
      const place = { networkId: id.networkId, component: id.component, device, host };
      return {
        ...place,
        file: fileOf(id.networkId, inventory, snapshot),
        state: wanted.has(keyOf(place)) ? ("present" as const) : ("left" as const),
        ...{ path, sizeBytes, allocatedBytes, snapshots, isInUse, isExported },
        ...fileSystem,
      };
    }),
  );
}

function absentDisk(
  place: DiskPlace,
  { isAnswered, snapshot, inventory }: Known & { readonly isAnswered: boolean },
): FoundDisk {
  return {
    ...place,
    file: fileOf(place.networkId, inventory, snapshot),
    state: isAnswered || !inventory.hosts.some(({ name }) => name === place.host) ? "missing" : "unknown",
    ...{ path: null, sizeBytes: null, allocatedBytes: null, snapshots: null },
    ...{ isInUse: null, isExported: null, freeBytes: null, totalBytes: null },
  };
}
