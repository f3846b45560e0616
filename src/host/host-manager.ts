/** The host manager itself: the contract of host.ts on libvirt, Open vSwitch and the host's disks. */
import { arch, cpus, totalmem } from "node:os";
import { CollectiveError } from "../errors.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import { createFenceCheck } from "./fences.ts";
import { rememberRun, type HostContext, type HostManagerOptions } from "./host-context.ts";
import {
  HOST_PROTOCOL,
  type DataDiskRequest,
  type Fence,
  type Host,
  type MachineId,
  type MachineSpec,
  type ReadyReport,
} from "./host.ts";
import { readInventory } from "./inventory.ts";
import { openLibvirt } from "./libvirt.ts";
import { moveDataToAttic, prepareDataDisks } from "./machine-disks.ts";
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
import { startMachine } from "./start-machine.ts";
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
  };
  await attachAll(context).catch((error: unknown) => {
    if (!(error instanceof CollectiveError && error.code === "HOST_LIBVIRT_DOWN")) throw error;
  });
  return withCheckedArguments(bindCalls(context));
}

function bindCalls(context: HostContext): Host {
  const guarded = async <Result>(
    fence: Fence,
    id: MachineId,
    task: () => Promise<Result>,
  ): Promise<Result> => {
    await context.checkFence(fence);
    return context.serialize(machineKey(id), task);
  };
  return {
    describe: () => Promise.resolve(describe(context)),
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
    prepareDataDisks: (fence, id, disks) => guarded(fence, id, () => prepareDisks(context, id, disks)),
    startMachine: (fence, spec: MachineSpec) => guarded(fence, spec.id, () => startMachine(context, spec)),
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
    stopMachine: (fence, id, timeoutMs) => guarded(fence, id, () => stopMachine(context, id, timeoutMs)),
    moveToAttic: (fence, id) => guarded(fence, id, () => moveToAttic(context, id)),
    consolePath: async (id) => {
      requireRunning(await findRunInTurn(context, id), id);
      return machinePaths(context.folders, id).console;
    },
    close: async () => {
      await Promise.all([...context.runs.values()].map((run) => run.close()));
      context.runs.clear();
    },
  };
}

function describe({ name, accelerator, bridge }: HostContext): Awaited<ReturnType<Host["describe"]>> {
  return {
    protocol: HOST_PROTOCOL,
    name,
    arch: arch() === "x64" ? "x86_64" : arch() === "arm64" ? "aarch64" : arch(),
    accelerator,
    cpus: cpus().length,
    memoryBytes: totalmem(),
    bridge,
  };
}

async function prepareImage(context: HostContext, image: MachineImage): Promise<{ fetchedBytes: number }> {
  await describeBridge(context);
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

async function moveToAttic(context: HostContext, id: MachineId): Promise<void> {
  if ((await context.libvirt.state(domainName(id))) !== undefined) {
    throw new CollectiveError(
      "HOST_MACHINE_RUNNING",
      `${machineName(id.component)} is not stopped; its data disks stay`,
      {
        hint: "stop it first: cui stop",
      },
    );
  }
  await moveDataToAttic(context.folders, id, new Date());
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

function unknownMachine(id: MachineId): CollectiveError {
  return new CollectiveError(
    "HOST_MACHINE_UNKNOWN",
    `${machineName(id.component)} of ${id.networkId} does not run on this host`,
    {
      hint: "cui status shows where it runs",
    },
  );
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
