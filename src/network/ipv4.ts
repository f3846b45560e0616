/** IPv4 addresses as numbers: parsing is strict (four decimal octets without leading zeros), arithmetic is plain. */

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const ADDRESS = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** A block of addresses; `network` has no host bits. */
export interface Subnet {
  readonly network: number;
  readonly prefix: number;
}

/** Undefined when `text` is no dotted IPv4 address. */
export function parseAddress(text: string): number | undefined {
  if (!ADDRESS.test(text)) return undefined;
  return text.split(".").reduce((value, octet) => value * 256 + Number(octet), 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

/** `10.1.0.0/16`; undefined when it is not one or has host bits. */
export function parseSubnet(text: string): Subnet | undefined {
  const [address, prefixText, ...rest] = text.split("/");
  const network = parseAddress(address ?? "");
  if (network === undefined || rest.length > 0 || !/^(?:[0-9]|[12][0-9]|3[0-2])$/.test(prefixText ?? "")) {
    return undefined;
  }
  const prefix = Number(prefixText);
  return network % subnetSize(prefix) === 0 ? { network, prefix } : undefined;
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.network)}/${subnet.prefix}`;
}

/** Number of addresses of a block, the first and last included. */
export function subnetSize(prefix: number): number {
  return 2 ** (32 - prefix);
}

export function contains(subnet: Subnet, address: number): boolean {
  return address >= subnet.network && address < subnet.network + subnetSize(subnet.prefix);
}

/** True for an address a machine can have: neither the block's first nor its last. */
export function isHostAddress(subnet: Subnet, address: number): boolean {
  return (
    contains(subnet, address) &&
    (subnet.prefix >= 31 ||
      (address !== subnet.network && address !== subnet.network + subnetSize(subnet.prefix) - 1))
  );
}

/** Whether two blocks have an address in common: one then holds the other. */
export function overlaps(a: Subnet, b: Subnet): boolean {
  return contains(a, b.network) || contains(b, a.network);
}

/** Two that have an address in common, the earlier first; undefined when all lie apart. */
export function findOverlap<Entry extends { readonly subnet: Subnet }>(
  entries: readonly Entry[],
): readonly [Entry, Entry] | undefined {
  const sorted = [...entries].sort(
    (a, b) => a.subnet.network - b.subnet.network || a.subnet.prefix - b.subnet.prefix,
  );
  // As long as none overlap, what a block overlaps is the one just before it.
  const index = sorted.findIndex(({ subnet }, at) => {
    const before = sorted[at - 1];
    return before !== undefined && overlaps(before.subnet, subnet);
  });
  const [first, second] = [sorted[index - 1], sorted[index]];
  return first === undefined || second === undefined ? undefined : [first, second];
}

/** `255.255.255.0` */
export function netmaskOf(prefix: number): string {
  return formatAddress(2 ** 32 - subnetSize(prefix));
}

/** Undefined when `text` is no netmask. */
export function prefixOfNetmask(text: string): number | undefined {
  for (let prefix = 0; prefix <= 32; prefix++) if (netmaskOf(prefix) === text) return prefix;
  return undefined;
}

/** `192.0.2.10`, `192.0.2.10-192.0.2.20` or `192.0.2.8/29` as first and last address; undefined when it is none. */
export function parseAddressRange(
  text: string,
): { readonly first: number; readonly last: number } | undefined {
  const subnet = text.includes("/") ? parseSubnet(text) : undefined;
  if (subnet !== undefined) {
    return { first: subnet.network, last: subnet.network + subnetSize(subnet.prefix) - 1 };
  }
  const ends = text.split("-");
  const first = parseAddress((ends[0] ?? "").trim());
  const last = parseAddress((ends.at(-1) ?? "").trim());
  if (ends.length > 2 || first === undefined || last === undefined || last < first) return undefined;
  return { first, last };
}
