/** What the calls of one host manager share. */
import type { MachineImage } from "../appliance/machine-image.ts";
import type { Accelerator } from "./accelerator.ts";
import type { Exports } from "./data/exports.ts";
import type { FenceCheck } from "./fences.ts";
import type { MachineId } from "./host.ts";
import type { Libvirt } from "./libvirt.ts";
import type { HostFolders } from "./machine-paths.ts";
import type { MachineLabels } from "./machine-labels.ts";
import type { MachineRun } from "./machine-run.ts";
import { machineKey } from "./names.ts";
import type { Serializer } from "./serialize.ts";

/** Brings an image's files into `directory`: `<index digest>.raw` for each program disk, `<oid>` for kernel and initrd. */
export type FetchImage = (request: {
  readonly image: MachineImage;
  readonly directory: string;
  /** Reads what is at hand and replaces what is damaged. */
  readonly isVerifying?: boolean;
}) => Promise<{
  readonly fetchedBytes: number;
  /** What was damaged and is replaced; absent: not looked at. */
  readonly damaged?: readonly { readonly file: string; readonly problem: string }[];
}>;

export interface HostManagerOptions {
  readonly folders: HostFolders;
  readonly name: string;
  readonly bridge: string;
  readonly libvirtUri: string;
  /** Address of Open vSwitch's database where it is not the machine's own. */
  readonly switchDatabase?: string | undefined;
  readonly accelerator: Accelerator;
  readonly fetchImage: FetchImage;
}

/** What the calls share. `runs` holds the machines that run, by key; it is made anew from libvirt at every start. */
export interface HostContext extends HostManagerOptions {
  readonly libvirt: Libvirt;
  readonly runs: Map<string, MachineRun>;
  /** What the machines that this process started were started from, by key. */
  readonly images: Map<string, MachineImage>;
  /** Machines that are being started just now, by key: libvirt may not know them yet. */
  readonly starting: Map<string, MachineLabels>;
  readonly serialize: Serializer;
  readonly checkFence: FenceCheck;
  readonly exports: Exports;
}

/** Until it ends, the run is in `runs`. */
export function rememberRun(context: HostContext, id: MachineId, run: MachineRun): void {
  const key = machineKey(id);
  context.runs.set(key, run);
  void run.ended.then(() => {
    if (context.runs.get(key) === run) context.runs.delete(key);
  });
}
