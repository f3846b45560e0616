/** Subnets that one gateway stands between must not meet: it could not tell where an address lies. */
import { CollectiveError } from "../../errors.ts";
import { EXTERNAL_SEGMENT, type SegmentId } from "../../network/description.ts";
import { findOverlap, formatSubnet, parseSubnet, subnetSize, type Subnet } from "../../network/ipv4.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { SegmentAllocation } from "../records/allocation.ts";

/** Size of a network's subnet: the paper's 256 addresses. */
const SEGMENT_PREFIX = 24;

/** 10.(t>>8).(t&255).0/24 for tag t and base 10.0.0.0/8. */
export function derivedSubnet(base: string, tag: number): Subnet {
  const network = (parseSubnet(base)?.network ?? 0) + tag * subnetSize(SEGMENT_PREFIX);
  return { network, prefix: SEGMENT_PREFIX };
}

/**
 * Whatever gave a segment its subnet: its tag, CVL, or an earlier start, before utility.yaml was changed.
 * @throws CollectiveError UTILITY_SUBNETS_MEET
 */
export function requireApart(
  segments: Readonly<Record<SegmentId, SegmentAllocation>>,
  { external }: Pick<Inventory, "external">,
): void {
  const outside = external === undefined ? [] : [{ name: "the external segment", text: external.subnet }];
  const inside = Object.entries(segments).flatMap(([id, { subnet }]) =>
    id === EXTERNAL_SEGMENT ? [] : [{ name: id === "" ? "the network" : `the network ${id}`, text: subnet }],
  );
  const named = [...inside, ...outside].flatMap(({ name, text }) =>
    parseSubnets([text]).map((subnet) => ({ name, subnet })),
  );
  const [first, second] = findOverlap(named) ?? [];
  if (first === undefined || second === undefined) return;
  throw new CollectiveError(
    "UTILITY_SUBNETS_MEET",
    `the subnet ${formatSubnet(first.subnet)} of ${first.name} meets ${formatSubnet(second.subnet)} of ${second.name}`,
    {
      data: { first: first.name, second: second.name },
      hint: "set another `subnet` in CVL, or another `subnets:` or `external:` in utility.yaml; nothing was changed",
    },
  );
}

/** Text that is no subnet is left out. */
export function parseSubnets(texts: readonly string[]): readonly Subnet[] {
  return texts.flatMap((text) => parseSubnet(text) ?? []);
}
