/** The lines of a `.vmx`: `key = "value"`, or without quotes, or with nothing behind the sign; `#` begins a comment. */

export interface Setting {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/** By key, in small letters. */
export type Settings = ReadonlyMap<string, Setting>;

export type Report = (message: string, place: Setting | undefined, severity?: "error" | "warning") => void;

const MAX_MISTAKES = 100;
const KEY = /^\s*([^\s="#]+)\s*=/;

export function parseVmxSettings(text: string, report: Report): Settings {
  const settings = new Map<string, Setting>();
  let start = 0;
  let mistakes = 0;
  for (const line of text.replace(/^\u{FEFF}/u, " ").split("\n")) {
    const place = { value: line, start, end: start + Math.max(1, line.length) };
    start += line.length + 1;
    if (/^\s*(#|$)/.test(line)) continue;
    const match = KEY.exec(line);
    const value = match === null ? undefined : valueOf(line.slice(match[0].length).trim());
    if (value !== undefined) settings.set((match?.[1] ?? "").toLowerCase(), { ...place, value });
    else if ((mistakes += 1) <= MAX_MISTAKES) report('expected `key = "value"`', place);
  }
  return settings;
}

/** What follows the sign; undefined when it is neither quoted nor plain. */
function valueOf(text: string): string | undefined {
  const end = text.startsWith('"') ? text.indexOf('"', 1) : -1;
  if (end === -1) {
    const plain = text.split("#", 1)[0] ?? "";
    return plain.includes('"') ? undefined : decodeValue(plain.trimEnd());
  }
  const rest = text.slice(end + 1).trimStart();
  return rest === "" || rest.startsWith("#") ? decodeValue(text.slice(1, end)) : undefined;
}

/** VMware writes `"` as `|22`, and so on. */
function decodeValue(value: string): string {
  return value.replace(/\|([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
