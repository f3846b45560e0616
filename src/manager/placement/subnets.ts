/** Subnets that one gateway stands between must not meet: it could not tell where an address lies. */
import { CollectiveError } from "../../errors.ts";
import { EXTERNAL_SEGMENT, type SegmentId } from "../../network/description.ts";
import { contains, formatSubnet, parseSubnet, subnetSize, type Subnet } from "../../network/ipv4.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { SegmentAllocation } from "../records/allocation.ts";

/** Size of a network's subnet: the paper's 256 addresses. */
const SEGMENT_PREFIX = 24;

/** 10.(t>>8).(t&255).0/24 for tag t and base 10.0.0.0/8. */
export function derivedSubnet(base: string, tag: number): string {
  const network = (parseSubnet(base)?.network ?? 0) + tag * subnetSize(SEGMENT_PREFIX);
  return formatSubnet({ network, prefix: SEGMENT_PREFIX });
}

/** Whether two subnets have an address in common; text that is none meets nothing. */
export function subnetsMeet(first: string, second: string): boolean {
  const [a, b] = [parseSubnet(first), parseSubnet(second)];
  return a !== undefined && b !== undefined && (isWithin(a, b) || isWithin(b, a));
}

/**
 * Whatever gave a segment its subnet: its tag, CVL, or an earlier start, before utility.yaml was changed.
 * @throws CollectiveError UTILITY_SUBNETS_MEET
 */
export function requireApart(
  segments: Readonly<Record<SegmentId, SegmentAllocation>>,
  { external }: Pick<Inventory, "external">,
): void {
  const outside = external === undefined ? [] : [{ name: "the external segment", subnet: external.subnet }];
  const inside = Object.entries(segments).flatMap(([id, { subnet }]) =>
    id === EXTERNAL_SEGMENT ? [] : [{ name: id === "" ? "the network" : `the network ${id}`, subnet }],
  );
  const all = [...inside, ...outside];
  all.forEach((first, index) => {
    const second = all.slice(index + 1).find(({ subnet }) => subnetsMeet(first.subnet, subnet));
    if (second === undefined) return;
    throw new CollectiveError(
      "UTILITY_SUBNETS_MEET",
      `the subnet ${first.subnet} of ${first.name} meets ${second.subnet} of ${second.name}`,
      {
        data: { first, second },
        hint: "set another `subnet` in CVL, or another `subnets:` or `external:` in utility.yaml; nothing was changed",
      },
    );
  });
}

function isWithin(inner: Subnet, outer: Subnet): boolean {
  return inner.prefix >= outer.prefix && contains(outer, inner.network);
}
