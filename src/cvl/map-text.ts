/**
 * Maps as strings: `{a=>"b", c=>"d"}` is `a=b&c=d`; every byte of a key's or value's UTF-8 that is no ASCII letter or
 * digit is `%XX` in upper case, so maps nest.
 */

/** One key or value. A lone half of a surrogate pair becomes U+FFFD, as in every UTF-8 encoder. */
export function encodeMapText(text: string): string {
  if (!NEEDS_ESCAPE.test(text)) return text;
  const bytes = Buffer.from(text, "utf8");
  const encoded = Buffer.allocUnsafe(3 * bytes.length);
  let at = 0;
  for (const byte of bytes) {
    if (IS_PLAIN[byte] === 1) {
      encoded[at] = byte;
      at += 1;
    } else {
      encoded[at] = PERCENT;
      encoded[at + 1] = HEX_DIGITS[byte >> 4] ?? 0;
      encoded[at + 2] = HEX_DIGITS[byte & 15] ?? 0;
      at += 3;
    }
  }
  return encoded.toString("latin1", 0, at);
}

/** Pairs in the order they are written. */
export function encodeMap(pairs: Iterable<readonly [key: string, value: string]>): string {
  const parts: string[] = [];
  for (const [key, value] of pairs) parts.push(`${encodeMapText(key)}=${encodeMapText(value)}`);
  return parts.join("&");
}

/** The pairs of an encoded map, in order; undefined when `text` is not what `encodeMap` makes. */
export function decodeMap(text: string): ReadonlyMap<string, string> | undefined {
  const pairs = new Map<string, string>();
  for (const part of text.split("&")) {
    const match = PAIR.exec(part);
    const key = decodeMapText(match?.[1]);
    const value = decodeMapText(match?.[2]);
    if (key === undefined || value === undefined || pairs.has(key)) return undefined;
    pairs.set(key, value);
  }
  return pairs;
}

const NEEDS_ESCAPE = /[^A-Za-z0-9]/;
const PAIR = /^((?:[A-Za-z0-9]|%[0-9A-F]{2})*)=((?:[A-Za-z0-9]|%[0-9A-F]{2})*)$/;

const PERCENT = 37;
const HEX_DIGITS = Buffer.from("0123456789ABCDEF", "latin1");
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 128 && /[A-Za-z0-9]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

function decodeMapText(encoded: string | undefined): string | undefined {
  if (encoded === undefined) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
