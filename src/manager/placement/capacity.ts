/** What is left of each host, and where a machine must or should be. Computed from what runs, not from memory alone. */
import type { ComponentPath } from "../../cvl/tree.ts";
import type { MachineDescription } from "../../network/description.ts";
import type { StateSnapshot } from "../records/state-store.ts";
import type { ObservedNetwork } from "../observe/observe-network.ts";
import type { Placeable, CandidateHost } from "./place.ts";
import { listNetworks, readNetwork, type MachineRecord } from "../records/state.ts";
import type { ObservedHosts } from "../observe/observe-hosts.ts";

export interface CapacityOptions {
  readonly networkId: string;
  readonly snapshot: StateSnapshot;
  readonly observedHosts: ObservedHosts;
  /** Machines about to be started or replaced: what they hold now is free for them. */
  readonly starting: readonly ComponentPath[];
}

interface Use {
  readonly host: string;
  readonly networkId: string;
  readonly component: ComponentPath;
  readonly memoryBytes: number;
}

/** One room for each host of the inventory. */
export function candidateHosts(options: CapacityOptions): CandidateHost[] {
  const { observedHosts, networkId } = options;
  const starting = new Set(options.starting);
  const uses = listUses(options).filter((use) => use.networkId !== networkId || !starting.has(use.component));
  const candidates: CandidateHost[] = [];
  for (const { entry, description } of observedHosts.reached.values()) {
    const here = uses.filter((use) => use.host === entry.name);
    const used = here.reduce((sum, use) => sum + use.memoryBytes, 0);
    candidates.push({
      name: entry.name,
      arch: entry.arch ?? description.arch,
      freeBytes: (entry.memoryBytes ?? description.memoryBytes) - used,
      freeMachines: entry.maxMachines - here.length,
      ofNetwork: here.filter((use) => use.networkId === networkId).length,
    });
  }
  for (const { entry, error } of observedHosts.missed.values()) {
    candidates.push({
      name: entry.name,
      arch: entry.arch ?? "",
      freeBytes: 0,
      freeMachines: 0,
      ofNetwork: 0,
      problem: `${error.code}: ${error.message}`,
    });
  }
  return candidates.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What others hold of the hosts by the state alone: a change of it makes a placement outdated. */
export function reservations(snapshot: StateSnapshot, networkId: string): string {
  return JSON.stringify(
    listReserved(snapshot)
      .filter((use) => use.networkId !== networkId)
      .map((use) => [use.host, use.networkId, use.component, use.memoryBytes])
      .sort(),
  );
}

/** Where a machine must be (it runs there, its data disk is there), else where it was. */
export function placeable(
  machine: MachineDescription,
  options: {
    readonly networkId: string;
    readonly observedHosts: ObservedHosts;
    readonly observed: ObservedNetwork;
  },
): Placeable {
  const known = options.observed.machines.get(machine.path);
  const pinned = pinOf(machine, options);
  return {
    component: machine.path,
    memoryBytes: machine.image.description.memoryBytes,
    arch: machine.image.description.arch,
    ...(pinned === undefined ? {} : { pinned }),
    ...(known === undefined ? {} : { prefers: known.host }),
  };
}

function pinOf(
  machine: MachineDescription,
  options: {
    readonly networkId: string;
    readonly observedHosts: ObservedHosts;
    readonly observed: ObservedNetwork;
  },
): Placeable["pinned"] {
  const known = options.observed.machines.get(machine.path);
  if (known !== undefined && known.state !== "absent") return { host: known.host, reason: "it runs" };
  const devices = new Set(machine.dataDisks.map((disk) => disk.device));
  if (devices.size === 0) return undefined;
  for (const [host, { inventory }] of options.observedHosts.reached) {
    const disk = inventory.dataDisks.find(
      (candidate) =>
        !candidate.inAttic &&
        candidate.id.networkId === options.networkId &&
        candidate.id.component === machine.path &&
        devices.has(candidate.device),
    );
    if (disk !== undefined) return { host, reason: `its data disk ${disk.device} is` };
  }
  const hadDisk = known?.record.current?.description.dataDisks.find((disk) => devices.has(disk.device));
  if (known !== undefined && hadDisk !== undefined && options.observedHosts.missed.has(known.host)) {
    return { host: known.host, reason: `its data disk ${hadDisk.device} is` };
  }
  return undefined;
}

/** What runs by the hosts' own word, and what the state has reserved beyond it, each machine once a host. */
function listUses(options: CapacityOptions): Use[] {
  const uses = new Map<string, Use>();
  const add = (use: Use): void => {
    const key = `${use.host}\0${use.networkId}\0${use.component}`;
    const known = uses.get(key);
    if (known === undefined || known.memoryBytes < use.memoryBytes) uses.set(key, use);
  };
  for (const use of listReserved(options.snapshot)) add(use);
  for (const [host, { inventory }] of options.observedHosts.reached) {
    for (const report of inventory.machines) {
      if (report.state === "stopped") continue;
      add({
        host,
        networkId: report.id.networkId,
        component: report.id.component,
        memoryBytes: report.memoryBytes,
      });
    }
  }
  return [...uses.values()];
}

function listReserved(snapshot: StateSnapshot): Use[] {
  return listNetworks(snapshot).flatMap((networkId) =>
    [...(readNetwork(snapshot, networkId)?.machines.values() ?? [])]
      .filter((record) => record.phase !== "stopped")
      .map((record) => ({
        host: record.host,
        networkId,
        component: record.component,
        memoryBytes: Math.max(memoryOf(record.current), memoryOf(record.next)),
      })),
  );
}

function memoryOf(incarnation: MachineRecord["current"]): number {
  return incarnation?.description.image.description.memoryBytes ?? 0;
}
