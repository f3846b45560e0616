/** Sizes and times as a person reads them in a table. */

const UNITS = ["KiB", "MiB", "GiB", "TiB"] as const;

/** `512 B`, `1.5 MiB`, `20 GiB`; `-` where it is not known. */
export function renderBytes(bytes: number | null): string {
  if (bytes === null) return "-";
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length);
  const value = bytes / 1024 ** power;
  return `${value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value)} ${UNITS[power - 1] ?? ""}`;
}

/** `2026-11-29 09:46`, UTC. */
export function renderTime(iso: string): string {
  return iso.slice(0, 16).replace("T", " ");
}
