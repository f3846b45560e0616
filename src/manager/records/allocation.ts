/** What a network holds of the site's VLAN tags, subnets, MACs and addresses: kept until the component is removed. */
import * as z from "zod";

const segmentAllocation = z
  .object({
    /** Null: untagged (the external segment of some sites). */
    tag: z.int().nullable(),
    /** `10.0.100.0/24` */
    subnet: z.string(),
  })
  .readonly();

const interfaceAllocation = z
  .object({
    segment: z.string().nullable(),
    mac: z.string(),
    /** Null for an interface on no segment. */
    ip: z.string().nullable(),
  })
  .readonly();

export const networkAllocationSchema = z
  .object({
    segments: z.record(z.string(), segmentAllocation).readonly(),
    /** By full path of the interface, `f.ethernet1`; `ethernet0` for a root machine. */
    interfaces: z.record(z.string(), interfaceAllocation).readonly(),
  })
  .readonly();

export type SegmentAllocation = z.infer<typeof segmentAllocation>;
export type InterfaceAllocation = z.infer<typeof interfaceAllocation>;
export type NetworkAllocation = z.infer<typeof networkAllocationSchema>;

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
