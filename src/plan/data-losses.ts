/** A rename must not lose data unseen: an empty disk created where a full one of the same appliance is let go of is class data. */
import type { ComponentPath } from "../cvl/tree.ts";
import type { MachineDescription } from "../network/description.ts";
import { diskName, type DiskChange } from "./data-disk-changes.ts";
import { worse } from "./action-kinds.ts";
import type { MachineChange } from "./machine-change.ts";

interface LostDisk {
  readonly path: ComponentPath;
  readonly device: string;
}

/** The changes with the classes of such disks, and of the actions of their machines, raised. Unknown disks count as full. */
export function markLosses(
  changes: ReadonlyMap<ComponentPath, MachineChange>,
  fullDataDisks: ReadonlySet<string> | undefined,
): Map<ComponentPath, MachineChange> {
  const isFull = (disk: LostDisk): boolean => fullDataDisks?.has(diskName(disk.path, disk.device)) !== false;
  const lostBy = indexLost(changes, isFull);
  const marked = new Map<ComponentPath, MachineChange>();
  for (const [path, change] of changes) marked.set(path, markChange(change, lostBy));
  return marked;
}

/** Lost disks by what makes a machine the same appliance: where its class, or its image, comes from. */
function indexLost(
  changes: ReadonlyMap<ComponentPath, MachineChange>,
  isFull: (disk: LostDisk) => boolean,
): ReadonlyMap<string, LostDisk> {
  const lostBy = new Map<string, LostDisk>();
  for (const { path, kind, running, disks } of changes.values()) {
    if (running === undefined) continue;
    const devices =
      kind === "remove"
        ? running.dataDisks.map((disk) => disk.device)
        : disks.filter((disk) => disk.kind === "detach-data-disk").map((disk) => disk.device);
    const lost = devices.map((device) => ({ path, device })).find(isFull);
    if (lost === undefined) continue;
    for (const key of kind === "remove" ? identities(running) : [`machine ${path}`]) {
      if (!lostBy.has(key)) lostBy.set(key, lost);
    }
  }
  return lostBy;
}

function markChange(change: MachineChange, lostBy: ReadonlyMap<string, LostDisk>): MachineChange {
  if (change.wanted === undefined || change.disks.length === 0) return change;
  const keys = [`machine ${change.path}`, ...(change.running === undefined ? identities(change.wanted) : [])];
  const lost = keys.map((key) => lostBy.get(key)).find((disk) => disk !== undefined);
  const disks = lost === undefined ? change.disks : change.disks.map((disk) => markDisk(disk, lost));
  return { ...change, disks, class: disks.reduce((found, disk) => worse(found, disk.class), change.class) };
}

function markDisk(disk: DiskChange, lost: LostDisk): DiskChange {
  if (disk.kind !== "create-data-disk") return disk;
  const text = `it is empty, while the data of ${diskName(lost.path, lost.device)} is let go of: to keep them, keep the name`;
  return { ...disk, class: "data", reasons: [...disk.reasons, { text }] };
}

function identities({ class: name, source, image }: MachineDescription): string[] {
  return [`class ${source.url} ${name}`, `image ${image.source.url} ${image.descriptionFile}`];
}
