/** The `datadisks` parameter: a list of maps `{ device => "vdb", size => "100MiB" }`, checked against the VM description. */
import { MAX_DATA_DISKS } from "../appliance/machine-limits.ts";
import { decodeMap } from "../cvl/map-text.ts";
import type { Component } from "../cvl/tree.ts";
import type { VmDescription } from "../appliance/machine-image.ts";
import { placeOf, readKnown, report, type BuildContext } from "./build-context.ts";
import type { DataDisk } from "./description.ts";
import { displayPath } from "./paths.ts";

const MIB = 1024 * 1024;
const UNITS: ReadonlyMap<string, number> = new Map([
  ["", MIB],
  ["MiB", MIB],
  ["GiB", 1024 * MIB],
  ["TiB", 1024 * 1024 * MIB],
]);
/** ext4's own limit for 4 KiB blocks is higher; a typing error is more likely than such a disk. */
const LARGEST_BYTES = 64 * 1024 * 1024 * MIB;
const DEVICE = /^[A-Za-z0-9][A-Za-z0-9:._-]{0,31}$/;

/** The data disks of a machine; mistakes are reported and their disks left out. Without a description any device may be there. */
export function readDataDisks(
  context: BuildContext,
  machine: Component,
  description: VmDescription | undefined,
): readonly DataDisk[] {
  const disks = new Map<string, DataDisk>();
  const devices =
    description === undefined ? undefined : new Set(description.disks.map((disk) => disk.device));
  for (const text of readKnown(context, machine, "datadisks")) {
    const disk = readDataDisk(context, machine, text);
    if (disk === undefined) continue;
    if (devices?.has(disk.device) === false) reportUnknownDevice(context, machine, disk.device, [...devices]);
    else if (disks.has(disk.device)) {
      reportDisk(context, machine, {
        code: "NETWORK_DATA_DISK_TWICE",
        message: `lists the device ${disk.device} more than once`,
        hint: "list each device once",
      });
    } else disks.set(disk.device, disk);
  }
  if (disks.size > MAX_DATA_DISKS) {
    reportDisk(context, machine, {
      code: "NETWORK_LIMIT",
      message: `lists ${disks.size} disks, a machine has at most ${MAX_DATA_DISKS}`,
      hint: "make fewer and larger ones",
    });
  }
  return [...disks.values()];
}

/** Every disk is a data disk or has a source in the repository. */
export function checkProgramDisks(
  context: BuildContext,
  machine: Component,
  description: VmDescription,
  dataDisks: readonly DataDisk[],
): void {
  for (const { device, source } of description.disks) {
    if (source !== undefined || dataDisks.some((disk) => disk.device === device)) continue;
    report(context, {
      code: "NETWORK_PROGRAM_DISK_WITHOUT_SOURCE",
      message: `the disk ${device} of ${displayPath(machine.path, context.tree.appliance)} has neither a source in its VM description nor an entry in datadisks`,
      place: placeOf(machine, "vm"),
      hint: `give ${device} a source in the VM description, or list it: datadisks = { device => "${device}", size => "100MiB" };`,
    });
  }
}

function readDataDisk(context: BuildContext, machine: Component, text: string): DataDisk | undefined {
  const pairs = decodeMap(text);
  const device = pairs?.get("device");
  const size = pairs?.get("size");
  const complete = pairs?.size === 2 && device !== undefined && size !== undefined;
  if (!complete || !DEVICE.test(device)) {
    reportDisk(context, machine, {
      code: "NETWORK_DATA_DISK_SYNTAX",
      message: `has an element that is no map of a device and a size: "${text.slice(0, 100)}"`,
      hint: 'write datadisks = { device => "vdb", size => "100MiB" };',
    });
    return undefined;
  }
  const sizeBytes = parseSize(size);
  if (sizeBytes === undefined) {
    reportDisk(context, machine, {
      code: "NETWORK_DATA_DISK_SIZE",
      message: `gives ${device} the size "${size.slice(0, 40)}", expected a whole number of MiB, GiB or TiB from 1 MiB to 64 TiB`,
      hint: 'write "100MiB", "2GiB", or "100" for MiB',
    });
    return undefined;
  }
  return { device, sizeBytes };
}

function parseSize(text: string): number | undefined {
  const match = /^(\d{1,9}) ?([A-Za-z]*)$/.exec(text);
  const unit = UNITS.get(match?.[2] ?? "");
  if (match === null || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return bytes >= MIB && bytes <= LARGEST_BYTES ? bytes : undefined;
}

function reportUnknownDevice(
  context: BuildContext,
  machine: Component,
  device: string,
  devices: readonly string[],
): void {
  reportDisk(context, machine, {
    code: "NETWORK_DATA_DISK_UNKNOWN_DEVICE",
    message: `lists the device ${device}, which the VM description does not have`,
    hint: `its devices are ${devices.length === 0 ? "none" : devices.join(", ")}`,
  });
}

function reportDisk(
  context: BuildContext,
  machine: Component,
  what: {
    code:
      | "NETWORK_LIMIT"
      | "NETWORK_DATA_DISK_SYNTAX"
      | "NETWORK_DATA_DISK_SIZE"
      | "NETWORK_DATA_DISK_TWICE"
      | "NETWORK_DATA_DISK_UNKNOWN_DEVICE";
    message: string;
    hint: string;
  },
): void {
  report(context, {
    code: what.code,
    message: `datadisks of ${displayPath(machine.path, context.tree.appliance)} ${what.message}`,
    place: placeOf(machine, "datadisks"),
    hint: what.hint,
  });
}
