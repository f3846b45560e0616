/**
 * The contract of a host manager. The daemon implements it on libvirt and Open vSwitch, the client over a unix socket or
 * `ssh host cui host connect`; both pass one contract test. Names are derived from (network id, component path), every
 * domain, volume and port is labelled with network id, component, version and plan.
 *
 * All mutating calls are idempotent and carry a fence: the host remembers the highest token of each network and refuses a
 * lower one for good (HOST_FENCED). Calls for one machine run one after the other, for different machines side by side.
 * A call that fails changed nothing, or says what it left.
 */
import type { MachineImage } from "../appliance/machine-image.ts";
import type { DataCalls } from "./data/data-calls.ts";
import type { Fence, MachineId } from "./data/identity.ts";

export type { Fence, MachineId };

export const HOST_PROTOCOL = 1;

export interface HostDescription {
  readonly protocol: number;
  readonly name: string;
  readonly arch: string;
  /** What a probe that boots something found. */
  readonly accelerator: "kvm" | "tcg";
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly bridge: string;
  /** Of the file system with the machines' disks; hosts of earlier releases do not say. */
  readonly disk?: DiskSpace | undefined;
  /** What a start may need and is not here (machine-needs.ts); hosts of earlier releases do not say. */
  readonly lacks?: readonly string[] | undefined;
}

export interface DiskSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** A segment as a host sees it: the VLAN tag on the integration bridge; null is untagged. */
export interface SegmentPort {
  readonly tag: number | null;
}

export interface InterfaceSpec {
  readonly name: string;
  readonly mac: string;
  /** Null: link-down, on no segment. */
  readonly port: SegmentPort | null;
  /** What the utility gave it, so that the host can tell who uses an address. */
  readonly ip?: string | undefined;
}

export interface DataDiskSpec {
  readonly device: string;
  readonly sizeBytes: number;
}

/** How a data disk is to be before its machine starts. */
export interface DataDiskRequest extends DataDiskSpec {
  /** False: it was made before, and one that is absent is an error (HOST_DISK_MISSING), never an empty disk. Default true. */
  readonly isNew?: boolean | undefined;
}

/**
 * Everything needed to run one machine. Parameter lines are `name=value` with `%` and control characters percent-encoded
 * (parameter-lines.ts); they are in clear: never logged, kept in memory-backed files.
 */
export interface MachineSpec {
  readonly id: MachineId;
  readonly image: MachineImage;
  readonly dataDisks: readonly DataDiskSpec[];
  readonly interfaces: readonly InterfaceSpec[];
  readonly parameterLines: readonly string[];
  /** Put as labels on domain, volumes and ports; at most 200 printable ASCII characters. */
  readonly plan: string;
}

export type GuestState = "starting" | "ready" | "failed" | "stopping" | "stopped" | "paused";

/** `disk-full`: QEMU stopped it before a write would fail. `by-hand`: `virsh suspend`. `asleep`: the guest itself. */
export const PAUSE_REASONS = ["disk-full", "by-hand", "asleep", "other"] as const;
export type PauseReason = (typeof PAUSE_REASONS)[number];

/** One machine on a host, as `inventory` finds it: from the domain and its labels, not from memory. */
export interface MachineReport {
  readonly id: MachineId;
  readonly version: number | null;
  readonly imageDigest: string;
  readonly plan: string;
  /** `stopped`: it ended by itself or the host restarted; after `stopMachine` a machine is in no inventory. */
  readonly state: GuestState;
  /** Of a machine that is `paused`; hosts of earlier releases do not say. */
  readonly pausedBecause?: PauseReason | undefined;
  /** Last STATUS= or FAILED= line of the guest, control characters removed, at most 400 characters. */
  readonly status: string;
  /** When the domain was started, ISO 8601; null when it does not run. */
  readonly startedAt: string | null;
  readonly memoryBytes: number;
  readonly interfaces: readonly InterfaceSpec[];
  readonly dataDisks: readonly DataDiskSpec[];
}

export interface DataDiskReport {
  readonly id: MachineId;
  readonly device: string;
  readonly sizeBytes: number;
  /** Bytes the file really takes. */
  readonly allocatedBytes: number;
  readonly inAttic: boolean;
  /** Why the file cannot be used as a disk; its size is 0 then. */
  readonly problem?: string | undefined;
}

/** A program disk, kernel or initrd that lies on the host. */
export interface ImageFileReport {
  readonly file: string;
  /** `removed`: where it came from is not known; the next start that needs it fetches it. `damaged`: it could not be repaired. */
  readonly state: "whole" | "repaired" | "removed" | "damaged";
  /** Empty when it is whole. */
  readonly problem: string;
}

export interface HostInventory {
  readonly machines: readonly MachineReport[];
  readonly dataDisks: readonly DataDiskReport[];
  /** Index digests of whole local images. */
  readonly images: readonly string[];
}

export interface ReadyReport {
  readonly state: "ready" | "failed";
  readonly status: string;
  /** From starting the domain to READY=1. */
  readonly bootMs: number;
}

export interface StopReport {
  /** True when the machine did not shut down within the limit and was destroyed. */
  readonly forced: boolean;
}

export interface Host extends DataCalls {
  describe(): Promise<HostDescription>;
  /** What runs and lies here, read from libvirt, Open vSwitch and the disks each time. */
  inventory(): Promise<HostInventory>;
  /**
   * Fetches, verifies and keeps the program disks, kernel and initrd of an image; nothing running is touched. It is the first
   * thing asked of a host for a machine, so it refuses where that could not start (HOST_BRIDGE_MISSING, HOST_PROGRAM_MISSING,
   * HOST_FIRMWARE_MISSING, HOST_DISK_FULL).
   */
  prepareImage(fence: Fence, image: MachineImage): Promise<{ readonly fetchedBytes: number }>;
  /**
   * Reads all local images, kernels and initrds and repairs what is damaged from its repository. What runs goes on with the file it was
   * started from; the new one is for the next start.
   */
  verifyImages(): Promise<readonly ImageFileReport[]>;
  /** Creates what is absent and new (sparse qcow2), grows what is smaller; refuses to shrink (HOST_DISK_SHRINK). */
  prepareDataDisks(fence: Fence, id: MachineId, disks: readonly DataDiskRequest[]): Promise<void>;
  /**
   * Defines and starts the domain with its ports; resolves when the domain runs. The overlays are fresh, except where the
   * machine ended by itself or with its host and starts again on the same image. Running as asked already: no-op;
   * running otherwise: HOST_MACHINE_RUNNING.
   */
  startMachine(fence: Fence, spec: MachineSpec): Promise<void>;
  /**
   * Resolves when the guest said READY=1 or FAILED=, or the machine ended (`failed`); rejects with HOST_NOT_READY after
   * `timeoutMs`, with HOST_IMAGE_DAMAGED when it failed in one of these ways on an image that is damaged, with HOST_MACHINE_UNKNOWN when there is no such machine.
   */
  awaitReady(id: MachineId, timeoutMs: number): Promise<ReadyReport>;
  /** Sends the current set over the guest channel; resolves when the guest said RELOADED=1, FAILED=, or `timeoutMs` passed. */
  sendParameters(
    fence: Fence,
    id: MachineId,
    parameterLines: readonly string[],
    timeoutMs: number,
  ): Promise<{ readonly reloaded: boolean }>;
  /**
   * Lets a paused machine go on; one that runs goes on as it is. HOST_DISK_FULL where its disk has no room still, HOST_MACHINE_UNKNOWN
   * when there is no such machine.
   */
  resumeMachine(fence: Fence, id: MachineId): Promise<void>;
  /** ACPI, then destroy after `timeoutMs` (three minutes unless a test says less); drops overlay and ports; no-op when stopped. */
  stopMachine(fence: Fence, id: MachineId, timeoutMs: number): Promise<StopReport>;
  /** Moves the data disks of a stopped machine to the attic, and forgets the machine. */
  moveToAttic(fence: Fence, id: MachineId): Promise<void>;
  /** Path of the serial console's unix socket on the host; one client at a time is served. */
  consolePath(id: MachineId): Promise<string>;
  /** Ends the connection; what runs goes on running. */
  close(): Promise<void>;
}
