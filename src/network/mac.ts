/** MAC addresses as CVL writes them: six pairs of hex digits with colons between, as guests compare them. */

/** Lower case; undefined when it is no unicast MAC address. */
export function normalizeMac(text: string): string | undefined {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return undefined;
  const mac = text.toLowerCase();
  return (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 || mac === "00:00:00:00:00:00" ? undefined : mac;
}
