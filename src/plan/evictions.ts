/** Addresses written in CVL that move from a machine that goes to one that comes: the old one must go first. */
import type { ComponentPath, Element } from "../cvl/tree.ts";
import type { MachineDescription } from "../network/description.ts";
import { actionId } from "./action.ts";
import type { MachineChange } from "./machine-change.ts";

export interface Evictions {
  /** Machines that go before anything comes up. */
  readonly leaving: ReadonlySet<ComponentPath>;
  /** For a machine that comes up the removals it waits for. */
  readonly waitsFor: ReadonlyMap<ComponentPath, readonly string[]>;
}

export function findEvictions({
  arriving,
  leaving,
}: {
  readonly arriving: readonly MachineChange[];
  readonly leaving: readonly MachineChange[];
}): Evictions {
  const holders = new Map<string, MachineChange>();
  for (const change of leaving) for (const key of staticKeys(change.running)) holders.set(key, change);
  const evicted = new Set<ComponentPath>();
  const waitsFor = new Map<ComponentPath, string[]>();
  if (holders.size === 0) return { leaving: evicted, waitsFor };
  for (const { path, wanted } of arriving) {
    for (const key of staticKeys(wanted)) {
      const holder = holders.get(key);
      if (holder === undefined) continue;
      evicted.add(holder.path);
      const ids = waitsFor.get(path) ?? [];
      waitsFor.set(path, [...ids, actionId(holder.kind, holder.path)]);
    }
  }
  return { leaving: evicted, waitsFor };
}

function staticKeys(machine: MachineDescription | undefined): string[] {
  return Object.values(machine?.interfaces ?? {}).flatMap(({ segment, mac, ip }) => [
    ...known(mac).map((text) => `mac ${text.toLowerCase().replaceAll("-", ":")}`),
    ...known(ip).map((text) => `ip ${segment ?? ""} ${text}`),
  ]);
}

function known(elements: readonly Element[]): string[] {
  return elements.filter((element) => typeof element === "string");
}
