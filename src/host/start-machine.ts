/** Starts one machine: everything is looked at first, what was made is removed when a later step fails. */
import { readFile, rm } from "node:fs/promises";
import { CollectiveError } from "../errors.ts";
import { writeFileAtomically, stderrOf } from "../io.ts";
import { renderDomain } from "./domain-xml.ts";
import { rememberRun, type HostContext } from "./host-context.ts";
import type { MachineId, MachineSpec } from "./host.ts";
import { checkDataDisks, checkImageFiles, dropOverlays, makeOverlays } from "./machine-disks.ts";
import { diskFullError, diskSpace, requireDiskSpace, requireParts } from "./machine-needs.ts";
import { machinePaths, type HostFolders, type MachinePaths } from "./machine-paths.ts";
import { attachRun } from "./machine-run.ts";
import { labelsOf, type MachineLabels } from "./machine-labels.ts";
import { makePassable } from "./passable-folder.ts";
import { readMachines, type FoundMachine } from "./machines.ts";
import { domainName, machineKey, portName } from "./names.ts";
import { describeBridge, labelPorts } from "./open-vswitch.ts";
import { dropParameters, writeParameters } from "./secret-files.ts";
import { machineName } from "../network/paths.ts";

/** What QEMU needs beside the guest's memory. */
const QEMU_OVERHEAD_BYTES = 64 * 1024 * 1024;

/** @see Host.startMachine */
export async function startMachine(context: HostContext, spec: MachineSpec): Promise<void> {
  const labels = labelsOf(spec, new Date().toISOString());
  const key = machineKey(spec.id);
  context.starting.set(key, labels);
  try {
    await startUnlessRunning(context, spec, labels);
  } finally {
    context.starting.delete(key);
  }
}

/** QEMU repeats at once what had no room: one that is paused again within this has none still. */
const RESUME_WATCH_MS = 1000;

/** @see Host.resumeMachine */
export async function resumeMachine({ libvirt, folders }: HostContext, id: MachineId): Promise<void> {
  const name = domainName(id);
  const found = await libvirt.condition(name);
  if (found === undefined || found.state === "stopped") throw unknownMachine(id);
  if (found.state !== "paused") return;
  if (found.pausedBecause === "disk-full") await requireDiskSpace(folders);
  await libvirt.resume(name);
  await new Promise((resolve) => setTimeout(resolve, RESUME_WATCH_MS));
  const now = await libvirt.condition(name);
  if (now?.pausedBecause === "disk-full")
    throw diskFullError(undefined, (await diskSpace(folders)).freeBytes);
}

export function unknownMachine(id: MachineId): CollectiveError {
  return new CollectiveError(
    "HOST_MACHINE_UNKNOWN",
    `${machineName(id.component)} of ${id.networkId} does not run on this host`,
    {
      hint: "cui status shows where it runs",
    },
  );
}

async function startUnlessRunning(
  context: HostContext,
  spec: MachineSpec,
  labels: MachineLabels,
): Promise<void> {
  const name = domainName(spec.id);
  const [found, bridge] = await Promise.all([
    readMachines(context.libvirt).then((machines) => machines.find((machine) => machine.name === name)),
    describeBridge(context),
  ]);
  if (found !== undefined && found.state !== "stopped") {
    if (found.labels.specDigest === labels.specDigest) return;
    throw new CollectiveError(
      "HOST_MACHINE_RUNNING",
      `${spec.id.component} runs already, and not as it is asked for`,
      {
        hint: "stop it first: cui stop",
      },
    );
  }
  await checkCapacity(context, spec);
  await checkImageFiles(context.folders, spec);
  await checkDataDisks(context.folders, spec);
  context.images.set(machineKey(spec.id), spec.image);
  await startChecked(context, { spec, labels, found, userspaceBridge: bridge.userspace });
}

interface Start {
  readonly spec: MachineSpec;
  readonly labels: MachineLabels;
  /** Left by a run that ended by itself or with its host. */
  readonly found: FoundMachine | undefined;
  readonly userspaceBridge: boolean;
}

async function startChecked(context: HostContext, start: Start): Promise<void> {
  const { spec, labels, found } = start;
  const paths = machinePaths(context.folders, spec.id);
  const name = domainName(spec.id);
  const keepsOverlays = found?.labels.imageDigest === labels.imageDigest;
  await context.runs.get(machineKey(spec.id))?.close(); // of a run that ended by itself
  try {
    await makeFolders(context.folders, paths);
    await Promise.all([
      writeParameters(paths, spec),
      makeOverlays(context.folders, spec, !keepsOverlays),
      writeFileAtomically(paths.labels, JSON.stringify(labels)),
      writeFileAtomically(paths.domainXml, renderDomain(spec, domainOptions(context, paths, start))),
    ]);
    await context.libvirt.define(paths.domainXml);
    await context.libvirt.start(name);
    await labelPorts(context, portsOf(spec), portLabels(labels));
  } catch (error) {
    await removeMade(context, { spec, keepsOverlays });
    throw await explainStartError(error, context, spec);
  }
  rememberRun(
    context,
    spec.id,
    await attachRun({ labels, name, paths, libvirt: context.libvirt, wasRunning: false }),
  );
}

function domainOptions(
  context: HostContext,
  paths: MachinePaths,
  { labels, userspaceBridge }: Start,
): Parameters<typeof renderDomain>[1] {
  const { folders, accelerator, bridge } = context;
  return { folders, paths, labels, accelerator, bridge, userspaceBridge };
}

/** QEMU may run as another user: it must be able to walk to what it is given, not to list it. */
async function makeFolders(folders: HostFolders, paths: MachinePaths): Promise<void> {
  await rm(paths.runFolder, { recursive: true, force: true });
  await makePassable(paths.folder, folders.directory);
  await makePassable(paths.runFolder, folders.runDirectory);
}

/** Data disks stay; overlays of a run that may go on later stay, too. */
async function removeMade(
  context: HostContext,
  run: { spec: MachineSpec; keepsOverlays: boolean },
): Promise<void> {
  const { id } = run.spec;
  const paths = machinePaths(context.folders, id);
  await context.libvirt.destroy(domainName(id)).catch(() => undefined);
  await dropParameters(paths).catch(() => undefined);
  await rm(paths.runFolder, { recursive: true, force: true });
  if (run.keepsOverlays) return;
  await context.libvirt.undefine(domainName(id)).catch(() => undefined);
  await dropOverlays(context.folders, id).catch(() => undefined);
}

/** @throws CollectiveError HOST_DISK_FULL, HOST_PROGRAM_MISSING, HOST_FIRMWARE_MISSING, HOST_MEMORY_FULL */
async function checkCapacity(context: HostContext, { image }: MachineSpec): Promise<void> {
  await requireDiskSpace(context.folders);
  await requireParts(image.description);
  const available = await availableMemory();
  const needed = image.description.memoryBytes + QEMU_OVERHEAD_BYTES;
  if (available < needed) {
    throw new CollectiveError(
      "HOST_MEMORY_FULL",
      `the machine needs ${mebibytes(needed)} MiB of memory, the host has ${mebibytes(available)} MiB`,
      { data: { needed, available }, hint: "stop something, or lower the host's memory in utility.yaml" },
    );
  }
}

async function availableMemory(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

async function explainStartError(error: unknown, context: HostContext, spec: MachineSpec): Promise<unknown> {
  const text = stderrOf(error).trim();
  if (text === "" || (error instanceof CollectiveError && error.code !== "PROCESS_FAILED")) return error;
  if (/no space left|disk quota/i.test(text)) return diskFullError(error);
  const bridge = await describeBridge(context).catch((reason: unknown) => reason);
  if (bridge instanceof CollectiveError) return bridge;
  const lines = text.split("\n").map((line) => line.replace(/^error: /, ""));
  return new CollectiveError(
    "HOST_START_FAILED",
    `libvirt did not start ${machineName(spec.id.component)}: ${lines.join("; ")}`,
    {
      cause: error,
      hint: `the log of QEMU is /var/log/libvirt/qemu/${domainName(spec.id)}.log on the host`,
    },
  );
}

function portsOf({ id, interfaces }: MachineSpec): string[] {
  return interfaces.flatMap(({ port }, index) => (port === null ? [] : [portName(id, index)]));
}

function portLabels(labels: MachineLabels): Record<string, string> {
  return {
    "collective-network": labels.networkId,
    "collective-component": labels.component,
    "collective-version": String(labels.version ?? ""),
    "collective-plan": labels.plan,
  };
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 2 ** 20);
}
