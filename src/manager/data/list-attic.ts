/** `cui attic list`: what lies in the attics of all hosts, also of networks that nobody remembers. */
import { CollectiveError } from "../../errors.ts";
import type { AtticEntry } from "../../host/data/data-calls.ts";
import { otherSiteError } from "../../host/data/other-site.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { ConnectHost } from "../observe/observe-hosts.ts";
import type { StateSnapshot } from "../records/state-snapshot.ts";
import type { StateStore } from "../records/state-store.ts";
import { readNetworkRecord } from "../records/state.ts";
import { askHosts, requireAnAnswer, type UnreachableHost } from "./ask-hosts.ts";

export interface FoundEntry {
  readonly id: string;
  readonly host: string;
  readonly networkId: string;
  /** Root file, where the inventory or the state know the network still. */
  readonly file: string | null;
  readonly component: string;
  readonly device: string;
  readonly sizeBytes: number | null;
  readonly allocatedBytes: number;
  readonly movedAt: string;
  /** `remove acme.cvl`; null when that was not written down. */
  readonly command: string | null;
  /** The site it belongs to; null when the host was never told. */
  readonly site: string | null;
  /** It belongs to another site, which alone can restore, copy or purge it. For a site without an id, each that says its site. */
  readonly isOtherSite: boolean;
}

export interface AtticListing {
  readonly entries: readonly FoundEntry[];
  /** What lies there is unknown. */
  readonly unreachable: readonly UnreachableHost[];
}

export interface AtticOptions {
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
  readonly store: StateStore;
  /** How long a host may take; as `askHosts`. */
  readonly limitMs?: number;
}

/** By network, component, device and time. @throws CollectiveError UTILITY_HOST_UNREACHABLE when no host answers */
export async function listAttic({ inventory, connect, store, limitMs }: AtticOptions): Promise<AtticListing> {
  const [snapshot, { answers, unreachable }] = await Promise.all([
    store.read(),
    askHosts(inventory.hosts, { connect, limitMs }, (host) => host.listAttic()),
  ]);
  requireAnAnswer(inventory.hosts, unreachable);
  const entries = [...answers].flatMap(([host, found]) =>
    found.map((entry) => foundEntry(entry, { host, inventory, snapshot })),
  );
  return { entries: entries.sort(byPlace), unreachable };
}

/**
 * The one entry with this id, or whose id begins so.
 * @throws CollectiveError UTILITY_ATTIC_UNKNOWN for none and for several
 */
export function theEntry({ entries, unreachable }: AtticListing, id: string): FoundEntry {
  const found = entries.filter((entry) => entry.id === id || (id.length >= 4 && entry.id.startsWith(id)));
  const [entry] = found;
  if (entry !== undefined && found.length === 1) return entry;
  const unknown = unreachable.map(({ host }) => host);
  const message =
    entry === undefined
      ? `no host has an entry ${id} in its attic${unknown.length === 0 ? "" : `; ${unknown.join(", ")} cannot be asked`}`
      : `${id} stands for several entries: ${found.map((each) => `${each.id} on ${each.host}`).join(", ")}`;
  throw new CollectiveError("UTILITY_ATTIC_UNKNOWN", message, {
    data: { entry: id, unreachable: unknown },
    hint: "`cui attic list` shows the entries with their ids",
  });
}

/** A network as it is named: a root file's id is not remembered when the network is gone, its removal is. */
export interface NamedData {
  readonly networkId: string;
  /** Relative to the site; undefined when it is named by its id. */
  readonly file?: string | undefined;
}

/** Its entries, and those of networks that were removed under this file's name. */
export function entriesOf(
  { entries }: Pick<AtticListing, "entries">,
  { networkId, file }: NamedData,
): readonly FoundEntry[] {
  return entries.filter((entry) => {
    if (entry.networkId === networkId) return true;
    const isOwn = entry.site !== null && !entry.isOtherSite;
    return file !== undefined && isOwn && entry.file === null && entry.command === `remove ${file}`;
  });
}

/** Refuses before anybody is asked what a host would refuse. @throws CollectiveError HOST_OTHER_SITE */
export function requireOwn(entry: FoundEntry, inventory: Pick<Inventory, "site">): FoundEntry {
  const { isOtherSite, site: owner, networkId, component, device } = entry;
  if (!isOtherSite || owner === null) return entry;
  const site = inventory.site ?? null;
  throw otherSiteError({ owner, site, device, machine: { networkId, component } });
}

function foundEntry(
  entry: AtticEntry,
  { host, inventory, snapshot }: { host: string; inventory: Inventory; snapshot: StateSnapshot },
): FoundEntry {
  const { id, machine, device, sizeBytes, allocatedBytes, movedAt, command, site } = entry;
  const { networkId, component } = machine;
  const file = fileOf(networkId, inventory, snapshot);
  const isOtherSite = site !== null && site !== inventory.site;
  return {
    ...{ id, host, networkId, file, component, device },
    ...{ sizeBytes, allocatedBytes, movedAt, command, site, isOtherSite },
  };
}

/** Null for a network that is gone. */
export function fileOf(networkId: string, inventory: Inventory, snapshot: StateSnapshot): string | null {
  const listed = inventory.networks.find(({ id }) => id === networkId);
  return listed?.file ?? readNetworkRecord(snapshot, networkId)?.file ?? null;
}

function byPlace(a: FoundEntry, b: FoundEntry): number {
  const keyOf = ({ networkId, component, device, movedAt, host }: FoundEntry): string =>
    [networkId, component, device, movedAt, host].join("\0");
  return keyOf(a) < keyOf(b) ? -1 : 1;
}
