/* eslint-disable @typescript-eslint/require-await -- a rejected promise, as a real host gives, not a throw */
/** The data of a host in memory: attic and exports, by the rules of the contract. */
import { createHash, randomUUID } from "node:crypto";
import { CollectiveError, type ErrorCode } from "../../src/errors.ts";
import type { AtticEntry, DataCalls } from "../../src/host/data/data-calls.ts";
import type { DataDiskReport, Fence, MachineId } from "../../src/host/host.ts";

export interface MemoryData {
  readonly calls: DataCalls;
  /** Moves these disks of a machine, all without `devices`. */
  readonly toAttic: (fence: Fence, id: MachineId, devices?: readonly string[]) => void;
  /** What a disk holds, by `<component>:<device>` or entry; zeros where nothing is said. */
  readonly contents: Map<string, Buffer>;
}

export interface MemoryDataParts {
  readonly disks: DataDiskReport[];
  readonly fenced: (fence: Fence, id?: MachineId) => void;
  readonly call: (kind: string, what: string) => void;
  readonly isRunning: (id: MachineId) => boolean;
  readonly siteOf: (networkId: string) => string | undefined;
}

export function createMemoryData({ disks, fenced, call, isRunning, siteOf }: MemoryDataParts): MemoryData {
  const entries = new Map<DataDiskReport, AtticEntry>();
  const contents = new Map<string, Buffer>();
  const opened = new Map<string, { content: Buffer; sizeBytes: number }>();
  let moves = 0;

  const change = (from: DataDiskReport, to: DataDiskReport): void => {
    disks[disks.indexOf(from)] = to;
  };
  const requireSite = (networkId: string, site: string | null): void => {
    const owner = siteOf(networkId);
    if (owner !== undefined && owner !== site)
      throw hostError("HOST_OTHER_SITE", `${networkId} belongs to ${owner}`);
  };
  const entryOf = (id: string, site: string | null): [DataDiskReport, AtticEntry] => {
    const found = [...entries].find(([, entry]) => entry.id === id);
    if (found === undefined) throw hostError("HOST_ATTIC_UNKNOWN", `no entry ${id}`);
    requireSite(found[1].machine.networkId, site);
    return found;
  };
  const toAttic: MemoryData["toAttic"] = (fence, id, devices) => {
    for (const disk of disks.filter((each) => isOf(each, id) && !each.inAttic)) {
      if (devices?.includes(disk.device) === false) continue;
      moves += 1;
      const moved = { ...disk, inAttic: true };
      const entry: AtticEntry = {
        id: createHash("sha256")
          .update(`${id.networkId} ${id.component} ${moves}`)
          .digest("hex")
          .slice(0, 12),
        machine: id,
        device: disk.device,
        sizeBytes: disk.sizeBytes,
        allocatedBytes: disk.allocatedBytes,
        movedAt: new Date().toISOString(),
        command: fence.command ?? null,
        site: siteOf(id.networkId) ?? null,
        path: `/attic/${moves}`,
      };
      change(disk, moved);
      entries.set(moved, entry);
      contents.set(entry.id, contents.get(contentKey(disk)) ?? Buffer.alloc(0));
      contents.delete(contentKey(disk));
    }
  };

  const calls: DataCalls = {
    listAttic: async () =>
      [...entries.values()].map((entry) => ({
        ...entry,
        site: entry.site ?? siteOf(entry.machine.networkId) ?? null,
      })),
    listData: async (networkId) => ({
      disks: disks
        .filter((disk) => !disk.inAttic && (networkId === null || disk.id.networkId === networkId))
        .map(({ id, device, sizeBytes, allocatedBytes }) => ({
          ...{ id, device, sizeBytes, allocatedBytes, snapshots: 0, isExported: false },
          path: `/networks/${id.networkId}/${id.component}/${device}`,
          isInUse: isRunning(id),
        })),
      fileSystem: { totalBytes: 1024 ** 4, freeBytes: 1024 ** 3 },
    }),
    restoreFromAttic: async (fence, id, { entry: entryId, device }) => {
      fenced(fence, id);
      const [disk, entry] = entryOf(entryId, fence.site ?? null);
      if (isRunning(id)) throw hostError("HOST_MACHINE_RUNNING", `${id.component} runs`);
      call("restore", id.component);
      const before = new Set(entries.values());
      toAttic(fence, id, [device]);
      const aside = [...entries.values()].find((each) => !before.has(each));
      entries.delete(disk);
      const restored = { ...disk, id, device, inAttic: false };
      change(disk, restored);
      contents.set(contentKey(restored), contents.get(entry.id) ?? Buffer.alloc(0));
      return { sizeBytes: disk.sizeBytes, putAside: aside?.id ?? null };
    },
    purgeAttic: async (site, ids) => {
      const found = [...entries].filter(([, { id }]) => ids.includes(id));
      for (const [, { machine }] of found) requireSite(machine.networkId, site);
      for (const [disk, { machine }] of found) {
        call("purge", machine.component);
        entries.delete(disk);
        disks.splice(disks.indexOf(disk), 1);
      }
      return found.map(([, { id }]) => id);
    },
    openExport: async (site, source) => {
      const [disk, key] =
        source.entry === undefined
          ? [disks.find((each) => isOf(each, source.machine) && each.device === source.device), undefined]
          : [entryOf(source.entry, site)[0], source.entry];
      if (disk === undefined) throw hostError("HOST_DISK_MISSING", "there is no such disk");
      requireSite(disk.id.networkId, site);
      const exportId = randomUUID();
      const { sizeBytes, allocatedBytes } = disk;
      opened.set(exportId, { sizeBytes, content: contents.get(key ?? contentKey(disk)) ?? Buffer.alloc(0) });
      const isRunningNow = key === undefined && isRunning(disk.id);
      return {
        exportId,
        sizeBytes,
        allocatedBytes,
        takenAt: new Date().toISOString(),
        isRunning: isRunningNow,
      };
    },
    readExport: async (exportId, offset) => {
      const found = opened.get(exportId);
      if (found === undefined) throw hostError("HOST_EXPORT_ENDED", "the export has ended: it is not open");
      if (offset === 0 && found.content.length > 0)
        return { zeroBytes: 0, data: found.content.toString("base64") };
      return { zeroBytes: found.sizeBytes - offset, data: "" };
    },
    closeExport: async (exportId) => {
      opened.delete(exportId);
    },
  };
  return { calls, contents, toAttic };
}

function isOf(disk: DataDiskReport, id: MachineId): boolean {
  return disk.id.networkId === id.networkId && disk.id.component === id.component;
}

function contentKey({ id, device }: Pick<DataDiskReport, "id" | "device">): string {
  return `${id.component}:${device}`;
}

function hostError(code: ErrorCode, message: string): CollectiveError {
  return new CollectiveError(code, message);
}
