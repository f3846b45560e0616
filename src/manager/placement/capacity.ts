/** What is left of each host, and where a machine must or should be. Computed from what runs, not from memory alone. */
import type { ComponentPath } from "../../cvl/tree.ts";
import type { HostDescription } from "../../host/host.ts";
import { neededParts } from "../../host/machine-needs.ts";
import type { MachineDescription, NetworkDescription } from "../../network/description.ts";
import { ACTION_KINDS } from "../../plan/action-kinds.ts";
import type { Action } from "../../plan/plan.ts";
import type { StateSnapshot } from "../records/state-snapshot.ts";
import type { ObservedNetwork } from "../observe/observe-network.ts";
import type { Placeable, CandidateHost } from "./place.ts";
import { readableNetworks, type MachineRecord } from "../records/state.ts";
import type { InventoryHost } from "../../site/inventory.ts";
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
      freeBytes: memoryOf(entry, description) - used,
      freeMachines: entry.maxMachines - here.length,
      ofNetwork: here.filter((use) => use.networkId === networkId).length,
      lacks: description.lacks ?? [],
      ...(description.disk === undefined ? {} : { freeDiskBytes: description.disk.freeBytes }),
    });
  }
  for (const { entry, error } of observedHosts.missed.values()) {
    candidates.push({
      name: entry.name,
      arch: entry.arch ?? "",
      freeBytes: 0,
      freeMachines: 0,
      ofNetwork: 0,
      lacks: [],
      problem: `${error.code}: ${error.message}`,
    });
  }
  return candidates.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What a host has for guests: no more than there is, whatever utility.yaml says. */
export function memoryOf(
  entry: Pick<InventoryHost, "memoryBytes">,
  description: Pick<HostDescription, "memoryBytes">,
): number {
  return Math.min(entry.memoryBytes ?? Infinity, description.memoryBytes);
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

/** The machines that actions start, each with where it must be. */
export function startingMachines(
  actions: readonly Action[],
  options: {
    readonly networkId: string;
    readonly observedHosts: ObservedHosts;
    readonly observed: ObservedNetwork;
    readonly wanted: NetworkDescription;
  },
): readonly Placeable[] {
  return actions
    .filter(({ kind }) => ACTION_KINDS[kind].needsImage === true)
    .flatMap(({ component }) => options.wanted.machines[component ?? ""] ?? [])
    .map((machine) => placeable(machine, options));
}

/** Where a machine must be (it runs there, its data disk is there), else where it was. */
function placeable(
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
    parts: neededParts(machine.image.description),
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
  return [...readableNetworks(snapshot)].flatMap(([networkId, { machines }]) =>
    [...machines.values()]
      .filter((record) => record.phase !== "stopped")
      .map((record) => ({
        host: record.host,
        networkId,
        component: record.component,
        memoryBytes: Math.max(neededBy(record.current), neededBy(record.next)),
      })),
  );
}

function neededBy(incarnation: MachineRecord["current"]): number {
  return incarnation?.description.image.description.memoryBytes ?? 0;
}
