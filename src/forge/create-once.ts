/** Making something on GitHub that must not be there twice, although answers get lost and others run at the same time. */
import { setTimeout as sleep } from "node:timers/promises";
import { alreadyExists, isAmbiguous } from "./forge-error.ts";
import type { Forge } from "./forge.ts";

export interface Once<Item> {
  /** Looks for it on GitHub, every time anew. */
  readonly find: () => Promise<Item | undefined>;
  readonly create: () => Promise<Item>;
}

/**
 * What `find` finds, else what `create` makes. When nobody knows whether `create` succeeded (a lost answer, a 5xx) it is
 * looked for again before it is tried again; so it is when GitHub says that it exists.
 */
export async function createOnce<Item>(
  { limits }: Pick<Forge, "limits">,
  { find, create }: Once<Item>,
): Promise<{ readonly item: Item; readonly isNew: boolean }> {
  for (let attempt = 1; ; attempt += 1) {
    const item = await find();
    if (item !== undefined) return { item, isNew: attempt > 1 };
    try {
      return { item: await create(), isNew: true };
    } catch (error) {
      const isWorthLooking = isAmbiguous(error) || alreadyExists(error);
      if (!isWorthLooking || attempt > limits.retries) throw error;
      await sleep(limits.pauseMs * 2 ** (attempt - 1));
    }
  }
}
