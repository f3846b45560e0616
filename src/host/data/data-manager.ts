/** The calls of a host manager that are about data. */
import { CollectiveError } from "../../errors.ts";
import { machineName } from "../../network/paths.ts";
import { knownSite } from "../fences.ts";
import type { HostContext } from "../host-context.ts";
import type { Fence, MachineId } from "../host.ts";
import { missingDiskError } from "../machine-disks.ts";
import { machinePaths } from "../machine-paths.ts";
import { domainName, machineKey } from "../names.ts";
import { findEntry, listAttic, requireSite, type AtticNote } from "./attic.ts";
import type { DataCalls, ExportSource, OpenedExport, Site } from "./data-calls.ts";
import { busy } from "./exports.ts";
import { openFile } from "./file-export.ts";
import { damagedDisk, inspectDataDisk } from "./inspect-data-disk.ts";
import { listData } from "./list-data.ts";
import { purgeAttic } from "./purge-attic.ts";
import { restoreFromAttic } from "./restore-from-attic.ts";
import { openRunning } from "./running-export.ts";

export function bindDataCalls(context: HostContext): DataCalls {
  const { folders, exports } = context;
  return {
    listAttic: () => listAttic(folders),
    listData: async (networkId) => {
      const inUse = await devicesInUse(context);
      return listData(folders, networkId, {
        devicesInUse: (id) => inUse.get(machineKey(id)) ?? new Set(),
        isExported: (file) => exports.isExported(file),
      });
    },
    restoreFromAttic: async (fence, id, { entry, device }) => {
      await context.checkFence(fence);
      const site = fence.site ?? null;
      const { machine } = await findEntry(folders, entry, site);
      return inTurns(context, [id, machine], async () => {
        await requireStopped(context, id);
        await exports.endOf(machineSubject(id), "its machine gets another data disk");
        await exports.endOf(entrySubject(entry), "the entry goes back to its machine");
        return restoreFromAttic(folders, id, { entry, device, site, note: noteOf(fence) });
      });
    },
    purgeAttic: (site, entries) =>
      purgeAttic(folders, {
        ...{ entries, site },
        inTurn: (machine, task) => inTurns(context, [machine], task),
      }),
    openExport: (site, source) => openExport(context, site, source),
    readExport: (exportId, offset) => exports.read(exportId, offset),
    closeExport: (exportId) => exports.close(exportId),
  };
}

/** What goes to the attic for this manager. */
export function noteOf({ command, site }: Fence): AtticNote {
  return { command: command ?? null, site: site ?? null };
}

/** Of exports that read a disk of this machine. */
export function machineSubject(id: MachineId): string {
  return `machine ${machineKey(id)}`;
}

function entrySubject(entry: string): string {
  return `entry ${entry}`;
}

/** In the turns of all of them; always in one order, so that two never wait for each other. */
async function inTurns<Result>(
  { serialize }: HostContext,
  machines: readonly MachineId[],
  task: () => Promise<Result>,
): Promise<Result> {
  const keys = [...new Set(machines.map(machineKey))].sort();
  const nested = keys.reduceRight<() => Promise<Result>>((inner, key) => () => serialize(key, inner), task);
  return nested();
}

async function requireStopped(context: HostContext, id: MachineId): Promise<void> {
  const state = await context.libvirt.state(domainName(id));
  if (state === undefined || state === "stopped") return;
  throw new CollectiveError(
    "HOST_MACHINE_RUNNING",
    `${machineName(id.component)} is not stopped; its data disks stay`,
    { hint: "stop it first: cui stop" },
  );
}

/** By machine, what those that run have. */
async function devicesInUse({
  libvirt,
  runs,
}: HostContext): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const conditions = await libvirt.conditions();
  return new Map(
    [...runs].flatMap(([key, { labels }]) => {
      const state = conditions.get(domainName(labels))?.state ?? "stopped";
      if (state === "stopped") return [];
      return [[key, new Set(labels.dataDisks.map(({ device }) => device))] as const];
    }),
  );
}

async function openExport(context: HostContext, site: Site, source: ExportSource): Promise<OpenedExport> {
  if (source.entry !== undefined) {
    const entry = await findEntry(context.folders, source.entry, site);
    return openExportOf(context, { file: entry.path, subject: entrySubject(entry.id) });
  }
  const { machine, device } = source;
  const owner = (await knownSite(context.folders, machine.networkId)) ?? null;
  requireSite({ site: owner, machine, device }, site);
  return inTurns(context, [machine], async () => {
    const file = machinePaths(context.folders, machine).dataDisk(device);
    if ((await inspectDataDisk(file)) === undefined) throw missingDiskError(machine, device, file);
    const subject = machineSubject(machine);
    const state = (await context.libvirt.state(domainName(machine))) ?? "stopped";
    if (state === "stopped") return openExportOf(context, { file, subject });
    const target = (await context.libvirt.diskTargets(domainName(machine))).get(file);
    if (target === undefined) return openExportOf(context, { file, subject });
    if (context.exports.isRead(subject))
      throw busy(
        `${machineName(machine.component)} is being exported, and libvirt runs one backup job at a time`,
      );
    return openExportOf(context, { file, subject, running: { id: machine, device, target } });
  });
}

/** Only a file's own header is trusted less than QEMU, which has the disk of a running machine open anyway. */
async function openExportOf(
  context: HostContext,
  what: {
    readonly file: string;
    readonly subject: string;
    readonly running?: Parameters<typeof openRunning>[1];
  },
): Promise<OpenedExport> {
  const { file, subject, running } = what;
  const found = await inspectDataDisk(file);
  const refusal = found === undefined ? "it is gone" : running === undefined ? found.refusal : undefined;
  if (refusal !== undefined) throw damagedDisk(file, refusal);
  let takenAt = new Date().toISOString();
  const opened = await context.exports.add({
    ...{ subject, file },
    growsIn: running === undefined ? undefined : context.folders.directory,
    open: async () => {
      const disk = await (running === undefined
        ? openFile(context.folders, file)
        : openRunning(context, running));
      takenAt = new Date().toISOString();
      return disk;
    },
  });
  return { ...opened, allocatedBytes: found?.allocatedBytes ?? 0, takenAt, isRunning: running !== undefined };
}
