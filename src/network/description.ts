/**
 * A network as it should run, or as it runs: plain JSON, the two sides of a plan and what the state keeps.
 * Made by `buildNetwork` from an instance tree and the machines' images.
 */
import type { ComponentPath, Element } from "../cvl/tree.ts";
import type { Source } from "../cvl/source.ts";
import type { MachineImage } from "../repository/machine-image.ts";

export const NETWORK_FORMAT = 1;

/** Path of the network component a segment belongs to; the root network's is "", the external segment is `external`. */
export type SegmentId = string;
export const EXTERNAL_SEGMENT: SegmentId = "external";

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
  /** Everything that is sent to the guest, `ethernet0.ip` style names included; sensitive elements never with a value. */
  readonly parameters: Readonly<Record<string, readonly Element[]>>;
  /** Where each parameter was last assigned; `vm`, `datadisks` and component declarations (key "") too. */
  readonly origins: Readonly<Record<string, Origin>>;
  readonly requires: readonly string[];
  readonly provides: readonly string[];
  /** For each requirement the machines one of which must be ready first. */
  readonly startsAfter: readonly { readonly service: string; readonly anyOf: readonly ComponentPath[] }[];
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
  /** Paths of networks below the root: evaluated and planned, not yet started. */
  readonly nestedNetworks: readonly ComponentPath[];
  /** Required parameters without a value, by full path, with where they were declared. */
  readonly missing: readonly { readonly parameter: string; readonly declared: Origin }[];
}
