/** A machine as libvirt wants it: made from the spec and the host's files, with the labels in its metadata. */
import XMLBuilder from "fast-xml-builder";
import { XMLParser } from "fast-xml-parser";
import type { DiskBus } from "../appliance/machine-image.ts";
import type { Accelerator } from "./accelerator.ts";
import { assignTargets, type DiskTarget } from "./disk-targets.ts";
import type { InterfaceSpec, MachineSpec } from "./host.ts";
import type { HostFolders, MachinePaths } from "./machine-paths.ts";
import { bootFilePath, imagePath } from "./machine-paths.ts";
import { parseLabels, type MachineLabels } from "./machine-labels.ts";
import { domainName, domainUuid, interfaceUuid, portName } from "./names.ts";
import { emulatorOf, UEFI_CODE, UEFI_VARIABLES } from "./machine-needs.ts";

const LABELS_NAMESPACE = "urn:collective:machine";
const LABELS_ELEMENT = "collective:machine";
const FW_CFG_NAME = "opt/org.collective/parameters";
const CHANNEL_NAME = "org.collective.guest";
const AGENT_CHANNEL_NAME = "org.qemu.guest_agent.0";

export interface DomainOptions {
  readonly folders: HostFolders;
  readonly paths: MachinePaths;
  readonly labels: MachineLabels;
  readonly accelerator: Accelerator;
  readonly bridge: string;
  /** The bridge's packets go through a process: see BridgeDescription. */
  readonly userspaceBridge: boolean;
}

type Xml = Readonly<Record<string, unknown>>;

export function renderDomain(spec: MachineSpec, options: DomainOptions): string {
  const { description } = spec.image;
  const domain = {
    "@type": options.accelerator === "kvm" ? "kvm" : "qemu",
    name: domainName(spec.id),
    uuid: domainUuid(spec.id),
    metadata: {
      [LABELS_ELEMENT]: { "@xmlns:collective": LABELS_NAMESPACE, "#text": JSON.stringify(options.labels) },
    },
    memory: { "@unit": "b", "#text": description.memoryBytes },
    vcpu: description.cpus,
    ...renderParameters(spec, options.paths),
    os: renderOs(spec, options),
    features: { acpi: {}, apic: {} },
    ...(options.accelerator === "kvm" ? { cpu: { "@mode": "host-passthrough" } } : {}),
    clock: { "@offset": "utc" },
    on_poweroff: "destroy",
    on_reboot: "restart",
    on_crash: "destroy",
    devices: renderDevices(spec, options),
  };
  return new XMLBuilder(XML_OPTIONS).build({ domain });
}

/** The labels in a domain's definition; undefined for a domain that is not ours. */
export function readDomainLabels(xml: string): MachineLabels | undefined {
  if (!xml.includes(LABELS_NAMESPACE)) return undefined;
  const document = new XMLParser({ ...XML_OPTIONS, parseTagValue: false }).parse(xml) as {
    domain?: { metadata?: Record<string, string | { "#text"?: string } | undefined> };
  };
  const element = document.domain?.metadata?.[LABELS_ELEMENT];
  const text = typeof element === "object" ? element["#text"] : element;
  return text === undefined ? undefined : parseLabels(text);
}

const XML_OPTIONS = {
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  suppressEmptyNode: true,
  format: true,
};

function renderParameters({ image }: MachineSpec, paths: MachinePaths): Xml {
  if (image.description.parameters !== "fw_cfg") return {};
  return { sysinfo: { "@type": "fwcfg", entry: { "@name": FW_CFG_NAME, "@file": paths.parameters } } };
}

function renderOs({ image }: MachineSpec, { folders, paths }: DomainOptions): Xml {
  const { description } = image;
  return {
    type: { "@arch": description.arch, "@machine": machineType(image.description), "#text": "hvm" },
    ...(description.firmware === "bios"
      ? {}
      : {
          loader: { "@readonly": "yes", "@type": "pflash", "#text": UEFI_CODE },
          nvram: { "@template": UEFI_VARIABLES, "#text": paths.uefiVariables },
        }),
    ...(image.kernel === undefined ? {} : { kernel: bootFilePath(folders, image.kernel.oid) }),
    ...(image.initrd === undefined ? {} : { initrd: bootFilePath(folders, image.initrd.oid) }),
    ...(image.kernel === undefined || description.cmdline === undefined
      ? {}
      : { cmdline: description.cmdline }),
  };
}

/** The older chipset boots faster and has IDE; UEFI guests expect the newer one. */
function machineType({ firmware, disks }: MachineSpec["image"]["description"]): string {
  return firmware === "uefi" && !disks.some(({ bus }) => bus === "ide") ? "q35" : "pc";
}

function renderDevices(spec: MachineSpec, options: DomainOptions): Xml {
  const { paths } = options;
  const disks = renderDisks(spec, options);
  const hasScsi = spec.image.description.disks.some(({ bus }) => bus === "scsi");
  return {
    emulator: emulatorOf(spec.image.description.arch),
    disk: disks,
    controller: [
      { "@type": "usb", "@model": "none" },
      { "@type": "virtio-serial" },
      ...(hasScsi ? [{ "@type": "scsi", "@model": "virtio-scsi" }] : []),
    ],
    interface: spec.interfaces.map((nic, index) => renderInterface(spec, nic, { index, options })),
    serial: {
      "@type": "unix",
      source: { "@mode": "bind", "@path": paths.console },
      log: { "@file": paths.consoleLog, "@append": "off" },
      target: { "@port": 0 },
    },
    channel: [
      {
        "@type": "unix",
        source: { "@mode": "bind", "@path": paths.channel },
        target: { "@type": "virtio", "@name": CHANNEL_NAME },
      },
      ...(spec.image.description.ready === "agent"
        ? [{ "@type": "unix", target: { "@type": "virtio", "@name": AGENT_CHANNEL_NAME } }]
        : []),
    ],
    rng: { "@model": "virtio", backend: { "@model": "random", "#text": "/dev/urandom" } },
    memballoon: { "@model": "none" },
  };
}

function renderDisks(spec: MachineSpec, { folders, paths }: DomainOptions): Xml[] {
  const targets = assignTargets(spec);
  const target = (device: string): DiskTarget => targets.get(device) ?? { name: device, bus: "virtio" };
  const programs = spec.image.programDisks.map(({ device, indexDigest }, index) => ({
    ...renderDisk(paths.overlay(device), target(device)),
    backingStore: {
      "@type": "file",
      format: { "@type": "raw" },
      source: { "@file": imagePath(folders, indexDigest) },
      backingStore: {},
    },
    ...(spec.image.kernel === undefined ? { boot: { "@order": index + 1 } } : {}),
  }));
  const data = spec.dataDisks.map(({ device }) => ({
    ...renderDisk(paths.dataDisk(device), target(device)),
    backingStore: {},
  }));
  const all: Xml[] = [...programs, ...data];
  return spec.image.description.parameters === "cloud-init" ? [...all, renderSeed(paths.seed, targets)] : all;
}

function renderDisk(file: string, target: DiskTarget): Xml {
  return {
    "@type": "file",
    "@device": "disk",
    driver: { "@name": "qemu", "@type": "qcow2", "@discard": "unmap" },
    source: { "@file": file },
    target: { "@dev": target.name, "@bus": target.bus },
  };
}

/** cloud-init looks for a file system labelled `cidata` on any disk. */
function renderSeed(file: string, targets: ReadonlyMap<string, DiskTarget>): Xml {
  const taken = new Set([...targets.values()].map(({ name }) => name));
  const name = ["vdz", "vdy", "vdx"].find((candidate) => !taken.has(candidate)) ?? "vdw";
  return {
    "@type": "file",
    "@device": "disk",
    driver: { "@name": "qemu", "@type": "raw" },
    source: { "@file": file },
    backingStore: {},
    target: { "@dev": name, "@bus": "virtio" satisfies DiskBus },
    readonly: {},
  };
}

function renderInterface(
  spec: MachineSpec,
  nic: InterfaceSpec,
  { index, options }: { index: number; options: DomainOptions },
): Xml {
  const model = spec.image.description.nic;
  const common = {
    mac: { "@address": nic.mac },
    target: { "@dev": portName(spec.id, index) },
    model: { "@type": model },
    ...(model === "virtio" && options.userspaceBridge ? { driver: NO_OFFLOADS } : {}),
  };
  if (nic.port === null) return { "@type": "ethernet", ...common, link: { "@state": "down" } };
  return {
    "@type": "bridge",
    source: { "@bridge": options.bridge },
    virtualport: { "@type": "openvswitch", parameters: { "@interfaceid": interfaceUuid(spec.id, index) } },
    // A port without a tag would be a trunk, which carries every segment: tag 0 makes it an access port for untagged frames.
    vlan: { tag: { "@id": nic.port.tag ?? 0 } },
    ...common,
  };
}

const OFF = { "@csum": "off", "@tso4": "off", "@tso6": "off", "@ecn": "off", "@ufo": "off" };
const NO_OFFLOADS = { host: { ...OFF, "@gso": "off", "@mrg_rxbuf": "off" }, guest: OFF };
