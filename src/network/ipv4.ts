/** IPv4 and MAC addresses as CVL writes them: four decimal numbers without leading zeros, six pairs of hex digits. */

/** The 32-bit number of a dotted address; undefined when it is none. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const part of match.slice(1)) {
    const byte = Number(part);
    if (byte > 255 || String(byte) !== part) return undefined;
    address = address * 256 + byte;
  }
  return address;
}

/** The number of a netmask; undefined when it is no dotted address or its one bits are not all in front. */
export function parseNetmask(text: string): number | undefined {
  const mask = parseIpv4(text);
  if (mask === undefined) return undefined;
  const inverted = 0xffffffff - mask;
  return (inverted & (inverted + 1)) === 0 ? mask : undefined;
}

/** Lower case with colons; undefined when it is no unicast MAC address. */
export function normalizeMac(text: string): string | undefined {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const mac = text.toLowerCase().replaceAll("-", ":");
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 || mac === "00:00:00:00:00:00" ? undefined : mac;
}

/** Whether a machine can have `ip` in the subnet: inside it, and neither its first nor its last address (a /31 or /32 has none to spare). */
export function isUsableIn(ip: number, subnet: number, netmask: number): boolean {
  const size = 2 ** 32 - netmask;
  if (ip < subnet || ip >= subnet + size) return false;
  return size <= 2 || (ip !== subnet && ip !== subnet + size - 1);
}
