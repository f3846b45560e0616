/** The memory of all bodies that are read before their program starts: who gets some, and who loses it. */
import type { ServeLimits } from "./limits.ts";
import type { Peer } from "./peers.ts";
import { Refusal } from "./refusal.ts";

export interface BodyMemory {
  /** Of one request, nothing yet. */
  open(peer: Owner): BodyShare;
}

export interface BodyShare {
  /** Where there is none left, those who are slow lose theirs, and their connection. @throws Refusal 503 when nobody is */
  take(bytes: number): void;
  /** All of it. */
  giveBack(): void;
}

export type BodyMemoryOptions = Pick<ServeLimits, "patienceMs" | "fairBytesPerSecond"> & {
  readonly maxBytes: number;
  readonly maxBytesOfOne: number;
};

type Owner = Pick<Peer, "address" | "pace" | "end">;

interface Share {
  readonly peer: Owner;
  bytes: number;
}

export function createBodyMemory(options: BodyMemoryOptions): BodyMemory {
  const shares = new Set<Share>();
  return {
    open: (peer) => {
      const share = { peer, bytes: 0 };
      return {
        take: (bytes) => {
          makeRoom(shares, share, bytes, options);
          share.bytes += bytes;
          shares.add(share);
        },
        giveBack: () => {
          shares.delete(share);
        },
      };
    },
  };
}

function makeRoom(shares: Set<Share>, share: Share, bytes: number, options: BodyMemoryOptions): void {
  for (;;) {
    const all = [...shares];
    const own = all.filter(({ peer }) => peer.address === share.peer.address);
    const isOwnFull = bytesOf(own) + bytes > options.maxBytesOfOne;
    if (!isOwnFull && bytesOf(all) + bytes <= options.maxBytes) return;
    const slowest = slowestOf(
      (isOwnFull ? own : all).filter((other) => other !== share),
      options,
    );
    if (slowest === undefined) {
      throw new Refusal(503, "too many large requests at once", { "Retry-After": "10" });
    }
    shares.delete(slowest);
    slowest.peer.end();
  }
}

function slowestOf(
  shares: readonly Share[],
  { patienceMs, fairBytesPerSecond }: BodyMemoryOptions,
): Share | undefined {
  const [slowest] = shares
    .map((share) => ({ share, ...share.peer.pace(patienceMs) }))
    .filter(({ isAwaited, bytesPerSecond }) => isAwaited && bytesPerSecond < fairBytesPerSecond)
    .sort((a, b) => a.bytesPerSecond - b.bytesPerSecond);
  return slowest?.share;
}

function bytesOf(shares: readonly Share[]): number {
  return shares.reduce((sum, { bytes }) => sum + bytes, 0);
}
