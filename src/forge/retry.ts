/**
 * When a request is repeated. Octokit's own plug-ins repeat every 5xx and lost answer, so a comment whose first try
 * succeeded appears twice, and they wait as long as they are told. Here:
 * - a limit (429, 403 with Retry-After or an empty quota) was not carried out: any request waits and is repeated;
 * - a lost answer or a 5xx is repeated for reads and for writes that say the same thing twice (PUT, PATCH, DELETE, unless
 *   the caller passes `request: { retries: 0 }`); a POST is left to its caller, which looks whether it arrived (create-once.ts);
 * - tries and the sum of all waiting are bounded.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CollectiveError } from "../errors.ts";
import { forgeError, type FailedRequest } from "./forge-error.ts";
import type { RetryLimits } from "./forge.ts";

export interface RetryOptions {
  readonly limits: RetryLimits;
  /** Whether the request may be carried out twice. */
  readonly isRepeatable: boolean;
}

/** Milliseconds to wait before the next try; undefined: give up. `attempt` counts from 1, `waitedMs` is spent already. */
export function nextWait(
  failed: FailedRequest,
  { attempt, waitedMs, limits, isRepeatable }: RetryOptions & { attempt: number; waitedMs: number },
): number | undefined {
  if (attempt > limits.retries) return undefined;
  const pause = failed.isAmbiguous && isRepeatable ? limits.pauseMs * 2 ** (attempt - 1) : undefined;
  const wait = failed.retryAfterMs ?? pause;
  return wait === undefined || waitedMs + wait > limits.waitMs ? undefined : wait;
}

/**
 * Runs `request` until it succeeds or may not be repeated; `describe` says what an error is.
 * @throws CollectiveError FORGE_….
 */
export async function withRetries<Result>(
  request: () => Promise<Result>,
  { describe, ...options }: RetryOptions & { describe: (error: unknown) => FailedRequest },
): Promise<Result> {
  let waitedMs = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request();
    } catch (error) {
      if (error instanceof CollectiveError) throw error;
      const failed = describe(error);
      const wait = nextWait(failed, { attempt, waitedMs, ...options });
      if (wait === undefined) throw forgeError(failed);
      waitedMs += wait;
      await sleep(wait);
    }
  }
}

/** Lets `burst` callers pass at once, and then one every `intervalMs`; a pause refills the burst. */
export function createPace({
  intervalMs,
  burst,
}: {
  intervalMs: number;
  burst: number;
}): () => Promise<void> {
  let fullAt = 0;
  return async () => {
    const now = Date.now();
    fullAt = Math.max(now, fullAt) + intervalMs;
    const wait = fullAt - now - burst * intervalMs;
    if (wait > 0) await sleep(wait);
  };
}
