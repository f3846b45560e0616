/** What really runs of a network: the state's records compared with what the hosts report. The hosts are right. */
import type { ComponentPath } from "../../cvl/tree.ts";
import type { GuestState, MachineReport } from "../../host/host.ts";
import type { Incarnation, MachineRecord, NetworkState } from "../records/state.ts";
import type { ObservedHosts } from "./observe-hosts.ts";

export interface ObservedMachine {
  readonly component: ComponentPath;
  readonly host: string;
  readonly record: MachineRecord;
  readonly report: MachineReport | undefined;
  /** `absent`: the host has no such domain, or a stopped one. `unseen`: the host cannot be asked. */
  readonly state: GuestState | "absent" | "unseen";
  /** The incarnation whose labels the domain carries; null when none of ours runs. */
  readonly runs: Incarnation | null;
}

/** A domain of the network that the state does not expect where it is: it is stopped before anything is started in its place. */
export interface Orphan {
  readonly component: ComponentPath;
  readonly host: string;
}

export interface ObservedNetwork {
  readonly machines: ReadonlyMap<ComponentPath, ObservedMachine>;
  readonly orphans: readonly Orphan[];
}

export function observeNetwork(
  networkId: string,
  state: NetworkState | undefined,
  observedHosts: ObservedHosts,
): ObservedNetwork {
  const machines = new Map<ComponentPath, ObservedMachine>();
  for (const record of state?.machines.values() ?? []) {
    machines.set(record.component, resolveMachine({ networkId, record, observedHosts }));
  }
  const orphans: Orphan[] = [];
  for (const [host, { inventory }] of observedHosts.reached) {
    for (const report of inventory.machines) {
      if (report.id.networkId !== networkId || isOff(report.state)) continue;
      const known = machines.get(report.id.component);
      if (known?.host !== host || known.runs === null) orphans.push({ component: report.id.component, host });
    }
  }
  return { machines, orphans };
}

/** True when the machine serves, as far as can be seen: what a plan may take for running. */
export function isServing(machine: ObservedMachine): boolean {
  return machine.runs !== null && ["ready", "paused", "unseen"].includes(machine.state);
}

function resolveMachine(options: {
  networkId: string;
  record: MachineRecord;
  observedHosts: ObservedHosts;
}): ObservedMachine {
  const { networkId, record, observedHosts } = options;
  const base = { component: record.component, host: record.host, record };
  const reached = observedHosts.reached.get(record.host);
  if (reached === undefined) {
    const isOn = record.phase !== "stopped";
    return {
      ...base,
      report: undefined,
      state: isOn ? "unseen" : "absent",
      runs: isOn ? record.current : null,
    };
  }
  const report = reached.inventory.machines.find(
    (candidate) => candidate.id.networkId === networkId && candidate.id.component === record.component,
  );
  if (report === undefined || isOff(report.state)) return { ...base, report, state: "absent", runs: null };
  const runs = [record.next, record.current].find((candidate) => candidate?.plan === report.plan) ?? null;
  return { ...base, report, state: report.state, runs };
}

function isOff(state: GuestState): boolean {
  return state === "stopped";
}
