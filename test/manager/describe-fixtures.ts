/** Small network descriptions for tests of the utility: what `buildNetwork` would give. */
import type { Element } from "../../src/cvl/tree.ts";
import type {
  InterfaceDescription,
  MachineDescription,
  NetworkDescription,
  Requirement,
} from "../../src/network/description.ts";
import type { MachineImage, VmDescription } from "../../src/appliance/machine-image.ts";

export const MIB = 1024 ** 2;

export function sampleImage(
  options: {
    version?: number;
    memoryMiB?: number;
    arch?: string;
    name?: string;
    dataDevices?: readonly string[];
    diskMiB?: number;
    description?: Partial<VmDescription>;
  } = {},
): MachineImage {
  const { version = 1, memoryMiB = 128, arch = "x86_64", name = "app", dataDevices = [] } = options;
  const digest = Buffer.from(`${name}-${version}-${memoryMiB}-${arch}`)
    .toString("hex")
    .padEnd(64, "0")
    .slice(0, 64);
  return {
    source: { url: `/repos/${name}`, version, commit: "c".repeat(40) },
    descriptionFile: `${name}.vm.yaml`,
    description: {
      arch,
      memoryBytes: memoryMiB * MIB,
      cpus: 1,
      firmware: "bios",
      kernel: undefined,
      initrd: undefined,
      cmdline: undefined,
      nic: "virtio",
      disks: [
        { device: "vda", bus: "virtio", source: "root.qcow2" },
        ...dataDevices.map((device) => ({ device, bus: "virtio" as const, source: undefined })),
      ],
      ready: "guest",
      parameters: "fw_cfg",
      ...options.description,
    },
    programDisks: [
      {
        device: "vda",
        bus: "virtio",
        indexPath: "disks/root.index",
        indexDigest: digest,
        sizeBytes: (options.diskMiB ?? 64) * MIB,
      },
    ],
    kernel: undefined,
    initrd: undefined,
    digest,
  };
}

export function sampleInterface(
  segment: string | null,
  options: Partial<InterfaceDescription> = {},
): InterfaceDescription {
  return {
    segment,
    isGateway: false,
    mac: [],
    ip: [],
    subnet: [],
    netmask: [],
    defaultroute: [],
    ...options,
  };
}

export function sampleMachine(
  path: string,
  options: {
    image?: MachineImage;
    interfaces?: Record<string, InterfaceDescription>;
    dataDisks?: MachineDescription["dataDisks"];
    parameters?: Record<string, readonly Element[]>;
    startsAfter?: readonly Requirement[];
  } = {},
): MachineDescription {
  const image = options.image ?? sampleImage();
  return {
    path,
    class: "App",
    source: image.source,
    image,
    dataDisks: options.dataDisks ?? [],
    interfaces: options.interfaces ?? { ethernet0: sampleInterface("") },
    parameters: options.parameters ?? {},
    origins: { "": { file: "office.cvl", line: 3 } },
    requires: (options.startsAfter ?? []).map((requirement) => requirement.service),
    provides: [],
    startsAfter: options.startsAfter ?? [],
  };
}

export function sampleNetwork(
  machines: readonly MachineDescription[],
  options: { gateway?: string; appliance?: string } = {},
): NetworkDescription {
  const ids = new Set(
    machines.flatMap((machine) => Object.values(machine.interfaces).flatMap((entry) => entry.segment ?? [])),
  );
  return {
    format: 1,
    appliance: options.appliance ?? "Office",
    isNetwork: true,
    machines: Object.fromEntries(machines.map((machine) => [machine.path, machine])),
    segments: Object.fromEntries(
      [...ids].map((id) => [id, { id, gateway: id === "" ? (options.gateway ?? null) : null }]),
    ),
    networks: {},
    nestedNetworks: [],
    missing: [],
  };
}
