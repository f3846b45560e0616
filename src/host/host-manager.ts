/** The host manager itself: the contract of host.ts on libvirt, Open vSwitch and the host's disks. */
import { arch, cpus, totalmem } from "node:os";
import { CollectiveError } from "../errors.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import { bindDataCalls, machineSubject, noteOf } from "./data/data-manager.ts";
import { createExports } from "./data/exports.ts";
import { moveDataToAttic } from "./data/move-to-attic.ts";
import { sweepLeftoverExports } from "./data/running-export.ts";
import { createFenceCheck } from "./fences.ts";
import { rememberRun, type HostContext, type HostManagerOptions } from "./host-context.ts";
import {
  HOST_PROTOCOL,
  type DataDiskRequest,
  type Fence,
  type Host,
  type HostDescription,
  type MachineId,
  type MachineSpec,
  type ReadyReport,
} from "./host.ts";
import { readInventory } from "./inventory.ts";
import { openLibvirt } from "./libvirt.ts";
import { diskSpace, lackingParts, requireDiskSpace, requireParts } from "./machine-needs.ts";
import { prepareDataDisks } from "./machine-disks.ts";
import { imagesFolder, machinePaths } from "./machine-paths.ts";
import { attachRun, type MachineRun } from "./machine-run.ts";
import { readMachines, type FoundMachine } from "./machines.ts";
import { domainName, machineKey } from "./names.ts";
import { blameImage, rememberImage, verifyImages } from "./images/verify-images.ts";
import { describeBridge } from "./open-vswitch.ts";
import { makeSecretsDirectory, replaceParameterLines } from "./secret-files.ts";
import { withCheckedArguments } from "./schema.ts";
import { makePassable } from "./passable-folder.ts";
import { createSerializer } from "./serialize.ts";
import { resumeMachine, startMachine, unknownMachine } from "./start-machine.ts";
import { stopMachine } from "./stop-machine.ts";
import { machineName } from "../network/paths.ts";

const ENDED_EARLY: ReadyReport = { state: "failed", status: "the machine ended", bootMs: 0 };

/** Finds the machines that run again; those that wait for libvirt to come up are found by the first call. */
export async function createHostManager(options: HostManagerOptions): Promise<Host> {
  await makePassable(options.folders.directory);
  await makePassable(options.folders.runDirectory);
  await makeSecretsDirectory(options.folders.secretsDirectory);
  const context: HostContext = {
    ...options,
    libvirt: openLibvirt(options.libvirtUri),
    runs: new Map(),
    starting: new Map(),
    images: new Map(),
    serialize: createSerializer(),
    checkFence: createFenceCheck(options.folders),
    exports: createExports(),
  };
  await attachAll(context).catch((error: unknown) => {
    if (!(error instanceof CollectiveError && error.code === "HOST_LIBVIRT_DOWN")) throw error;
  });
  const endSweep = await sweepLeftoverExports(context);
  return withCheckedArguments(bindCalls(context, endSweep));
}

function bindCalls(context: HostContext, endSweep: () => void): Host {
  const guarded = async <Result>(
    fence: Fence,
    id: MachineId,
    task: () => Promise<Result>,
  ): Promise<Result> => {
    await context.checkFence(fence);
    return context.serialize(machineKey(id), task);
  };
  /** What changes a machine waits for no export of its disks. */
  const alone = <Result>(fence: Fence, id: MachineId, task: () => Promise<Result>): Promise<Result> =>
    guarded(fence, id, async () => {
      await context.exports.endOf(machineSubject(id), "its machine was started, stopped or changed");
      return task();
    });
  return {
    ...bindDataCalls(context),
    describe: () => describe(context),
    inventory: () => readInventory(context),
    prepareImage: async (fence, image) => {
      await context.checkFence(fence);
      return context.serialize(`image ${image.digest}`, () => prepareImage(context, image));
    },
    verifyImages: () =>
      // In turn: the second of two finds all repaired.
      context.serialize("images", () =>
        verifyImages({ directory: imagesFolder(context.folders), fetchImage: context.fetchImage }),
      ),
    prepareDataDisks: (fence, id, disks) => alone(fence, id, () => prepareDisks(context, id, disks)),
    startMachine: (fence, spec: MachineSpec) => alone(fence, spec.id, () => startMachine(context, spec)),
    awaitReady: async (id, timeoutMs) => {
      const run = await findRunInTurn(context, id);
      return blamingImage(context, id, () =>
        run === "ended" ? Promise.resolve(ENDED_EARLY) : run.awaitReady(timeoutMs),
      );
    },
    sendParameters: (fence, id, parameterLines, timeoutMs) =>
      guarded(fence, id, async () => {
        const run = requireRunning(await findRun(context, id), id);
        await replaceParameterLines(machinePaths(context.folders, id), parameterLines);
        return { reloaded: await run.resend(timeoutMs) };
      }),
    resumeMachine: (fence, id) => guarded(fence, id, () => resumeMachine(context, id)),
    stopMachine: (fence, id, timeoutMs) => alone(fence, id, () => stopMachine(context, id, timeoutMs)),
    moveToAttic: (fence, id) => alone(fence, id, () => moveToAttic(context, fence, id)),
    consolePath: async (id) => {
      requireRunning(await findRunInTurn(context, id), id);
      return machinePaths(context.folders, id).console;
    },
    close: async () => {
      endSweep();
      await context.exports.closeAll();
      await Promise.all([...context.runs.values()].map((run) => run.close()));
      context.runs.clear();
    },
  };
}

async function describe({ name, accelerator, bridge, folders }: HostContext): Promise<HostDescription> {
  const [disk, lacks] = await Promise.all([diskSpace(folders), lackingParts()]);
  return {
    protocol: HOST_PROTOCOL,
    name,
    arch: arch() === "x64" ? "x86_64" : arch() === "arm64" ? "aarch64" : arch(),
    accelerator,
    cpus: cpus().length,
    memoryBytes: totalmem(),
    bridge,
    disk,
    lacks,
  };
}

async function prepareImage(context: HostContext, image: MachineImage): Promise<{ fetchedBytes: number }> {
  await describeBridge(context);
  await requireParts(image.description);
  await requireDiskSpace(context.folders);
  const directory = imagesFolder(context.folders);
  await makePassable(directory, context.folders.directory);
  const { fetchedBytes } = await context.fetchImage({ image, directory });
  await rememberImage(directory, image);
  return { fetchedBytes };
}

/** A damaged image shows as a guest that does not come up. */
async function blamingImage(
  context: HostContext,
  id: MachineId,
  awaitReady: () => Promise<ReadyReport>,
): Promise<ReadyReport> {
  const image = context.images.get(machineKey(id));
  const { fetchImage } = context;
  const directory = imagesFolder(context.folders);
  const blame = async (cause?: unknown): Promise<CollectiveError | undefined> =>
    image === undefined ? undefined : blameImage({ image, directory, fetchImage, cause });
  try {
    const report = await awaitReady();
    const error = report.state === "ready" ? undefined : await blame();
    if (error === undefined) return report;
    throw error;
  } catch (error) {
    if (!(error instanceof CollectiveError && error.code === "HOST_NOT_READY")) throw error;
    throw (await blame(error)) ?? error;
  }
}

async function prepareDisks(
  context: HostContext,
  id: MachineId,
  disks: readonly DataDiskRequest[],
): Promise<void> {
  const name = domainName(id);
  const isRunning = context.runs.has(machineKey(id));
  await prepareDataDisks(context.folders, id, {
    disks,
    resizeRunning: isRunning
      ? (file, sizeBytes) => context.libvirt.resizeDisk(name, file, sizeBytes)
      : undefined,
  });
}

async function moveToAttic(context: HostContext, fence: Fence, id: MachineId): Promise<void> {
  if ((await context.libvirt.state(domainName(id))) !== undefined) {
    throw new CollectiveError(
      "HOST_MACHINE_RUNNING",
      `${machineName(id.component)} is not stopped; its data disks stay`,
      {
        hint: "stop it first: cui stop",
      },
    );
  }
  await moveDataToAttic(context.folders, id, noteOf(fence));
}

function requireRunning(run: MachineRun | "ended", id: MachineId): MachineRun {
  if (run === "ended") throw unknownMachine(id);
  return run;
}

/** For calls that do not wait for others of the machine: only one that is not known yet may just be starting or stopping. */
async function findRunInTurn(context: HostContext, id: MachineId): Promise<MachineRun | "ended"> {
  const key = machineKey(id);
  return context.runs.get(key) ?? context.serialize(key, () => findRun(context, id));
}

/** The run of a machine; a machine that libvirt runs and we do not know yet is attached. In the machine's turn. */
async function findRun(context: HostContext, id: MachineId): Promise<MachineRun | "ended"> {
  const known = context.runs.get(machineKey(id));
  if (known !== undefined) return known;
  const name = domainName(id);
  const found = (await readMachines(context.libvirt)).find((machine) => machine.name === name);
  if (found === undefined) throw unknownMachine(id);
  return found.state === "stopped" ? "ended" : attach(context, found);
}

async function attachAll(context: HostContext): Promise<void> {
  const machines = await readMachines(context.libvirt);
  await Promise.all(
    machines.filter(({ state }) => state !== "stopped").map((machine) => attach(context, machine)),
  );
}

async function attach(context: HostContext, { name, labels }: FoundMachine): Promise<MachineRun> {
  const paths = machinePaths(context.folders, labels);
  const run = await attachRun({ labels, name, paths, libvirt: context.libvirt, wasRunning: true });
  rememberRun(context, labels, run);
  return run;
}
