/** How much a preview does for a stranger's commit: bounds on what is read and how long it takes. */
import { CollectiveError } from "../errors.ts";

export interface PreviewLimits {
  /** Root files of both sides together. */
  readonly rootFiles: number;
  /** Root files, locks and inventory of both sides together; what is imported has the limits of the language. */
  readonly totalBytes: number;
  readonly timeMs: number;
}

export const PREVIEW_LIMITS: PreviewLimits = {
  rootFiles: 1000,
  totalBytes: 32 * 1024 * 1024,
  timeMs: 300_000,
};

/** For a person who looks at their own files. */
export const UNLIMITED: PreviewLimits = { rootFiles: Infinity, totalBytes: Infinity, timeMs: 2 ** 31 - 1 };

/** What is left of the limits; each call throws when there is nothing left. */
export interface Budget {
  /** Aborted at the deadline: ends programs under way. */
  readonly signal: AbortSignal;
  /** @throws CollectiveError PREVIEW_TIMED_OUT. */
  requireTime(): void;
  /** @throws CollectiveError PREVIEW_TOO_LARGE. */
  spendBytes(bytes: number): void;
  /** How large the next file may be. */
  bytesLeft(): number;
  /** @throws CollectiveError PREVIEW_TOO_LARGE. */
  requireRoots(count: number): void;
}

/** Runs `work` within `limits`; what it still does after the deadline is of no interest. `signal` cancels it from outside. */
export async function withinLimits<Result>(
  limits: PreviewLimits,
  work: (budget: Budget) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  const deadline = Date.now() + limits.timeMs;
  const timer = new AbortController();
  const timeout = setTimeout(() => {
    timer.abort(timedOut(limits));
  }, limits.timeMs);
  const stop = signal === undefined ? timer.signal : AbortSignal.any([timer.signal, signal]);
  let bytesLeft = limits.totalBytes;
  const budget: Budget = {
    signal: stop,
    requireTime: () => {
      stop.throwIfAborted();
      // While something is computed no timer fires: the clock is asked as well.
      if (Date.now() > deadline) throw timedOut(limits);
    },
    bytesLeft: () => bytesLeft,
    spendBytes: (bytes) => {
      bytesLeft -= bytes;
      if (bytesLeft < 0) throw tooLarge(`its files have more than ${limits.totalBytes} bytes`);
    },
    requireRoots: (count) => {
      if (count > limits.rootFiles)
        throw tooLarge(`it has ${count} root files, and at most ${limits.rootFiles} are previewed`);
    },
  };
  const aborted = new Promise<never>((_, reject) => {
    stop.addEventListener("abort", () => {
      reject(stop.reason as Error);
    });
  });
  const working = work(budget);
  working.catch(() => undefined); // after the deadline nobody listens
  try {
    return await Promise.race([working, aborted]);
  } finally {
    clearTimeout(timeout);
  }
}

function timedOut({ timeMs }: PreviewLimits): CollectiveError {
  return new CollectiveError("PREVIEW_TIMED_OUT", `the preview took longer than ${timeMs / 1000} s`, {
    data: { timeMs },
    hint: "an import may be large or slow; a second run finds what was fetched until now",
  });
}

function tooLarge(what: string): CollectiveError {
  return new CollectiveError("PREVIEW_TOO_LARGE", `this is too large for a preview: ${what}`, {
    hint: "split the site, or move definitions into appliance repositories and import them",
  });
}
