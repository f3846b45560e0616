/** Stops one machine: ACPI, patience, destroy; then nothing of the run is left but data disks and the console's log. */
import { rm } from "node:fs/promises";
import type { HostContext } from "./host-context.ts";
import type { MachineId, StopReport } from "./host.ts";
import type { DomainCondition } from "./libvirt.ts";
import { dropOverlays } from "./machine-disks.ts";
import { machinePaths } from "./machine-paths.ts";
import { domainName, machineKey } from "./names.ts";
import { dropParameters } from "./secret-files.ts";
import { resumeMachine } from "./start-machine.ts";

/** A guest that is still booting does not hear the button: it is pressed again. */
const PRESS_PERIOD_MS = 5000;
const POLL_PERIOD_MS = 100;

/** @see Host.stopMachine */
export async function stopMachine(
  context: HostContext,
  id: MachineId,
  timeoutMs: number,
): Promise<StopReport> {
  const name = domainName(id);
  const condition = await context.libvirt.condition(name);
  if (condition === undefined) {
    await removeTraces(context, id);
    return { forced: false };
  }
  const canHear = condition.state !== "paused" || (await wakeUp(context, id, condition));
  const forced = condition.state !== "stopped" && !(canHear && (await shutDown(context, id, timeoutMs)));
  if (forced) await context.libvirt.destroy(name);
  await context.libvirt.undefine(name);
  await context.runs.get(machineKey(id))?.close();
  await removeTraces(context, id);
  return { forced };
}

/** True when the guest shut itself down within the limit; a paused one cannot. */
async function shutDown(context: HostContext, id: MachineId, timeoutMs: number): Promise<boolean> {
  const name = domainName(id);
  const run = context.runs.get(machineKey(id));
  run?.setStopping();
  let pressAt = 0;
  for (const deadline = Date.now() + timeoutMs; ;) {
    const state = await context.libvirt.state(name);
    if (state === undefined || state === "stopped") return true;
    if (state === "paused" || Date.now() >= deadline) return false;
    if (state === "running" && Date.now() >= pressAt) {
      await context.libvirt.shutdown(name);
      pressAt = Date.now() + PRESS_PERIOD_MS;
    }
    // QEMU's end closes the guest channel, which tells at once; libvirt needs a moment more to notice.
    const disconnected = run?.disconnected();
    const waitMs = disconnected === undefined ? POLL_PERIOD_MS : PRESS_PERIOD_MS;
    const waited = pause(Math.min(waitMs, deadline - Date.now()));
    await (disconnected === undefined ? waited : Promise.race([waited, disconnected]));
  }
}

/** What waits for room that is there again goes on, so that it can shut down; what somebody paused stays so. */
async function wakeUp(
  context: HostContext,
  id: MachineId,
  { pausedBecause }: DomainCondition,
): Promise<boolean> {
  if (pausedBecause !== "disk-full") return false;
  return resumeMachine(context, id).then(
    () => true,
    () => false,
  );
}

async function removeTraces(context: HostContext, id: MachineId): Promise<void> {
  const paths = machinePaths(context.folders, id);
  await Promise.all([
    dropOverlays(context.folders, id),
    dropParameters(paths),
    rm(paths.runFolder, { recursive: true, force: true }),
  ]);
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, durationMs)));
}
