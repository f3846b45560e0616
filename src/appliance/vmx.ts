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
import { hasErrors, type Diagnostic } from "../diagnostics.ts";
import type { DiskBus, VmDescription } from "./machine-image.ts";
import { repositoryPathProblem, withoutLeadingDot } from "../git/path.ts";

interface Setting {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

type Settings = ReadonlyMap<string, Setting>;

type Report = (message: string, place: Setting | undefined, severity?: "error" | "warning") => void;

const MAX_LINES = 4000;
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
  const settings = parseSettings(text, report);
  const description: VmDescription = {
    arch: /^arm/i.test(settings.get("guestos")?.value ?? "") ? "aarch64" : "x86_64",
    memoryBytes: integer(settings, "memsize", { fallback: 256, max: 64 * 1024 * 1024 }, report) * 1024 * 1024,
    cpus: integer(settings, "numvcpus", { fallback: 1, max: 1024 }, report),
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

function parseSettings(text: string, report: Report): Settings {
  const settings = new Map<string, Setting>();
  let start = 0;
  for (const line of text.split("\n").slice(0, MAX_LINES)) {
    const place = { value: line, start, end: start + Math.max(1, line.length) };
    start += line.length + 1;
    if (/^\s*(#|$)/.test(line) || line.startsWith("\u{FEFF}#")) continue;
    const match = /^\s*([A-Za-z0-9_.:]+)\s*=\s*"([^"]*)"\s*$/.exec(line);
    if (match === null) report('expected `key = "value"`', place);
    else settings.set((match[1] ?? "").toLowerCase(), { ...place, value: match[2] ?? "" });
  }
  return settings;
}

function integer(
  settings: Settings,
  key: string,
  { fallback, max }: { readonly fallback: number; readonly max: number },
  report: Report,
): number {
  const setting = settings.get(key);
  if (setting === undefined) return fallback;
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

function findDisks(settings: Settings, report: Report): VmDescription["disks"] {
  const disks: VmDescription["disks"][number][] = [];
  const names = new Set<string>();
  for (const [key, setting] of settings) {
    const match = /^((scsi|ide|sata|nvme)\d{1,2}:\d{1,2})\.filename$/.exec(key);
    const device = match?.[1];
    if (device === undefined || !isDisk(settings, device)) continue;
    const source = withoutLeadingDot(setting.value);
    const problem = repositoryPathProblem(source);
    const name = source.slice(source.lastIndexOf("/") + 1).replace(/\.[A-Za-z0-9]+$/, "");
    if (problem !== undefined) report(`${device}: the path ${problem}`, setting);
    else if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) {
      report(`${device}: the disk's file name has characters other than letters, digits, . _ -`, setting);
    } else if (names.has(name)) report(`${device}: two disks are named ${name}`, setting);
    if (match?.[2] === "nvme")
      report(`${device}: NVMe disks are given to the machine as SATA`, setting, "warning");
    names.add(name);
    disks.push({ device, bus: BUS[match?.[2] ?? ""] ?? "sata", source });
  }
  if (disks.length > MAX_DISKS)
    report(`expected at most ${MAX_DISKS} disks, found ${disks.length}`, undefined);
  return disks.sort((a, b) => (a.device < b.device ? -1 : 1));
}

function isDisk(settings: Settings, device: string): boolean {
  const isTrue = (value: string | undefined): boolean => value?.toLowerCase() !== "false";
  const type = settings.get(`${device}.devicetype`)?.value.toLowerCase() ?? "disk";
  return isTrue(settings.get(`${device}.present`)?.value) && (type === "disk" || type.endsWith("harddisk"));
}
