/** Instance trees and images made by hand: what the language and the repositories would give, without either. */
import { createHash } from "node:crypto";
import type { Source, SourceFile } from "../../src/cvl/source.ts";
import type {
  Component,
  ComponentPath,
  Element,
  InstanceTree,
  Parameter,
  Place,
} from "../../src/cvl/tree.ts";
import { buildNetwork } from "../../src/network/build-network.ts";
import type { NetworkDescription } from "../../src/network/description.ts";
import type { MachineImage, VmDescription } from "../../src/appliance/machine-image.ts";

export interface ComponentSpec {
  /** Default: a machine; the root is a network unless it says otherwise. */
  readonly kind?: "network" | "machine";
  readonly class?: string;
  readonly version?: number | null;
  /** Beyond ethernet0. */
  readonly interfaces?: readonly string[];
  readonly parameters?: Readonly<Record<string, string | readonly Element[]>>;
  /** Declared "required", or "sensitive", without being assigned. */
  readonly required?: readonly string[];
  readonly sensitive?: readonly string[];
  readonly image?: ImageSpec | null;
}

export interface ImageSpec {
  readonly version?: number | null;
  readonly url?: string;
  /** Content of the program disk `vda`. */
  readonly content?: string;
  readonly memoryMiB?: number;
  readonly cpus?: number;
  readonly disks?: VmDescription["disks"];
}

export type NetworkSpec = Readonly<Record<ComponentPath, ComponentSpec>>;

const ASSIGNABLE = ["mac", "ip", "subnet", "netmask", "defaultroute"];

/** Every parameter of the specification is one line of a made-up file, in the order of the specification. */
export function makeTree(spec: NetworkSpec, appliance = "Office"): InstanceTree {
  const writer = createWriter(`${appliance}.cvl`);
  const components = new Map<ComponentPath, Component>();
  const paths = Object.keys(spec);
  for (const path of paths.sort((a, b) => depth(a) - depth(b))) {
    components.set(path, makeComponent(path, spec[path]!, { paths, writer, appliance }));
  }
  return { appliance, components };
}

export function makeImages(spec: NetworkSpec): Map<ComponentPath, MachineImage> {
  const images = new Map<ComponentPath, MachineImage>();
  for (const [path, component] of Object.entries(spec)) {
    if (kindOf(path, component) === "machine" && component.image !== null) {
      images.set(path, makeImage(component.class ?? className(path), component.image ?? {}));
    }
  }
  return images;
}

/** The description of a specification that has no errors. */
export function makeNetwork(spec: NetworkSpec, appliance = "Office"): NetworkDescription {
  const { network, diagnostics } = buildNetwork(makeTree(spec, appliance), makeImages(spec));
  if (network === undefined) throw new Error(diagnostics.map((entry) => entry.message).join("\n"));
  return network;
}

export function unknown(...waitsFor: string[]): Element {
  return { kind: "unknown", waitsFor };
}

export function map(pairs: Readonly<Record<string, string>>): string {
  return Object.entries(pairs)
    .map(
      ([key, value]) =>
        `${key}=${value.replace(/[^A-Za-z0-9]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)}`,
    )
    .join("&");
}

/** A firewall f, a name server d with a data disk, a web server w that requires it. */
export const OFFICE: NetworkSpec = {
  "": {
    class: "Office",
    parameters: { vanIF: "f.ethernet1", defaultroute: [unknown("f.ethernet0.ip")], domain: "acme.org" },
  },
  f: { class: "Firewall", version: 5, interfaces: ["ethernet1"], image: { version: 5 } },
  d: {
    class: "DNS",
    version: 3,
    parameters: {
      provides: "DNS",
      domain: "acme.org",
      dnshosts: [map({ name: "w" }), unknown("w.ethernet0.ip")],
      datadisks: map({ device: "vdb", size: "100MiB" }),
    },
    image: {
      version: 3,
      disks: [
        { device: "vda", bus: "virtio", source: "root.qcow2" },
        { device: "vdb", bus: "virtio", source: undefined },
      ],
    },
  },
  w: {
    class: "Web",
    version: 1,
    parameters: { requires: "DNS", greeting: "hello" },
    sensitive: ["password"],
    image: { version: 1 },
  },
};

/** A copy with some components changed; parameters are merged, undefined takes a component away. */
export function change(
  spec: NetworkSpec,
  changes: Readonly<Record<ComponentPath, Partial<ComponentSpec> | undefined>>,
): NetworkSpec {
  const result = new Map(Object.entries(spec));
  for (const [path, component] of Object.entries(changes)) {
    if (component === undefined) {
      result.delete(path);
      continue;
    }
    const before = result.get(path) ?? {};
    const image = component.image == null ? component.image : { ...before.image, ...component.image };
    result.set(path, {
      ...before,
      ...component,
      parameters: { ...before.parameters, ...component.parameters },
      ...(image === undefined ? {} : { image }),
    });
  }
  return Object.fromEntries(result);
}

function makeComponent(
  path: ComponentPath,
  spec: ComponentSpec,
  { paths, writer, appliance }: { paths: readonly string[]; writer: Writer; appliance: string },
): Component {
  const kind = kindOf(path, spec);
  const interfaces = kind === "machine" ? ["ethernet0", ...(spec.interfaces ?? [])] : [];
  const declared = writer(`${spec.class ?? className(path)} ${path === "" ? appliance : path};`);
  const parameters = new Map<string, Parameter>();
  const put = (name: string, elements: readonly Element[], more: Partial<Parameter> = {}): void => {
    const assigned = elements.length > 0 ? writer(`${path}.${name} = ${JSON.stringify(elements)};`) : null;
    parameters.set(name, {
      elements,
      required: false,
      sensitive: false,
      assignable: false,
      declared,
      assigned,
      ...more,
    });
  };
  if (kind === "machine") {
    put("vm", spec.image === null ? [] : ["machine.vm.yaml"], { required: true });
    put("vanIF", ["ethernet0"], { required: true });
  } else put("vanIF", [], { required: true });
  for (const name of interfaces) {
    for (const field of ASSIGNABLE) {
      const full = `${path === "" ? "" : `${path}.`}${name}.${field}`;
      const elements = [unknown(full)];
      put(`${name}.${field}`, elements, {
        assignable: true,
        assigned: null,
        required: field !== "defaultroute",
      });
    }
  }
  for (const [name, value] of Object.entries(spec.parameters ?? {})) {
    put(name, typeof value === "string" ? [value] : value, {
      assignable: ASSIGNABLE.includes(name.split(".")[1] ?? ""),
    });
  }
  for (const name of spec.required ?? []) put(name, [], { required: true });
  for (const name of spec.sensitive ?? []) put(name, [], { sensitive: true, required: true });
  return {
    path,
    kind,
    class: spec.class ?? className(path),
    ancestors: [],
    source: makeSource(spec.class ?? className(path), spec.version ?? null),
    declared,
    parameters,
    interfaces,
    children: paths.filter(
      (other) => kind === "network" && other !== "" && other !== path && parentOf(other) === path,
    ),
  };
}

export function makeImage(name: string, spec: ImageSpec): MachineImage {
  const disks = spec.disks ?? [{ device: "vda", bus: "virtio", source: "root.qcow2" }];
  const indexDigest = sha256(spec.content ?? `${name} v${spec.version ?? 1}`);
  const description: VmDescription = {
    arch: "x86_64",
    memoryBytes: (spec.memoryMiB ?? 128) * 1024 * 1024,
    cpus: spec.cpus ?? 1,
    firmware: "bios",
    kernel: undefined,
    initrd: undefined,
    cmdline: undefined,
    nic: "virtio",
    disks,
    ready: "guest",
    parameters: "fw_cfg",
  };
  return {
    source: {
      ...makeSource(name, spec.version ?? null),
      ...(spec.url === undefined ? {} : { url: spec.url }),
    },
    descriptionFile: "machine.vm.yaml",
    description,
    programDisks: [
      {
        device: "vda",
        bus: "virtio",
        indexPath: "disks/root.index",
        indexDigest,
        sizeBytes: 64 * 1024 * 1024,
      },
    ],
    kernel: undefined,
    initrd: undefined,
    digest: sha256(JSON.stringify([indexDigest, description])),
  };
}

function makeSource(name: string, version: number | null): Source {
  return {
    url: `https://example.org/${name}`,
    version,
    commit: version === null ? null : sha256(`${name}${version}`).slice(0, 40),
  };
}

type Writer = (line: string) => Place;

function createWriter(displayName: string): Writer {
  const file = { source: makeSource("site", null), file: displayName, displayName, text: "" };
  return (line) => {
    const start = file.text.length;
    file.text += `${line}\n`;
    return { file: file satisfies SourceFile, start, end: start + line.length };
  };
}

function kindOf(path: ComponentPath, spec: ComponentSpec): "network" | "machine" {
  return spec.kind ?? (path === "" ? "network" : "machine");
}

function className(path: ComponentPath): string {
  return path === "" ? "Root" : `Class_${path.replaceAll(".", "_")}`;
}

function depth(path: ComponentPath): number {
  return path === "" ? 0 : path.split(".").length;
}

function parentOf(path: ComponentPath): ComponentPath {
  return path.includes(".") ? path.slice(0, path.lastIndexOf(".")) : "";
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
