/**
 * How many programs run at once for clients, and who gets the next place: of those that wait the one whose address has fewest, so that
 * many requests of one client do not keep others out. A place is lost by who holds it without moving on while others wait.
 */
import type { Peer } from "./peers.ts";
import { Refusal } from "./refusal.ts";

export interface ProcessSlots {
  /**
   * Runs `work` when there is a place for the client.
   * @throws Refusal 503 when too many wait already, or when the client went away while it waited
   */
  run<Result>(work: () => Promise<Result>, client: Client): Promise<Result>;
  /** Ends the slowest of those whose place somebody has waited for too long; true when there was one. */
  relieve(limits: { readonly patienceMs: number; readonly fairBytesPerSecond: number }): boolean;
}

export interface Client {
  readonly peer: Pick<Peer, "address" | "pace" | "end">;
  /** Aborted when the client has gone. */
  readonly left: AbortSignal;
}

export interface SlotOptions {
  readonly running: number;
  readonly waiting: number;
  /** One address leaves a place, and half of what may wait, to others. */
  readonly isShared: boolean;
}

interface Waiting extends Client {
  readonly since: number;
  readonly enter: () => void;
  readonly giveUp: (why: string) => void;
}

export function processSlots({ running, waiting, isShared }: SlotOptions): ProcessSlots {
  const holders = new Set<Client>();
  /** Those whose place is being taken away. */
  const leaving = new Set<Client>();
  const queue: Waiting[] = [];
  const mostOfOne = isShared ? Math.max(1, running - 1) : running;
  const held = (address: string): number => countOf(holders, address);
  const mayEnter = ({ peer }: Client): boolean => holders.size < running && held(peer.address) < mostOfOne;
  const next = (): void => {
    for (;;) {
      const [first] = queue.filter(mayEnter).sort((a, b) => held(a.peer.address) - held(b.peer.address));
      if (first === undefined) return;
      first.enter();
    }
  };
  const enter = async (client: Client): Promise<Client> => {
    const holder = { ...client }; // one of its own: a client may hold several
    if (mayEnter(client))
      holders.add(holder); // then nobody who waits may: `next` has seen to it
    else {
      makeRoom(queue, client, isShared ? { waiting, ofOne: Math.ceil(waiting / 2) } : { waiting });
      await takeTurn(queue, client, () => holders.add(holder));
    }
    return holder;
  };
  return {
    run: async (work, client) => {
      const holder = await enter(client);
      try {
        return await work();
      } finally {
        holders.delete(holder);
        leaving.delete(holder);
        next();
      }
    },
    relieve: ({ patienceMs, fairBytesPerSecond }) => {
      const now = performance.now();
      const waiter = queue.find(({ since }) => now - since >= patienceMs);
      if (waiter === undefined || leaving.size > 0) return false;
      // The longer somebody waits, the more is asked of those inside.
      const least = (fairBytesPerSecond * (now - waiter.since)) / patienceMs;
      const [slowest] = [...holders]
        .map((holder) => ({ holder, ...holder.peer.pace(patienceMs) }))
        .filter(({ isAwaited, bytesPerSecond }) => isAwaited && bytesPerSecond < least)
        .sort((a, b) => a.bytesPerSecond - b.bytesPerSecond);
      if (slowest === undefined) return false;
      leaving.add(slowest.holder);
      slowest.holder.peer.end();
      return true;
    },
  };
}

/** Waits in `queue` until its `enter` is called, which calls `onEnter`. */
function takeTurn(queue: Waiting[], client: Client, onEnter: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      queue.splice(queue.indexOf(entry), 1);
      client.left.removeEventListener("abort", goAway);
    };
    const giveUp = (why: string): void => {
      leave();
      reject(new Refusal(503, why, { "Retry-After": "10" }));
    };
    const goAway = (): void => {
      giveUp("the client has gone");
    };
    const entry: Waiting = {
      ...client,
      since: performance.now(),
      enter: () => {
        leave();
        onEnter();
        resolve();
      },
      giveUp,
    };
    queue.push(entry);
    if (client.left.aborted) goAway();
    else client.left.addEventListener("abort", goAway);
  });
}

const TOO_MANY = "too many requests at once";

/** In a full queue a newcomer takes the place of the last of whose address most wait, if those are more than its own. */
function makeRoom(
  queue: readonly Waiting[],
  { peer }: Client,
  most: { readonly waiting: number; readonly ofOne?: number },
): void {
  const own = countOf(queue, peer.address);
  const refuse = (): never => {
    throw new Refusal(503, TOO_MANY, { "Retry-After": "10" });
  };
  if (own >= (most.ofOne ?? most.waiting)) refuse();
  if (queue.length < most.waiting) return;
  const counts = queue.map((entry) => ({ entry, count: countOf(queue, entry.peer.address) }));
  const [worst] = counts.reverse().sort((a, b) => b.count - a.count);
  if (worst === undefined || worst.count <= own + 1) return refuse();
  worst.entry.giveUp(TOO_MANY);
}

function countOf(clients: Iterable<Client>, address: string): number {
  let count = 0;
  for (const { peer } of clients) if (peer.address === address) count += 1;
  return count;
}
