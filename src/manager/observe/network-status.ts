/** What runs, asked of the hosts now, with what the state knows of it. */
import type { ComponentPath } from "../../cvl/tree.ts";
import type { GuestState } from "../../host/host.ts";
import type { StateSnapshot } from "../records/state-snapshot.ts";
import type { StateStore } from "../records/state-store.ts";
import { observeNetwork, type ObservedMachine } from "./observe-network.ts";
import type { PausedMachine } from "../../plan/plan.ts";
import type { Inventory } from "../../site/inventory.ts";
import { leaseHolder, type LeaseHolder } from "../records/lease.ts";
import { damagedNetworks, readableNetworks, type NetworkState } from "../records/state.ts";
import { pausedMachines } from "./paused.ts";
import { missingDataDisks } from "./missing-data-disks.ts";
import { unknownOn, unseenHosts, type Unknown, type UnseenHost } from "./unknown.ts";
import { withObservedHosts, type ConnectHost, type ObservedHosts } from "./observe-hosts.ts";

export interface MachineStatus {
  readonly component: ComponentPath;
  /** What the host says; `stopped` when it was stopped on purpose, `absent` when it should run and does not, `unseen` without its host. */
  readonly state: string;
  readonly version: number | null;
  readonly url: string | null;
  readonly host: string;
  /** By interface name. */
  readonly addresses: Readonly<Record<string, string>>;
  /** ISO 8601 */
  readonly startedAt: string | null;
  readonly uptimeSeconds: number | null;
  /** The guest's last word. */
  readonly status: string;
  /** Of a machine that stands still: why, and what lets it go on. */
  readonly pause: { readonly why: string; readonly mend: string } | null;
}

export interface NetworkStatus {
  readonly networkId: string;
  readonly file: string;
  readonly appliance: string;
  readonly machines: readonly MachineStatus[];
  /** Domains of the network that the state does not expect where they are. */
  readonly orphans: readonly { readonly component: ComponentPath; readonly host: string }[];
  /** Data disks that the state knows and their host lacks, `w:vdb`. */
  readonly missingDataDisks: readonly { readonly disk: string; readonly host: string }[];
  /** Who works on it now. */
  readonly busy: Pick<LeaseHolder, "command" | "since" | "pid" | "user" | "host"> | null;
}

/** A machine of a network that the state knows nothing of: it was lost, is an older copy, or another site uses the host. */
export interface UnknownMachine {
  readonly networkId: string;
  /** The root file utility.yaml has for the network; null: none. */
  readonly file: string | null;
  readonly component: ComponentPath;
  readonly host: string;
  readonly state: GuestState;
}

export interface StatusReport {
  readonly networks: readonly NetworkStatus[];
  /** Networks whose state cannot be read, and why: what runs of them is under `unknown`. */
  readonly damaged: readonly {
    readonly networkId: string;
    readonly code: string;
    readonly message: string;
  }[];
  readonly unknown: readonly UnknownMachine[];
  /** Hosts nobody can ask, why, and what is therefore unknown of each network that has something there. */
  readonly unreachable: readonly (UnseenHost & { readonly unknown: readonly UnknownOfNetwork[] })[];
}

export interface UnknownOfNetwork extends Unknown {
  readonly networkId: string;
  readonly file: string;
}

export async function networkStatus(options: {
  readonly store: StateStore;
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
  /** Only this network. */
  readonly networkId?: string;
  readonly now?: Date;
}): Promise<StatusReport> {
  return withObservedHosts(options.inventory.hosts, options.connect, async (observing) => {
    const [snapshot, observedHosts] = await Promise.all([options.store.read(), observing]);
    const isMeant = (id: string): boolean => (options.networkId ?? id) === id;
    const states = [...readableNetworks(snapshot)].filter(([id]) => isMeant(id));
    const now = options.now ?? new Date();
    return {
      networks: states.map(([, state]) => statusOf({ state, snapshot, observedHosts, now })),
      damaged: [...damagedNetworks(snapshot)]
        .filter(([id]) => isMeant(id))
        .map(([networkId, { code, message }]) => ({ networkId, code, message })),
      unknown: unknownMachines(options, { snapshot, observedHosts }),
      unreachable: unreachableHosts(
        observedHosts,
        states.map(([, state]) => state),
      ),
    };
  });
}

function unreachableHosts(
  observedHosts: ObservedHosts,
  states: readonly NetworkState[],
): StatusReport["unreachable"] {
  return unseenHosts(observedHosts, states).map((host) => ({
    ...host,
    unknown: states
      .map((state) => ({
        ...{ networkId: state.record.id, file: state.record.file },
        ...unknownOn(host.host, state),
      }))
      .filter(({ components, dataDisks }) => components.length + dataDisks.length > 0),
  }));
}

function unknownMachines(
  { inventory, networkId }: { readonly inventory: Inventory; readonly networkId?: string },
  { snapshot, observedHosts }: { snapshot: StateSnapshot; observedHosts: ObservedHosts },
): UnknownMachine[] {
  const known = readableNetworks(snapshot);
  const files = new Map(inventory.networks.map(({ id, file }) => [id, file]));
  return [...observedHosts.reached].flatMap(([host, { inventory: found }]) =>
    found.machines
      .filter(({ id, state }) => state !== "stopped" && !known.has(id.networkId))
      .filter(({ id }) => networkId === undefined || id.networkId === networkId)
      .map(({ id, state }) => ({ ...id, file: files.get(id.networkId) ?? null, host, state })),
  );
}

function statusOf(options: {
  state: NetworkState;
  snapshot: StateSnapshot;
  observedHosts: ObservedHosts;
  now: Date;
}): NetworkStatus {
  const { state, snapshot, observedHosts, now } = options;
  const networkId = state.record.id;
  const observed = observeNetwork(networkId, state, observedHosts);
  const { interfaces } = state.record.allocation;
  const holder = leaseHolder(snapshot, networkId);
  const paused = pausedMachines(observed, observedHosts, state.record.file);
  return {
    networkId,
    file: state.record.file,
    appliance: state.record.appliance,
    machines: [...observed.machines.values()].map((machine) =>
      machineStatus(machine, { interfaces, now, paused }),
    ),
    orphans: observed.orphans,
    missingDataDisks: [...missingDataDisks(networkId, observed, observedHosts)].map(([disk, { host }]) => ({
      disk,
      host,
    })),
    busy:
      holder === null
        ? null
        : {
            command: holder.command,
            since: holder.since,
            pid: holder.pid,
            user: holder.user,
            host: holder.host,
          },
  };
}

function machineStatus(
  machine: ObservedMachine,
  options: {
    interfaces: Readonly<Record<string, { ip: string | null }>>;
    now: Date;
    paused: ReadonlyMap<ComponentPath, PausedMachine>;
  },
): MachineStatus {
  const { component, record, report } = machine;
  const incarnation = machine.runs ?? record.current ?? record.next;
  const prefix = component === "" ? "" : `${component}.`;
  const addresses: Record<string, string> = {};
  for (const name of Object.keys(incarnation?.description.interfaces ?? {})) {
    const ip = options.interfaces[`${prefix}${name}`]?.ip;
    if (ip != null) addresses[name] = ip;
  }
  const pause = options.paused.get(component);
  const startedAt = machine.state === "absent" ? null : (report?.startedAt ?? null);
  return {
    component,
    state: machine.state === "absent" && record.phase === "stopped" ? "stopped" : machine.state,
    version: incarnation?.description.image.source.version ?? null,
    url: incarnation?.description.image.source.url ?? null,
    host: machine.host,
    addresses,
    startedAt,
    uptimeSeconds:
      startedAt === null
        ? null
        : Math.max(0, Math.round((options.now.getTime() - Date.parse(startedAt)) / 1000)),
    status: machine.state === "absent" ? "" : (report?.status ?? ""),
    pause: pause === undefined ? null : { why: pause.why, mend: pause.mend },
  };
}
