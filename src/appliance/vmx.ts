/**
 * VMware's machine description, as far as a machine of ours has such things:
 *
 *     memsize = "256"                        numvcpus = "1"       firmware = "efi"      guestOS = "debian12-64"
 *     scsi0:0.fileName = "root.vmdk"         scsi0:0.present = "TRUE"
 *     ethernet0.virtualDev = "e1000e"
 *
 * Keys are without case; what is not known here is left alone, as VMware does. Disks keep their VMware names (`ide0:1`) as
 * device names: `datadisks` uses the same. Two keys of ours: `collective.ready` and `collective.parameters`.
 */
import { MAX_CPUS } from "./machine-limits.ts";
import { hasErrors, type Diagnostic } from "../diagnostics.ts";
import { repositoryPathProblem, withoutLeadingDot } from "../git/path.ts";
import { diskName, diskNameProblem } from "./disk-name.ts";
import type { DiskBus, VmDescription } from "./machine-image.ts";
import { parseVmxSettings, type Report, type Setting, type Settings } from "./vmx-settings.ts";

const MAX_DISKS = 26;

/** Parses a `.vmx`; `description` is undefined when diagnostics has errors. */
export function parseVmx(
  text: string,
  file: string,
): { readonly description: VmDescription | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const report: Report = (message, place, severity = "error") => {
    const span = { file, start: place?.start ?? 0, end: place?.end ?? 1 };
    diagnostics.push({ code: "VM_DESCRIPTION_INVALID", severity, message, span });
  };
  const settings = parseVmxSettings(text, report);
  const encrypted = settings.get("encryption.data");
  if (encrypted !== undefined) report("the machine is encrypted: what it is cannot be read", encrypted);
  const description: VmDescription = {
    arch: /^arm/i.test(settings.get("guestos")?.value ?? "") ? "aarch64" : "x86_64",
    memoryBytes: integer(settings, "memsize", { fallback: 256, max: 64 * 1024 * 1024 }, report) * 1024 * 1024,
    cpus: integer(settings, "numvcpus", { fallback: 1, max: MAX_CPUS }, report),
    firmware: settings.get("firmware")?.value.toLowerCase() === "efi" ? "uefi" : "bios",
    kernel: undefined,
    initrd: undefined,
    cmdline: undefined,
    nic: networkCard(settings),
    disks: findDisks(settings, report),
    ready: choice(settings, "collective.ready", ["guest", "agent", "running"], report),
    parameters: choice(settings, "collective.parameters", ["fw_cfg", "cloud-init"], report),
  };
  const failed = hasErrors(diagnostics);
  return { description: failed ? undefined : description, diagnostics };
}

function integer(
  settings: Settings,
  key: string,
  { fallback, max }: { readonly fallback: number; readonly max: number },
  report: Report,
): number {
  const setting = settings.get(key);
  if (setting === undefined || setting.value === "") return fallback;
  const value = /^[0-9]{1,10}$/.test(setting.value) ? Number(setting.value) : 0;
  if (value >= 1 && value <= max) return value;
  report(`${key}: expected a number from 1 to ${max}`, setting);
  return fallback;
}

function choice<Value extends string>(
  settings: Settings,
  key: string,
  values: readonly [Value, ...Value[]],
  report: Report,
): Value {
  const setting = settings.get(key);
  const chosen = values.find((value) => value === setting?.value);
  if (setting !== undefined && chosen === undefined)
    report(`${key}: expected one of ${values.join(", ")}`, setting);
  return chosen ?? values[0];
}

/** VMware's own and Intel's cards have one driver in common with ours: e1000e; a machine made for QEMU may say virtio. */
function networkCard(settings: Settings): "virtio" | "e1000e" {
  const cards = [...settings]
    .filter(([key]) => /^ethernet\d+\.virtualdev$/.test(key))
    .map(([, { value }]) => value);
  return cards.length > 0 && cards.every((card) => card.toLowerCase() === "virtio") ? "virtio" : "e1000e";
}

const BUS: Readonly<Record<string, DiskBus>> = { scsi: "scsi", ide: "ide", sata: "sata", nvme: "sata" };
const DEVICE = /^((scsi|ide|sata|nvme)\d{1,2}):\d{1,2}$/;

function findDisks(settings: Settings, report: Report): VmDescription["disks"] {
  const disks: VmDescription["disks"][number][] = [];
  const names = new Set<string>();
  for (const device of presentDevices(settings)) {
    const place = settings.get(`${device}.filename`) ?? settings.get(`${device}.present`);
    if (place === undefined || !isDisk(settings, device, report)) continue;
    const source = withoutLeadingDot(settings.get(`${device}.filename`)?.value ?? "");
    const problem = repositoryPathProblem(source);
    const nameProblem = problem === undefined ? diskNameProblem(source) : `the path ${problem}`;
    const name = diskName(source);
    if (nameProblem !== undefined) report(`${device}: ${nameProblem}`, place);
    else if (names.has(name)) report(`${device}: two disks are named ${name}`, place);
    if (device.startsWith("nvme"))
      report(`${device}: NVMe disks are given to the machine as SATA`, place, "warning");
    names.add(name);
    disks.push({ device, bus: BUS[DEVICE.exec(device)?.[2] ?? ""] ?? "sata", source });
  }
  if (disks.length > MAX_DISKS)
    report(`expected at most ${MAX_DISKS} disks, found ${disks.length}`, undefined);
  return disks.sort((a, b) => (a.device < b.device ? -1 : 1));
}

/** A device is there when it says so, and its controller does not say that it is absent. */
function presentDevices(settings: Settings): string[] {
  const isTrue = (key: string): boolean => /^(true|yes|on|1)$/i.test(settings.get(key)?.value.trim() ?? "");
  return [...settings.keys()]
    .flatMap((key) => (key.endsWith(".present") ? [key.slice(0, -".present".length)] : []))
    .filter((device) => {
      const controller = DEVICE.exec(device)?.[1];
      if (controller === undefined || !isTrue(`${device}.present`)) return false;
      return isTrue(`${controller}.present`) || !isSet(settings.get(`${controller}.present`));
    });
}

function isSet(setting: Setting | undefined): boolean {
  return setting !== undefined && setting.value !== "";
}

/** Drives for media, and devices of the machine VMware ran on that are no disks. */
const NO_DISK = /cdrom|floppy|^scsi-passthru$|^generic$/;

function isDisk(settings: Settings, device: string, report: Report): boolean {
  const setting = settings.get(`${device}.devicetype`);
  const type = setting?.value.toLowerCase() ?? "";
  if (["", "disk", "plaindisk"].includes(type) || type.endsWith("harddisk")) return true;
  if (NO_DISK.test(type)) return false;
  const why =
    type === "rawdisk" || type === "rdm"
      ? "a disk of the machine VMware ran on, which no repository holds"
      : "which is not known";
  report(
    `${device}: expected a disk in a file, found the type ${JSON.stringify(setting?.value)}, ${why}`,
    setting,
  );
  return false;
}
