/** How many programs run at once for clients, and how many may wait for one. */
import pLimit from "p-limit";
import { Refusal } from "./refusal.ts";

export interface ProcessSlots {
  /** Runs `work` when there is a place. @throws Refusal 503 when too many wait already */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
}

export function processSlots(running: number, waiting: number): ProcessSlots {
  const limit = pLimit(running);
  return {
    run: async (work) => {
      if (limit.pendingCount >= waiting) {
        throw new Refusal(503, "too many requests at once", { "Retry-After": "10" });
      }
      return limit(work);
    },
  };
}
