/** Machines that are there and stand still: why, and what lets them go on. */
import type { ComponentPath } from "../../cvl/tree.ts";
import type { PauseReason } from "../../host/host.ts";
import { MIN_FREE_BYTES } from "../../host/machine-needs.ts";
import { domainName } from "../../host/names.ts";
import { formatBytes } from "../../plan/format.ts";
import type { PausedMachine } from "../../plan/plan.ts";
import type { ReachedHost, ObservedHosts } from "./observe-hosts.ts";
import type { ObservedMachine, ObservedNetwork } from "./observe-network.ts";

/** By component. */
export function pausedMachines(
  { machines }: ObservedNetwork,
  { reached }: ObservedHosts,
  file: string,
): ReadonlyMap<ComponentPath, PausedMachine> {
  const paused = new Map<ComponentPath, PausedMachine>();
  for (const machine of machines.values()) {
    const host = reached.get(machine.host);
    const found = host === undefined ? undefined : pauseOf(machine, host, file);
    if (found !== undefined) paused.set(machine.component, found);
  }
  return paused;
}

/** True for one that `resumeMachine` lets go on: whatever somebody paused on purpose stays paused. */
export function waitsForRoom({ state, report }: ObservedMachine): boolean {
  return state === "paused" && report?.pausedBecause === "disk-full";
}

function pauseOf(
  machine: ObservedMachine,
  { description }: ReachedHost,
  file: string,
): PausedMachine | undefined {
  const { state, report, host } = machine;
  if (state !== "paused" || report === undefined) return undefined;
  const update = `\`cui update ${file}\``;
  const on = `on host ${host}`;
  if (waitsForRoom(machine)) {
    const free = description.disk?.freeBytes;
    const amount = free === undefined ? "" : ` (${formatBytes(free)} free)`;
    const hasRoom = free === undefined || free >= MIN_FREE_BYTES;
    return {
      why: hasRoom
        ? `the disk of host ${host} was full${amount}`
        : `the disk of host ${host} is full${amount}`,
      mend: hasRoom ? `${update} resumes it` : `make room ${on}, then ${update} resumes it`,
      resumes: hasRoom ? "now" : "later",
    };
  }
  const { why, command } = OTHER_PAUSES[report.pausedBecause ?? "other"];
  return { why, mend: `\`${command} ${domainName(report.id)}\` ${on} lets it go on`, resumes: "never" };
}

const OTHER_PAUSES: Readonly<Record<PauseReason, { readonly why: string; readonly command: string }>> = {
  "by-hand": { why: "somebody paused it by hand", command: "virsh resume" },
  asleep: { why: "its guest went to sleep", command: "virsh dompmwakeup" },
  other: { why: "libvirt paused it", command: "virsh resume" },
  "disk-full": { why: "the host's disk is full", command: "virsh resume" },
};
