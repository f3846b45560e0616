/** An age, or a date: what `--older-than` takes. */
import { CollectiveError } from "../errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

/** `90d`, `12h`, `4w` before now; `2026-01-31`, or a time in ISO 8601, as it is. @throws CollectiveError USAGE */
export function parseBefore(text: string, now: Date): Date {
  const [, count, unit = ""] = /^([0-9]{1,5})([hdw])$/.exec(text) ?? [];
  if (count !== undefined) return new Date(now.getTime() - Number(count) * (UNIT_MS[unit] ?? 0));
  const isDate = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  const time = isDate ? Date.parse(text) : Number.NaN;
  // 2026-02-31 would be read as a day of March.
  const isReal =
    !Number.isNaN(time) &&
    new Date(Date.parse(text.slice(0, 10))).toISOString().startsWith(text.slice(0, 10));
  if (isReal) return new Date(time);
  throw new CollectiveError(
    "USAGE",
    `--older-than expects an age or a date, but it is ${JSON.stringify(text)}`,
    { hint: "cui attic purge --older-than 90d; or 12h, 4w, 2026-01-31" },
  );
}
