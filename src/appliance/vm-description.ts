/** What a machine is: `*.vm.yaml` (format 1), or VMware's `.vmx`. Written by strangers: every field is checked. */
import * as z from "zod";
import { makeDiagnostic, type Diagnostic } from "../diagnostics.ts";
import { MAX_ARCHITECTURE_NAME, MAX_CPUS, MAX_KERNEL_COMMAND_LINE } from "./machine-limits.ts";
import type { DiskBus, VmDescription } from "./machine-image.ts";
import { repositoryPathProblem, withoutLeadingDot } from "../git/path.ts";
import { diskName, diskNameProblem } from "./disk-name.ts";
import { parseVmx } from "./vmx.ts";
import { parseYamlDocument } from "./yaml-document.ts";

const MAX_YAML_BYTES = 64 * 1024;
/** A `.vmx` may carry what a guest's first start reads, encoded (`guestinfo.ignition.config.data`). */
const MAX_VMX_BYTES = 1024 * 1024;

/** How large a VM description of that name may be. */
export function maxVmDescriptionBytes(file: string): number {
  return isVmx(file) ? MAX_VMX_BYTES : MAX_YAML_BYTES;
}

export interface VmDescriptionResult {
  /** Undefined when diagnostics has errors. */
  readonly description: VmDescription | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** Parses a VM description; its name's ending decides between YAML and `.vmx`. `file` is what diagnostics show. */
export function parseVmDescription(text: string, file: string): VmDescriptionResult {
  return isVmx(file) ? parseVmx(text, file) : parseVmYaml(text, file);
}

function isVmx(file: string): boolean {
  return /\.vmx$/i.test(file);
}

/** Device names a bus gives its disks. */
const DEVICE_PREFIX: Readonly<Record<DiskBus, string>> = { virtio: "vd", sata: "sd", scsi: "sd", ide: "hd" };
const MAX_MEMORY_MIB = 64 * 1024 * 1024;
const MAX_DISKS = 26;

const pathInRepository = z
  .string()
  .transform(withoutLeadingDot)
  .superRefine((path, context) => {
    const problem = repositoryPathProblem(path);
    if (problem !== undefined) context.addIssue({ code: "custom", message: `the path ${problem}` });
  });

const MEMORY_EXPECTED = "expected a size such as 256MiB or 2GiB (a bare number is MiB)";

const memory = z.union([z.int(), z.string()], { error: MEMORY_EXPECTED }).transform((value, context) => {
  const mebibytes = parseMebibytes(value);
  if (mebibytes !== undefined) return mebibytes * 1024 * 1024;
  context.addIssue({ code: "custom", message: MEMORY_EXPECTED });
  return z.NEVER;
});

const disk = z.strictObject({
  device: z.string().regex(/^(vd|sd|hd)[a-z]$/, "expected a device such as vda, sda or hda"),
  bus: z.enum(["virtio", "sata", "ide", "scsi"]).default("virtio"),
  source: pathInRepository.optional(),
});

const schema = z.strictObject({
  format: z.literal(1),
  arch: z
    .string()
    .regex(/^[a-z0-9_]+$/, "expected an architecture such as x86_64")
    .max(MAX_ARCHITECTURE_NAME)
    .default("x86_64"),
  memory,
  cpus: z.int().min(1).max(MAX_CPUS).default(1),
  firmware: z.enum(["bios", "uefi"]).default("bios"),
  kernel: pathInRepository.optional(),
  initrd: pathInRepository.optional(),
  cmdline: z
    .string()
    .max(MAX_KERNEL_COMMAND_LINE)
    .regex(/^[\x20-\x7e]*$/, "only printable ASCII is allowed here, no control character")
    .optional(),
  nic: z.enum(["virtio", "e1000e"]).default("virtio"),
  disks: z.array(disk).max(MAX_DISKS).default([]),
  ready: z.enum(["guest", "agent", "running"]).default("guest"),
  parameters: z.enum(["fw_cfg", "cloud-init"]).default("fw_cfg"),
});

function parseVmYaml(text: string, file: string): VmDescriptionResult {
  const { value, diagnostics, spanOf } = parseYamlDocument({
    text,
    file,
    schema,
    code: "VM_DESCRIPTION_INVALID",
  });
  if (value === undefined) return { description: undefined, diagnostics };
  const mistakes = crossChecks(value, (message, path) =>
    makeDiagnostic("VM_DESCRIPTION_INVALID", message, spanOf(path)),
  );
  if (mistakes.length > 0) return { description: undefined, diagnostics: mistakes };
  const description: VmDescription = {
    arch: value.arch,
    memoryBytes: value.memory,
    cpus: value.cpus,
    firmware: value.firmware,
    kernel: value.kernel,
    initrd: value.initrd,
    cmdline: value.cmdline,
    nic: value.nic,
    disks: value.disks.map(({ device, bus, source }) => ({ device, bus, source })),
    ready: value.ready,
    parameters: value.parameters,
  };
  return { description, diagnostics: [] };
}

/** A mistake at a path of the document. */
type MakeMistake = (message: string, path: readonly PropertyKey[]) => Diagnostic;

/** What holds between fields. */
function crossChecks(value: z.output<typeof schema>, mistake: MakeMistake): Diagnostic[] {
  const mistakes: Diagnostic[] = [];
  if (value.kernel === undefined && value.initrd !== undefined) {
    mistakes.push(mistake("an initrd needs a kernel beside it", ["initrd"]));
  }
  if (value.kernel === undefined && value.cmdline !== undefined) {
    mistakes.push(mistake("cmdline is for direct boot: it needs a kernel beside it", ["cmdline"]));
  }
  for (const [index, { device, bus }] of value.disks.entries()) {
    const prefix = DEVICE_PREFIX[bus];
    if (!device.startsWith(prefix)) {
      const message = `the bus ${bus} has devices ${prefix}a, ${prefix}b …, not ${device}`;
      mistakes.push(mistake(message, ["disks", index, "device"]));
    }
  }
  return [...mistakes, ...duplicateDisks(value.disks, mistake)];
}

/** Two disks must share neither a device nor the folder their index goes to. */
function duplicateDisks(
  disks: readonly { readonly device: string; readonly source?: string | undefined }[],
  mistake: MakeMistake,
): Diagnostic[] {
  const seen = new Set<string>();
  const mistakes: Diagnostic[] = [];
  for (const [index, { device, source }] of disks.entries()) {
    if (seen.has(device)) {
      mistakes.push(mistake(`the device ${device} is there twice`, ["disks", index, "device"]));
    }
    seen.add(device);
    if (source === undefined) continue;
    const name = diskName(source);
    const problem = diskNameProblem(source);
    if (problem !== undefined) mistakes.push(mistake(problem, ["disks", index, "source"]));
    else if (seen.has(`/${name}`)) {
      mistakes.push(mistake(`two disks are named ${name}`, ["disks", index, "source"]));
    }
    seen.add(`/${name}`);
  }
  return mistakes;
}

function parseMebibytes(value: number | string): number | undefined {
  const match = /^([1-9][0-9]{0,9}) ?(MiB|GiB|M|G)?$/.exec(String(value));
  if (match === null) return undefined;
  const mebibytes = Number(match[1]) * (match[2]?.startsWith("G") === true ? 1024 : 1);
  return mebibytes <= MAX_MEMORY_MIB ? mebibytes : undefined;
}
