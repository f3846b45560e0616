/** The MACs, addresses and subnets CVL sets itself: read, and refused where they cannot hold. */
import type { Element } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { InterfaceDescription } from "../../network/description.ts";
import {
  formatSubnet,
  isHostAddress,
  netmaskOf,
  parseAddress,
  parseSubnet,
  prefixOfNetmask,
  type Subnet,
} from "../../network/ipv4.ts";
import { normalizeMac } from "../../network/mac.ts";

/** Undefined when CVL does not set it. */
export function staticMac(path: string, description: InterfaceDescription): string | undefined {
  const value = known(description.mac, `${path}.mac`);
  if (value === undefined) return undefined;
  const mac = normalizeMac(value);
  if (mac === undefined) throw invalid(`${path}.mac`, value, "a unicast MAC address like 02:00:00:00:00:01");
  return mac;
}

/** Undefined when CVL does not set it, or makes it from something that is assigned later. */
export function staticAddress(options: {
  path: string;
  description: InterfaceDescription;
  subnet: Subnet;
}): number | undefined {
  const { path, description, subnet } = options;
  const value = known(description.ip, `${path}.ip`);
  if (value === undefined) return undefined;
  const address = parseAddress(value);
  if (address === undefined || !isHostAddress(subnet, address)) {
    throw invalid(
      `${path}.ip`,
      value,
      `an address inside ${formatSubnet(subnet)}, the subnet of its segment`,
    );
  }
  return address;
}

/** The subnet the interfaces of one segment ask for; undefined when none does. */
export function staticSubnet(
  interfaces: readonly { readonly path: string; readonly description: InterfaceDescription }[],
): string | undefined {
  let found: { readonly path: string; readonly subnet: string } | undefined;
  for (const { path, description } of interfaces) {
    const network = known(description.subnet, `${path}.subnet`);
    if (network === undefined) continue;
    const netmask = known(description.netmask, `${path}.netmask`) ?? netmaskOf(24);
    const prefix = prefixOfNetmask(netmask);
    if (prefix === undefined) throw invalid(`${path}.netmask`, netmask, "a netmask like 255.255.255.0");
    const subnet = `${network}/${prefix}`;
    if (parseSubnet(subnet) === undefined || prefix < 8 || prefix > 30) {
      throw invalid(`${path}.subnet`, network, `a network address that fits the netmask ${netmask}`);
    }
    if (found !== undefined && found.subnet !== subnet) {
      throw invalid(`${path}.subnet`, subnet, `${found.subnet}, as ${found.path} on the same segment has`);
    }
    found = { path, subnet };
  }
  return found?.subnet;
}

function known(elements: readonly Element[], parameter: string): string | undefined {
  if (elements.length > 1) throw invalid(parameter, `${elements.length} elements`, "one element");
  const element = elements[0];
  return typeof element === "string" ? element : undefined;
}

function invalid(parameter: string, value: string, expected: string): CollectiveError {
  return new CollectiveError(
    "UTILITY_ADDRESS_INVALID",
    `${parameter} is set to ${JSON.stringify(value)}; expected ${expected}`,
    { hint: `correct it, or leave ${parameter} unset so that the utility assigns it` },
  );
}
