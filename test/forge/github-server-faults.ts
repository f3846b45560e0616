/** Failing on demand: what the next requests of an operation meet. */
import type { Reply } from "./github-server-call.ts";

export interface Fault {
  /** How often; default once. */
  readonly times?: number;
  /** So many requests of the operation pass before. */
  readonly skip?: number;
  /** Sent in place of carrying the request out. */
  readonly reply?: Reply;
  /**
   * The connection breaks before the request is carried out, or after (what a timeout whose first try succeeded looks
   * like), or the request is carried out and never answered.
   */
  readonly drop?: "before" | "after" | "never-answer";
  /** Something that happens meanwhile: a head that moves. */
  readonly before?: () => Promise<unknown>;
  readonly after?: () => Promise<unknown>;
}

/** An error reply as GitHub words it. */
export function failure(status: number, message = `Injected ${status}`): Fault {
  return { reply: { status, body: { message, documentation_url: "https://docs.github.com/rest" } } };
}

/** The hourly quota is used up until `resetSeconds` (since 1970). */
export function quotaUsedUp(resetSeconds: number): Fault {
  const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(resetSeconds) };
  return { reply: { status: 403, headers, body: { message: "API rate limit exceeded for installation." } } };
}

export function secondaryLimit(status: 403 | 429, retryAfterSeconds: number): Fault {
  const body = {
    message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
  };
  return { reply: { status, headers: { "retry-after": String(retryAfterSeconds) }, body } };
}

export function createFaults(): {
  add(operation: string, fault: Fault): void;
  take(operation: string | undefined): Fault | undefined;
} {
  const pending: { operation: string; fault: Fault; skip: number; left: number }[] = [];
  return {
    add: (operation, fault) => {
      pending.push({ operation, fault, skip: fault.skip ?? 0, left: fault.times ?? 1 });
    },
    take: (operation) => {
      const entry = pending.find((candidate) => candidate.operation === operation && candidate.left > 0);
      if (entry === undefined) return undefined;
      if (entry.skip > 0) {
        entry.skip -= 1;
        return undefined;
      }
      entry.left -= 1;
      return entry.fault;
    },
  };
}
