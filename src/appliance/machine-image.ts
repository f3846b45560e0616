/** What a machine's `vm` parameter names, read from the repository and version whose assignment won. */
import type { Source } from "../cvl/source.ts";
import type { Oid } from "../disk/object-store.ts";

export type DiskBus = "virtio" | "sata" | "ide" | "scsi";

/** A parsed `*.vm.yaml` or `.vmx`. Disks that `datadisks` lists are data disks; the others have a `source`. */
export interface VmDescription {
  readonly arch: string;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly firmware: "bios" | "uefi";
  /** Direct boot; paths inside the repository. */
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly cmdline?: string | undefined;
  readonly nic: "virtio" | "e1000e";
  readonly disks: readonly {
    readonly device: string;
    readonly bus: DiskBus;
    readonly source?: string | undefined;
  }[];
  /** What counts as started. */
  readonly ready: "guest" | "agent" | "running";
  readonly parameters: "fw_cfg" | "cloud-init";
}

/** A program disk of a published version. */
export interface ProgramDisk {
  readonly device: string;
  readonly bus: DiskBus;
  /** Folder of the index inside the repository: `disks/root.index`. */
  readonly indexPath: string;
  /** Of the disk's content, as `indexDigest` of disk/ gives it, 64 hex digits: a host keeps images under this name. */
  readonly indexDigest: string;
  readonly sizeBytes: number;
}

/** A kernel or initrd in Git LFS. */
export interface BootFile {
  readonly path: string;
  readonly oid: Oid;
  readonly sizeBytes: number;
}

export interface MachineImage {
  /** Of the file whose `vm` assignment won. */
  readonly source: Source;
  /** Path of the VM description inside the repository. */
  readonly descriptionFile: string;
  readonly description: VmDescription;
  readonly programDisks: readonly ProgramDisk[];
  readonly kernel?: BootFile | undefined;
  readonly initrd?: BootFile | undefined;
  /** SHA-256 over index digests, kernel, initrd and VM description: a machine is replaced only when it changes. */
  readonly digest: string;
}
