/** Quantities and values as a person reads them. */
import type { Element } from "../cvl/tree.ts";
import { visible } from "../diagnostics.ts";
import type { Origin } from "../network/description.ts";
import type { VersionStep } from "./plan.ts";

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1536` is `1.5 KiB`; whole numbers from 100 on. */
export function formatBytes(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 1024 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
  return `${bytes < 0 ? "-" : ""}${digits} ${BINARY_UNITS[unit] ?? ""}`;
}

/** `+128 MiB`, `-1 GiB`, `unchanged`. */
export function formatBytesChange(bytes: number): string {
  if (bytes === 0) return "unchanged";
  return bytes > 0 ? `+${formatBytes(bytes)}` : formatBytes(bytes);
}

const LONGEST_VALUE = 60;

/** A parameter's value on one line: `"a", "b"`, `(assigned at start)`, `(sensitive)`, `(unset)`. */
export function formatElements(elements: readonly Element[]): string {
  if (elements.length === 0) return "(unset)";
  const parts: string[] = [];
  let length = 0;
  for (const element of elements) {
    const part = formatElement(element);
    length += part.length;
    if (length > LONGEST_VALUE && parts.length > 0) {
      parts.push(`… ${elements.length - parts.length} more`);
      break;
    }
    parts.push(part);
  }
  return parts.join(", ");
}

function formatElement(element: Element): string {
  if (typeof element === "string")
    return `"${cut(visible(element), LONGEST_VALUE).replace(/["\\]/g, "\\$&")}"`;
  if (element.kind === "unknown") return "(assigned at start)";
  return element.kind === "sensitive" ? "(sensitive)" : "(unset)";
}

/** At most `length` characters; an ellipsis stands for the rest. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** `v1 → v2`, `v2` for a machine that is new, `v1` for one that goes; a working tree has no number. */
export function formatVersions({ from, to }: VersionStep): string {
  if (from === null && to === null) return "";
  if (from === null) return `v${to ?? ""}`;
  return to === null ? `v${from}` : `v${from} → v${to}`;
}

/** `AcmeOffice.cvl:7` */
export function formatOrigin(origin: Origin | undefined): string | undefined {
  return origin === undefined ? undefined : `${origin.file}:${origin.line}`;
}

/** `1 machine`, `2 machines`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
