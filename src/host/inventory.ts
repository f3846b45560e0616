/** What runs and lies on a host, read anew each time. */
import type { HostContext } from "./host-context.ts";
import type { GuestState, HostInventory, MachineReport } from "./host.ts";
import { listDataDisks, listImages } from "./machine-disks.ts";
import { readMachines, type FoundMachine } from "./machines.ts";
import type { MachineLabels } from "./machine-labels.ts";
import { domainName, machineKey } from "./names.ts";

export async function readInventory(context: HostContext): Promise<HostInventory> {
  // Before libvirt is asked: a start that ends meanwhile is seen by one of the two.
  const starting = [...context.starting.values()];
  const [machines, dataDisks, images] = await Promise.all([
    readMachines(context.libvirt),
    listDataDisks(context.folders),
    listImages(context.folders),
  ]);
  const reports = withStarting(machines, starting).map((machine) => reportMachine(context, machine));
  return { machines: reports, dataDisks, images };
}

/** A machine that is being started counts as running; one that runs already goes on, for its start will change nothing. */
function withStarting(
  machines: readonly FoundMachine[],
  starting: readonly MachineLabels[],
): readonly FoundMachine[] {
  const byName = new Map(machines.map((machine) => [machine.name, machine]));
  for (const labels of starting) {
    const name = domainName(labels);
    if ((byName.get(name)?.state ?? "stopped") === "stopped")
      byName.set(name, { name, state: "running", labels });
  }
  return [...byName.values()];
}

function reportMachine(context: HostContext, { state, pausedBecause, labels }: FoundMachine): MachineReport {
  const found = context.runs.get(machineKey(labels));
  const run = found?.labels.startedAt === labels.startedAt ? found : undefined; // not the one before it
  return {
    id: { networkId: labels.networkId, component: labels.component },
    version: labels.version,
    imageDigest: labels.imageDigest,
    plan: labels.plan,
    state: guestState(state, run?.isStopping() === true ? "stopping" : run?.condition().state),
    ...(pausedBecause === undefined ? {} : { pausedBecause }),
    status: run?.condition().status ?? "",
    startedAt: state === "stopped" ? null : labels.startedAt,
    memoryBytes: labels.memoryBytes,
    interfaces: labels.interfaces,
    dataDisks: labels.dataDisks,
  };
}

/** libvirt knows whether it runs, the guest what it does. */
function guestState(domain: FoundMachine["state"], said: GuestState | undefined): GuestState {
  return domain === "running" ? (said ?? "starting") : domain;
}
