/** How long a runner waits before it looks again: its interval, and longer the more often in a row that failed. */

const LONGEST_MS = 600_000;

/** Doubled with every failure, never beyond ten minutes (or the interval), and spread so that runners do not ask at once. */
export function nextDelayMs(
  intervalMs: number,
  failures: number,
  random: () => number = Math.random,
): number {
  const longest = Math.max(LONGEST_MS, intervalMs);
  const delay = Math.min(intervalMs * 2 ** Math.min(failures, 20), longest);
  return Math.round(delay * (failures === 0 ? 0.9 + random() * 0.2 : 0.5 + random() * 0.5));
}
