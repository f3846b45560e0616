/** How long each part of an operation took, and how much of it was the manager's own: everything but waiting for guests. */

export interface Timing {
  readonly name: string;
  /** Milliseconds from the beginning of the operation. */
  readonly fromMs: number;
  readonly toMs: number;
  /** True while a guest boots, shuts down or reloads. */
  readonly isGuest: boolean;
}

export interface TimelineSummary {
  readonly totalMs: number;
  /** Total less the time in which some guest was waited for. */
  readonly ownMs: number;
  readonly timings: readonly Timing[];
}

export interface Timeline {
  /** Runs `work` and records it. */
  measure<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  /** The same for time that belongs to a guest. */
  waitForGuest<Result>(name: string, work: () => Promise<Result>): Promise<Result>;
  summary(): TimelineSummary;
}

/** `startedAt` as performance.now() gives it; default now. */
export function createTimeline(
  startedAt: number = performance.now(),
  now: () => number = () => performance.now(),
): Timeline {
  const timings: Timing[] = [];
  const record = async <Result>(
    name: string,
    isGuest: boolean,
    work: () => Promise<Result>,
  ): Promise<Result> => {
    const fromMs = now() - startedAt;
    try {
      return await work();
    } finally {
      timings.push({ name, fromMs, toMs: now() - startedAt, isGuest });
    }
  };
  return {
    measure: (name, work) => record(name, false, work),
    waitForGuest: (name, work) => record(name, true, work),
    summary: () => {
      const totalMs = now() - startedAt;
      return {
        totalMs,
        ownMs: totalMs - coveredMs(timings.filter((timing) => timing.isGuest)),
        timings: [...timings],
      };
    },
  };
}

/** Length of the union of the intervals. */
function coveredMs(timings: readonly Timing[]): number {
  let covered = 0;
  let end = Number.NEGATIVE_INFINITY;
  for (const { fromMs, toMs } of [...timings].sort((a, b) => a.fromMs - b.fromMs)) {
    covered += Math.max(0, toMs - Math.max(fromMs, end));
    end = Math.max(end, toMs);
  }
  return covered;
}
