/** What runs and lies on a host, read anew each time. */
import type { HostContext } from "./host-context.ts";
import type { GuestState, HostInventory, MachineReport } from "./host.ts";
import { listDataDisks, listImages } from "./machine-disks.ts";
import { readMachines, type FoundMachine } from "./machines.ts";
import { machineKey } from "./names.ts";

export async function readInventory(context: HostContext): Promise<HostInventory> {
  const [machines, dataDisks, images] = await Promise.all([
    readMachines(context.libvirt),
    listDataDisks(context.folders),
    listImages(context.folders),
  ]);
  return { machines: machines.map((machine) => reportMachine(context, machine)), dataDisks, images };
}

function reportMachine(context: HostContext, { state, labels }: FoundMachine): MachineReport {
  const run = context.runs.get(machineKey(labels));
  return {
    id: { networkId: labels.networkId, component: labels.component },
    version: labels.version,
    imageDigest: labels.imageDigest,
    plan: labels.plan,
    state: guestState(state, run?.isStopping() === true ? "stopping" : run?.condition().state),
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
