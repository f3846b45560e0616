/**
 * A network as it should run, or as it runs: plain JSON, the two sides of a plan and what the state keeps.
 * Made by `buildNetwork` from an instance tree and the machines' images.
 */
import type { ComponentPath, Element } from "../cvl/tree.ts";
import type { Source } from "../cvl/source.ts";
import type { Span } from "../diagnostics.ts";
import type { MachineImage } from "../appliance/machine-image.ts";

export const NETWORK_FORMAT = 1;

/** Path of the network component a segment belongs to; the root network's is "", the external segment is EXTERNAL_SEGMENT. */
export type SegmentId = string;
/** No identifier starts with `@`, so a network component named `external` cannot be taken for it. */
export const EXTERNAL_SEGMENT: SegmentId = "@external";

/** Where a value was written: shown as the reason of an action. */
export interface Origin {
  /** `AcmeOffice.cvl` or `https://…/DNS@v3:DNS.cvl`. */
  readonly file: string;
  readonly line: number;
}

export interface InterfaceDescription {
  /** Null: it lies on no segment and is created link-down. */
  readonly segment: SegmentId | null;
  /** The network's gateway seen from this interface; it gets no default route on the segment it is the gateway of. */
  readonly isGateway: boolean;
  /** What CVL sets; empty where the utility assigns. `defaultroute` may hold an unknown element (the gateway's address). */
  readonly mac: readonly Element[];
  readonly ip: readonly Element[];
  readonly subnet: readonly Element[];
  readonly netmask: readonly Element[];
  readonly defaultroute: readonly Element[];
}

export interface DataDisk {
  readonly device: string;
  readonly sizeBytes: number;
}

export interface MachineDescription {
  readonly path: ComponentPath;
  readonly class: string;
  /** Of the file that declares its class. */
  readonly source: Source;
  readonly image: MachineImage;
  readonly dataDisks: readonly DataDisk[];
  readonly interfaces: Readonly<Record<string, InterfaceDescription>>;
  /**
   * Everything that is sent to the guest, `ethernet0.ip` style names included; sensitive elements never with a value.
   * `defaultroute` of an interface already follows the rule of its segment. `vm`, `requires` and `provides` are not sent.
   */
  readonly parameters: Readonly<Record<string, readonly Element[]>>;
  /** Where each parameter was last assigned; `vm`, `datadisks` and component declarations (key "") too. */
  readonly origins: Readonly<Record<string, Origin>>;
  /** Its own, then those of the networks it lies in. */
  readonly requires: readonly string[];
  /** Its own only; what a network provides is in `networks`. */
  readonly provides: readonly string[];
  readonly startsAfter: readonly Requirement[];
}

/** A requirement holds as soon as one of `anyOf` is ready: a machine, or a network all of whose machines are (`machinesBelow`). */
export interface Requirement {
  readonly service: string;
  readonly anyOf: readonly ComponentPath[];
}

/** A network component, or the root network (path ""). */
export interface NetworkComponent {
  readonly class: string;
  /** Of the file that declares its class. */
  readonly source: Source;
  /** The exported interface by its full name, `f.ethernet1`; null when the network is isolated. */
  readonly exports: string | null;
  readonly requires: readonly string[];
  readonly provides: readonly string[];
}

/** A required parameter without a value. */
export interface MissingParameter {
  /** Full path: `l.domain`. */
  readonly parameter: string;
  readonly declared: Origin;
  readonly span: Span;
}

export interface SegmentDescription {
  readonly id: SegmentId;
  /** The machine interface that is the gateway, `f.ethernet0`; null when the network is isolated or is the external one. */
  readonly gateway: string | null;
}

export interface NetworkDescription {
  readonly format: typeof NETWORK_FORMAT;
  readonly appliance: string;
  /** True for a network root; false when the root is a single VM appliance (its machine has the path ""). */
  readonly isNetwork: boolean;
  readonly machines: Readonly<Record<ComponentPath, MachineDescription>>;
  /** Without segments no machine lies on; `external` is here when an interface lies on it. */
  readonly segments: Readonly<Record<SegmentId, SegmentDescription>>;
  /** By path, the root network (when `isNetwork`) as "". */
  readonly networks: Readonly<Record<ComponentPath, NetworkComponent>>;
  /** Paths of networks below the root: evaluated and planned, not yet started. */
  readonly nestedNetworks: readonly ComponentPath[];
  /** Required parameters without a value; `requireComplete` makes errors of them when something is planned or started. */
  readonly missing: readonly MissingParameter[];
}
