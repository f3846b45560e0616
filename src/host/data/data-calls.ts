/** The contract of a host manager, as far as it is about data that stays, comes back or leaves. @see ../host.ts */
import type { Fence, MachineId } from "./identity.ts";

/** One data disk in the attic. */
export interface AtticEntry {
  /** 12 hex digits, which no other entry of the host has or will have. */
  readonly id: string;
  readonly machine: MachineId;
  readonly device: string;
  /** Null when the file is no qcow2 any more. */
  readonly sizeBytes: number | null;
  readonly allocatedBytes: number;
  /** ISO 8601 */
  readonly movedAt: string;
  /** The command it went there with, `remove acme.cvl`; null when an earlier release moved it. */
  readonly command: string | null;
  /** The site its network belongs to; null when the host was never told. */
  readonly site: string | null;
  readonly path: string;
}

export interface DataDiskDetails {
  readonly id: MachineId;
  readonly device: string;
  readonly path: string;
  /** Null when the file is no qcow2 any more. */
  readonly sizeBytes: number | null;
  readonly allocatedBytes: number;
  /** Snapshots inside the file. */
  readonly snapshots: number;
  /** A machine that runs has it. */
  readonly isInUse: boolean;
  readonly isExported: boolean;
}

export interface DataListing {
  readonly disks: readonly DataDiskDetails[];
  /** Of the folder the disks lie in. */
  readonly fileSystem: { readonly totalBytes: number; readonly freeBytes: number };
}

export interface RestoredDisk {
  readonly sizeBytes: number;
  /** The entry that the disk became which the machine had until then. */
  readonly putAside: string | null;
}

/** Which data is to leave: the disk of a machine, or an entry of the attic. */
export type ExportSource =
  | { readonly machine: MachineId; readonly device: string; readonly entry?: undefined }
  | { readonly entry: string };

export interface OpenedExport {
  readonly exportId: string;
  readonly sizeBytes: number;
  /** What the file takes: no exact figure of what will come. */
  readonly allocatedBytes: number;
  /** The content is that of this moment, ISO 8601. */
  readonly takenAt: string;
  /** The machine runs on meanwhile. */
  readonly isRunning: boolean;
}

/** From the offset that was asked for: first bytes that are zero, then those of `data`. Nothing of either: the end. */
export interface ExportPiece {
  readonly zeroBytes: number;
  /** base64, at most 1 MiB of bytes. */
  readonly data: string;
}

/** As in a fence, null where the caller has none: what belongs to another site, for null to any, is refused (HOST_OTHER_SITE). */
export type Site = string | null;

export interface DataCalls {
  listAttic(): Promise<readonly AtticEntry[]>;
  /** The data disks of one network's machines; null: of all. */
  listData(networkId: string | null): Promise<DataListing>;
  /**
   * Gives a machine that does not run the data disk of an entry; the disk it has goes to the attic first. Nothing is copied.
   * Killed in between, the entry is still in the attic, and the call can be made again.
   * @throws HOST_ATTIC_UNKNOWN, HOST_MACHINE_RUNNING, HOST_DISK_DAMAGED
   */
  restoreFromAttic(
    fence: Fence,
    id: MachineId,
    what: { readonly entry: string; readonly device: string },
  ): Promise<RestoredDisk>;
  /** Deletes these entries for good; resolves to those that were there. */
  purgeAttic(site: Site, entries: readonly string[]): Promise<readonly string[]>;
  /**
   * Opens the content of a data disk as it is at this moment. A machine that runs goes on: a backup job keeps what it overwrites until the
   * export is closed. It is closed by `closeExport`, by the end of the connection, after five minutes in which nothing was
   * read, by whatever is about to happen to the machine, and before the host's disk is full.
   * @throws HOST_DISK_MISSING, HOST_ATTIC_UNKNOWN, HOST_EXPORT_BUSY, HOST_DISK_FULL, HOST_DISK_DAMAGED, HOST_EXPORT_FAILED
   */
  openExport(site: Site, source: ExportSource): Promise<OpenedExport>;
  /** `offset` is a multiple of 64 KiB, and so is that of the data. @throws HOST_EXPORT_ENDED, with the reason */
  readExport(exportId: string, offset: number): Promise<ExportPiece>;
  /** No-op when it is closed already. */
  closeExport(exportId: string): Promise<void>;
}
