/** What the utility assigned, as values for an evaluation: by full parameter path, `f.ethernet1.ip`. */
import {
  EXTERNAL_SEGMENT,
  type InterfaceDescription,
  type NetworkDescription,
} from "../../network/description.ts";
import { interfacePath, type NetworkAllocation } from "../records/allocation.ts";
import type { Inventory } from "../../site/inventory.ts";
import { formatAddress, netmaskOf, parseSubnet } from "../../network/ipv4.ts";

export interface AssignedValuesOptions {
  readonly allocation: NetworkAllocation;
  readonly inventory: Pick<Inventory, "external">;
  /** Default routes are taken from here as far as they are known. */
  readonly description: NetworkDescription | undefined;
}

export function assignedValues(options: AssignedValuesOptions): ReadonlyMap<string, readonly string[]> {
  const { allocation, inventory } = options;
  const assigned = new Map<string, readonly string[]>();
  for (const [path, { mac, ip, segment }] of Object.entries(allocation.interfaces)) {
    assigned.set(`${path}.mac`, [mac]);
    const subnet = parseSubnet(allocation.segments[segment ?? ""]?.subnet ?? "");
    if (segment === null || ip === null || subnet === undefined) continue;
    assigned.set(`${path}.ip`, [ip]);
    assigned.set(`${path}.subnet`, [formatAddress(subnet.network)]);
    assigned.set(`${path}.netmask`, [netmaskOf(subnet.prefix)]);
    if (segment === EXTERNAL_SEGMENT && inventory.external !== undefined) {
      assigned.set(`${path}.defaultroute`, [inventory.external.gateway]);
    }
  }
  for (const machine of Object.values(options.description?.machines ?? {})) {
    for (const [name, entry] of Object.entries(machine.interfaces)) {
      const route = knownRoute(entry);
      if (route !== undefined) assigned.set(`${interfacePath(machine.path, name)}.defaultroute`, [route]);
    }
  }
  return assigned;
}

function knownRoute(entry: InterfaceDescription): string | undefined {
  const [route] = entry.defaultroute;
  return entry.isGateway || typeof route !== "string" ? undefined : route;
}
