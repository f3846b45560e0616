/** `cui data export`, and `cui attic restore --file`: data leaves a host as an image file, verified. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { checkTarget, writeImage, type WrittenFormat, type WrittenImage } from "../../disk/write-image.ts";
import { CollectiveError } from "../../errors.ts";
import type { ExportSource } from "../../host/data/data-calls.ts";
import type { Host } from "../../host/host.ts";
import { machineName } from "../../network/paths.ts";
import type { Inventory, InventoryHost } from "../../site/inventory.ts";
import type { ConnectHost } from "../observe/observe-hosts.ts";
import type { StateStore } from "../records/state-store.ts";
import { withinLimit } from "./ask-hosts.ts";
import { listAttic, requireOwn, theEntry } from "./list-attic.ts";
import { listData, type FoundDisk, type FoundDisks } from "./list-data.ts";
import { readExported } from "./read-exported.ts";

export interface ExportTarget {
  /** Absolute. */
  readonly target: string;
  readonly format: WrittenFormat;
  /** A regular file of that name is replaced. */
  readonly replace: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ExportProgress) => void) | undefined;
}

export interface ExportProgress {
  readonly stage: "write" | "verify";
  readonly doneBytes: number;
  /** About: what the disk takes on its host, then what was written. */
  readonly totalBytes: number;
}

export interface ExportOptions extends ExportTarget {
  readonly store: StateStore;
  readonly inventory: Inventory;
  readonly connect: ConnectHost;
}

export interface ExportResult extends WrittenImage {
  readonly host: string;
  readonly sizeBytes: number;
  /** The content is that of this moment. */
  readonly takenAt: string;
  /** Its machine ran meanwhile: the disk is as after a power cut at that moment. */
  readonly isRunning: boolean;
}

/** @throws CollectiveError UTILITY_DATA_DISK_UNKNOWN, UTILITY_DATA_DISK_MISSING, UTILITY_HOST_UNREACHABLE; as `writeImage` and `Host.openExport` */
export async function exportData(
  options: ExportOptions & {
    readonly networkId: string;
    readonly file: string;
    readonly component: ComponentPath;
    readonly device: string;
  },
): Promise<ExportResult> {
  await checkTarget(options.target, options);
  const { networkId, component, device, inventory } = options;
  const { host } = theDisk(await listData(options), options);
  const machine = { networkId, component };
  return copyOut(options, requireEntry(inventory, host), { machine, device });
}

/** The entry stays in the attic. @throws CollectiveError UTILITY_ATTIC_UNKNOWN; as exportData */
export async function exportEntry(
  options: ExportOptions & { readonly entry: string },
): Promise<ExportResult> {
  await checkTarget(options.target, options);
  const entry = requireOwn(theEntry(await listAttic(options), options.entry), options.inventory);
  return copyOut(options, requireEntry(options.inventory, entry.host), { entry: entry.id });
}

/** The one the state knows, else the only one there is. */
function theDisk(
  { disks, unreachable }: FoundDisks,
  wanted: { readonly file: string; readonly component: ComponentPath; readonly device: string },
): FoundDisk {
  const { component, device } = wanted;
  const found = disks.filter((disk) => disk.component === component && disk.device === device);
  const there = found.filter(({ state }) => state === "present" || state === "left");
  const present = there.find(({ state }) => state === "present");
  const isElsewhere = present === undefined && found.some(({ state }) => state === "unknown");
  const [first] = there;
  if (present !== undefined) return present;
  if (first !== undefined && there.length === 1 && !isElsewhere) return first;
  throw noDisk(wanted, { disks, found, there, unreachable });
}

function noDisk(
  { file, component, device }: Parameters<typeof theDisk>[1],
  what: FoundDisks & { readonly found: readonly FoundDisk[]; readonly there: readonly FoundDisk[] },
): CollectiveError {
  const name = `${device} of ${machineName(component)}`;
  const unknown = what.unreachable.find(({ host }) => what.found.some((disk) => disk.host === host));
  if (unknown !== undefined) {
    return new CollectiveError(
      "UTILITY_HOST_UNREACHABLE",
      `the data disk ${name} is on ${unknown.host}, which cannot be used: ${unknown.message}`,
      { data: { host: unknown.host, code: unknown.code }, hint: "bring the host back; nothing was changed" },
    );
  }
  const data = { component, device };
  if (what.there.length === 0 && what.found.length > 0) {
    const hosts = what.found.map(({ host }) => host).join(", ");
    return new CollectiveError("UTILITY_DATA_DISK_MISSING", `the data disk ${name} is missing on ${hosts}`, {
      data,
      hint: `bring its file back there (is a file system not mounted?); \`cui attic list ${file}\` shows what is in the attic`,
    });
  }
  const known = what.disks
    .filter(({ state }) => state === "present" || state === "left")
    .slice(0, 10)
    .map((disk) => `${disk.component === "" ? "" : `${disk.component} `}${disk.device}`);
  const silent = what.unreachable.map(({ host }) => host).join(", ");
  const reason =
    what.there.length > 1
      ? `lies on ${what.there.map(({ host }) => host).join(" and ")}`
      : `is on no host${silent === "" ? "" : `; ${silent} cannot be asked`}`;
  return new CollectiveError("UTILITY_DATA_DISK_UNKNOWN", `the data disk ${name} ${reason}`, {
    data,
    hint: `\`cui data list ${file}\` and \`cui attic list\` show what there is${known.length === 0 ? "" : `: ${known.join(", ")}`}`,
  });
}

function requireEntry({ hosts }: Inventory, name: string): InventoryHost {
  const entry = hosts.find((host) => host.name === name);
  if (entry === undefined) throw new Error(`${name} has answered and is no host`);
  return entry;
}

const CLOSE_LIMIT_MS = 10_000;

async function copyOut(
  options: ExportOptions,
  entry: InventoryHost,
  source: ExportSource,
): Promise<ExportResult> {
  const host = await options.connect(entry.address);
  try {
    return await copyFrom(host, entry, { options, source });
  } finally {
    await host.close(); // and with it the export, whatever else failed
  }
}

async function copyFrom(
  host: Host,
  { name, address }: InventoryHost,
  { options, source }: { readonly options: ExportOptions; readonly source: ExportSource },
): Promise<ExportResult> {
  const opened = await host.openExport(options.inventory.site ?? null, source);
  const { exportId, sizeBytes, takenAt, isRunning } = opened;
  let totalBytes = opened.allocatedBytes;
  try {
    const written = await writeImage({
      ...options,
      sizeBytes,
      chunks: readExported(host, { exportId, sizeBytes, address }),
      onProgress: ({ stage, doneBytes }) => {
        if (stage === "write") totalBytes = Math.max(totalBytes, doneBytes);
        options.onProgress?.({ stage, doneBytes, totalBytes });
      },
    });
    return { ...written, host: name, sizeBytes, takenAt, isRunning };
  } finally {
    await withinLimit(host.closeExport(exportId), address, CLOSE_LIMIT_MS).catch(() => undefined);
  }
}
