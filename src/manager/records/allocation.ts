/** What a network holds of the site's VLAN tags, subnets, MACs and addresses: kept until the component is removed. */
import type { SegmentId } from "../../network/description.ts";

export interface SegmentAllocation {
  /** Null: untagged (the external segment of some sites). */
  readonly tag: number | null;
  /** `10.0.100.0/24` */
  readonly subnet: string;
}

export interface InterfaceAllocation {
  readonly segment: SegmentId | null;
  readonly mac: string;
  /** Null for an interface on no segment. */
  readonly ip: string | null;
}

export interface NetworkAllocation {
  readonly segments: Readonly<Record<SegmentId, SegmentAllocation>>;
  /** By full path of the interface, `f.ethernet1`; `ethernet0` for a root machine. */
  readonly interfaces: Readonly<Record<string, InterfaceAllocation>>;
}

export const NOTHING_ALLOCATED: NetworkAllocation = { segments: {}, interfaces: {} };

/** What the other networks of the site hold. */
export interface Taken {
  readonly tags: ReadonlySet<number>;
  readonly macs: ReadonlySet<string>;
  /** Addresses on the external segment, as numbers. */
  readonly publicAddresses: ReadonlySet<number>;
}

/** `f` and `ethernet1` make `f.ethernet1`; the root machine's path is empty. */
export function interfacePath(component: string, name: string): string {
  return component === "" ? name : `${component}.${name}`;
}
