/** The device names under which libvirt attaches a machine's disks. */
import type { DiskBus } from "../appliance/machine-image.ts";
import type { MachineSpec } from "./host.ts";

export interface DiskTarget {
  readonly name: string;
  readonly bus: DiskBus;
}

const PREFIXES: Readonly<Record<DiskBus, string>> = { virtio: "vd", sata: "sd", ide: "hd", scsi: "sd" };

/**
 * Targets by device: `vda` is itself; the devices of `.vmx` files, `ide0:1`, and those that say another bus than the
 * description does, get the place they mean, or the next free one.
 */
export function assignTargets(spec: MachineSpec): ReadonlyMap<string, DiskTarget> {
  const buses = new Map(spec.image.description.disks.map(({ device, bus }) => [device, bus]));
  const devices = [...spec.image.programDisks, ...spec.dataDisks].map(({ device }) => device);
  const targets = new Map<string, DiskTarget>();
  const taken = new Set<string>();
  for (const device of devices) {
    const bus = buses.get(device) ?? busOf(device);
    const wanted = targetName(device, bus);
    const name = wanted !== undefined && !taken.has(wanted) ? wanted : nextFree(PREFIXES[bus], taken);
    taken.add(name);
    targets.set(device, { name, bus });
  }
  return targets;
}

/** What a device's name says, for a data disk the description does not list. */
function busOf(device: string): DiskBus {
  if (device.startsWith("ide") || device.startsWith("hd")) return "ide";
  if (device.startsWith("sata")) return "sata";
  if (device.startsWith("scsi") || device.startsWith("sd")) return "scsi";
  return "virtio";
}

function targetName(device: string, bus: DiskBus): string | undefined {
  const prefix = PREFIXES[bus];
  if (device.startsWith(prefix) && /^[a-z]{3}$/.test(device)) return device;
  const numbers = /^(?:ide|sata|scsi)(\d+):(\d+)$/.exec(device);
  if (numbers === null) return undefined;
  const place = Number(numbers[1]) * (bus === "ide" ? 2 : 1) + Number(numbers[2]);
  return place < 26 ? `${prefix}${letter(place)}` : undefined;
}

function nextFree(prefix: string, taken: ReadonlySet<string>): string {
  for (let place = 0; ; place++) {
    const name = place < 26 ? `${prefix}${letter(place)}` : `${prefix}a${letter(place - 26)}`;
    if (!taken.has(name)) return name;
  }
}

function letter(place: number): string {
  return String.fromCharCode("a".charCodeAt(0) + place);
}
