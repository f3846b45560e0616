/** `cui host add|list|remove`: the hosts of the inventory. */
import { CollectiveError } from "../../errors.ts";
import type { HostDescription } from "../../host/host.ts";
import { labStatus, type LabState } from "../../host/lab/lab-state.ts";
import type { StateStore } from "../records/state-store.ts";
import {
  addAddresses,
  addHost,
  addVlans,
  removeHost,
  setExternal,
  type NewHost,
} from "../../site/edit-inventory.ts";
import type { Inventory, InventoryHost } from "../../site/inventory.ts";
import { editSite, type EditOptions, type Site } from "../../site/site.ts";
import { withObservedHosts, type ConnectHost, type ObservedHosts } from "../observe/observe-hosts.ts";
import { machinesOn } from "../records/usage.ts";

const MIB = 1024 ** 2;

/** Asks the host for memory and architecture where they are not given; replaces an entry of the same name. */
export async function addSiteHost(
  options: EditOptions & {
    readonly cwd: string;
    readonly host: NewHost;
    readonly connect: ConnectHost;
  },
): Promise<NewHost> {
  const { host } = options;
  const isWhole = host.memory !== undefined && host.arch !== undefined;
  const described = isWhole ? host : withDescription(host, await describe(options.connect, host.address));
  await editSite(options.cwd, (text) => addHost(text, described), options);
  return described;
}

/** All hosts of a running lab, its free tags, its external segment and the pool of addresses. */
export async function addLabHosts(
  options: EditOptions & {
    readonly cwd: string;
    readonly directory: string;
    readonly connect: ConnectHost;
  },
): Promise<readonly NewHost[]> {
  const lab = await labStatus(options.directory);
  const hosts = await Promise.all(
    lab.hosts.map(async ({ name, address }) =>
      withDescription({ name, address }, await describe(options.connect, address)),
    ),
  );
  await editSite(options.cwd, (text, inventory) => addLab(text, inventory, { lab, hosts }), options);
  return hosts;
}

/** @throws CollectiveError UTILITY_HOST_UNKNOWN, UTILITY_HOST_IN_USE */
export async function removeSiteHost(
  options: EditOptions & { readonly cwd: string; readonly name: string; readonly store: StateStore },
): Promise<Site> {
  const { name } = options;
  const used = machinesOn(await options.store.read(), name);
  if (used.length > 0) {
    throw new CollectiveError("UTILITY_HOST_IN_USE", `host ${name} holds ${used.slice(0, 10).join(", ")}`, {
      data: { machines: used },
      hint: "its machines or their data are there; remove them from their networks first",
    });
  }
  const edit = (text: string, inventory: Inventory): string => {
    const edited = removeHost(text, name);
    if (edited !== undefined) return edited;
    throw new CollectiveError("UTILITY_HOST_UNKNOWN", `utility.yaml has no host ${name}`, {
      hint: `it has ${inventory.hosts.map((host) => host.name).join(", ") || "none"}`,
    });
  };
  return editSite(options.cwd, edit, options);
}

export interface HostListing {
  readonly name: string;
  readonly address: string;
  readonly arch: string | null;
  readonly accelerator: string | null;
  readonly memoryBytes: number | null;
  readonly usedBytes: number | null;
  readonly machines: number | null;
  readonly maxMachines: number;
  /** Why it does not answer. */
  readonly problem: string | null;
}

/** The hosts with what each says of itself now. */
export async function listSiteHosts(
  inventory: Inventory,
  connect: ConnectHost,
): Promise<readonly HostListing[]> {
  return withObservedHosts(inventory.hosts, connect, async (observing) => {
    const observedHosts = await observing;
    return inventory.hosts.map((entry) => listingOf(entry, observedHosts));
  });
}

function listingOf(entry: InventoryHost, observedHosts: ObservedHosts): HostListing {
  const reached = observedHosts.reached.get(entry.name);
  const running = reached?.inventory.machines.filter((machine) => machine.state !== "stopped");
  return {
    name: entry.name,
    address: entry.address,
    arch: entry.arch ?? reached?.description.arch ?? null,
    accelerator: reached?.description.accelerator ?? null,
    memoryBytes: entry.memoryBytes ?? reached?.description.memoryBytes ?? null,
    usedBytes: running?.reduce((sum, machine) => sum + machine.memoryBytes, 0) ?? null,
    machines: running?.length ?? null,
    maxMachines: entry.maxMachines,
    problem: observedHosts.missed.get(entry.name)?.error.message ?? null,
  };
}

async function describe(connect: ConnectHost, address: string): Promise<HostDescription> {
  const connection = await connect(address);
  try {
    return await connection.describe();
  } finally {
    await connection.close();
  }
}

function withDescription(host: NewHost, description: HostDescription): NewHost {
  return {
    ...host,
    memory: host.memory ?? `${Math.floor(description.memoryBytes / MIB)}MiB`,
    arch: host.arch ?? description.arch,
  };
}

/** What the inventory has already is left as it is. */
function addLab(
  text: string,
  inventory: Inventory,
  { lab, hosts }: { lab: LabState; hosts: readonly NewHost[] },
): string {
  const { external, vlans } = lab;
  let edited = hosts.reduce((before, host) => addHost(before, host), text);
  const hasTags = inventory.vlans.some((tag) => tag >= vlans.from && tag <= vlans.to);
  if (!hasTags) edited = addVlans(edited, `${vlans.from}-${vlans.to}`);
  edited = setExternal(edited, {
    vlan: external.tag ?? "untagged",
    subnet: external.subnet,
    gateway: external.gateway,
  });
  const range = `${external.addresses.first}-${external.addresses.last}`;
  return inventory.addresses.length > 0 ? edited : addAddresses(edited, range);
}
