/** Whether the site has what a root file needs, as far as that is known without the state and the hosts. */
import { CollectiveError } from "../../errors.ts";
import type { NetworkDescription } from "../../network/description.ts";
import type { Inventory } from "../../site/inventory.ts";
import { allocate } from "../placement/allocate.ts";
import { NOTHING_ALLOCATED } from "../records/allocation.ts";

const NOTHING_TAKEN = {
  tags: new Set<number>(),
  macs: new Set<string>(),
  publicAddresses: new Set<number>(),
};

/** What a first start would be refused with though nothing else ran: tags and addresses that the inventory does not have. */
export function checkAllocation(
  description: NetworkDescription,
  inventory: Inventory,
): CollectiveError | undefined {
  try {
    const taken = NOTHING_TAKEN;
    allocate({ networkId: "check", description, kept: NOTHING_ALLOCATED, taken, inventory });
    return undefined;
  } catch (error) {
    if (error instanceof CollectiveError) return error;
    throw error;
  }
}
