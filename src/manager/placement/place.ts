/** Decides which host runs which machine. Pure: the same question gets the same answer. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import { describeParts, MIN_FREE_BYTES } from "../../host/machine-needs.ts";

/** A machine that needs a host. */
export interface Placeable {
  readonly component: ComponentPath;
  readonly memoryBytes: number;
  readonly arch: string;
  /** What of its host it needs to start, as hosts call it: `genisoimage`. */
  readonly parts: readonly string[];
  /** The host it must be on, and why: `its data disk vdb is` (there). */
  readonly pinned?: { readonly host: string; readonly reason: string };
  /** The host it was on: taken when it has room. */
  readonly prefers?: string;
}

/** A host with what other machines leave of it. */
export interface CandidateHost {
  readonly name: string;
  readonly arch: string;
  readonly freeBytes: number;
  readonly freeMachines: number;
  /** Machines of the same network that are on it and stay. */
  readonly ofNetwork: number;
  /** Of what machines may need. */
  readonly lacks: readonly string[];
  /** Of the file system with the machines' disks, where the host says. */
  readonly freeDiskBytes?: number;
  /** Why nothing can be placed here (`unreachable: …`); undefined when something can. */
  readonly problem?: string;
}

interface Mutable {
  readonly candidate: CandidateHost;
  freeBytes: number;
  freeMachines: number;
  ofNetwork: number;
}

/**
 * Spreads the machines over the hosts; where that does not fit, packs them tightly.
 * @throws CollectiveError UTILITY_NO_CAPACITY with what each host lacks.
 */
export function place(
  machines: readonly Placeable[],
  candidates: readonly CandidateHost[],
): ReadonlyMap<ComponentPath, string> {
  const pinned = machines.filter((machine) => machine.pinned !== undefined);
  const free = machines
    .filter((machine) => machine.pinned === undefined)
    .sort((a, b) => b.memoryBytes - a.memoryBytes || compare(a.component, b.component));
  const inOrder = [...pinned, ...free];
  const spread = tryPlace(inOrder, candidates, bySpread);
  if (spread.missing === undefined) return spread.placed;
  const tight = tryPlace(inOrder, candidates, byTightness);
  if (tight.missing === undefined) return tight.placed;
  throw noRoom(spread.missing, spread.hosts);
}

function tryPlace(
  machines: readonly Placeable[],
  candidates: readonly CandidateHost[],
  order: (a: Mutable, b: Mutable) => number,
): { placed: Map<ComponentPath, string>; missing?: Placeable; hosts: readonly Mutable[] } {
  const hosts = candidates.map((candidate) => ({
    candidate,
    freeBytes: candidate.freeBytes,
    freeMachines: candidate.freeMachines,
    ofNetwork: candidate.ofNetwork,
  }));
  const placed = new Map<ComponentPath, string>();
  for (const machine of machines) {
    const fitting = hosts.filter((host) => lack(machine, host) === undefined).sort(order);
    const chosen = fitting.find((host) => host.candidate.name === machine.prefers) ?? fitting[0];
    if (chosen === undefined) return { placed, missing: machine, hosts };
    chosen.freeBytes -= machine.memoryBytes;
    chosen.freeMachines -= 1;
    chosen.ofNetwork += 1;
    placed.set(machine.component, chosen.candidate.name);
  }
  return { placed, hosts };
}

function bySpread(a: Mutable, b: Mutable): number {
  return (
    a.ofNetwork - b.ofNetwork || b.freeBytes - a.freeBytes || compare(a.candidate.name, b.candidate.name)
  );
}

function byTightness(a: Mutable, b: Mutable): number {
  return a.freeBytes - b.freeBytes || compare(a.candidate.name, b.candidate.name);
}

/** What keeps a machine off a host; undefined when it fits. */
function lack(machine: Placeable, host: Mutable): string | undefined {
  if (machine.pinned !== undefined && machine.pinned.host !== host.candidate.name) {
    return `not the host where ${machine.pinned.reason}`;
  }
  if (host.candidate.problem !== undefined) return host.candidate.problem;
  if (host.candidate.arch !== machine.arch) return `is ${host.candidate.arch}, not ${machine.arch}`;
  const missing = machine.parts.filter((part) => host.candidate.lacks.includes(part));
  if (missing.length > 0) return `has no ${describeParts(missing)}`;
  const { freeDiskBytes = Infinity } = host.candidate;
  if (freeDiskBytes < MIN_FREE_BYTES) return `its disk is full (${mebibytes(freeDiskBytes)} MiB free)`;
  if (host.freeMachines < 1) return "its limit of machines is reached";
  if (host.freeBytes < machine.memoryBytes) {
    return `${mebibytes(Math.max(0, host.freeBytes))} MiB memory free of ${mebibytes(machine.memoryBytes)} MiB needed`;
  }
  return undefined;
}

function noRoom(machine: Placeable, hosts: readonly Mutable[]): CollectiveError {
  const lacks = hosts.map((host) => ({ host: host.candidate.name, lack: lack(machine, host) ?? "" }));
  const name = machine.component === "" ? "the machine" : machine.component;
  const list = lacks.map((entry) => `\n  ${entry.host}: ${entry.lack}`).join("");
  return new CollectiveError(
    "UTILITY_NO_CAPACITY",
    hosts.length === 0
      ? "utility.yaml has no host"
      : `no host has capacity for ${name} (${machine.arch}, ${mebibytes(machine.memoryBytes)} MiB)${list}`,
    {
      data: { component: machine.component, hosts: lacks },
      hint: hosts.some(({ candidate }) => candidate.problem !== undefined)
        ? "see to the hosts that cannot be used, or add one with `cui host add`; nothing was changed"
        : "add a host with `cui host add`, or stop something; nothing was changed",
    },
  );
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 ** 2);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
