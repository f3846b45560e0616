/** A look at every host of the inventory: connected once, in parallel; what cannot be reached is said, not thrown. */
import { CollectiveError } from "../../errors.ts";
import type { Host, HostDescription, HostInventory } from "../../host/host.ts";
import type { InventoryHost } from "../../site/inventory.ts";

export interface ReachedHost {
  readonly entry: InventoryHost;
  readonly connection: Host;
  readonly description: HostDescription;
  readonly inventory: HostInventory;
}

export interface MissedHost {
  readonly entry: InventoryHost;
  readonly error: CollectiveError;
}

export interface ObservedHosts {
  readonly reached: ReadonlyMap<string, ReachedHost>;
  readonly missed: ReadonlyMap<string, MissedHost>;
  close(): Promise<void>;
}

/** `signal` gives the attempt up. */
export type ConnectHost = (address: string, options?: { readonly signal?: AbortSignal }) => Promise<Host>;

/** How long a host may take to say what it has: where somebody only looks, and before something is changed. */
export const LOOK_MS = 3000;
export const LOOK_BEFORE_CHANGE_MS = 10_000;

/** Whoever calls it closes what it resolves to; it never rejects. A host that takes longer than `timeoutMs` is missed. */
export async function observeHosts(
  hosts: readonly InventoryHost[],
  connect: ConnectHost,
  timeoutMs: number = LOOK_MS,
): Promise<ObservedHosts> {
  const reached = new Map<string, ReachedHost>();
  const missed = new Map<string, MissedHost>();
  const connections: Host[] = [];
  const patience = startPatience(timeoutMs);
  await Promise.all(
    hosts.map(async (entry) => {
      try {
        const look = lookAt(entry, { connect, connections, signal: patience.signal });
        reached.set(entry.name, await Promise.race([look, patience.over]));
      } catch (error) {
        missed.set(entry.name, { entry, error: asCollectiveError(error, entry) });
      }
    }),
  );
  patience.end();
  return {
    reached,
    missed,
    close: async () => {
      await Promise.allSettled(connections.map((connection) => connection.close()));
    },
  };
}

async function lookAt(
  entry: InventoryHost,
  options: { readonly connect: ConnectHost; readonly connections: Host[]; readonly signal: AbortSignal },
): Promise<ReachedHost> {
  const { connections, signal } = options;
  const connection = await options.connect(entry.address, { signal });
  if (signal.aborted) await connection.close();
  else connections.push(connection);
  const [description, inventory] = await Promise.all([connection.describe(), connection.inventory()]);
  return { entry, connection, description, inventory };
}

const TICK_MS = 50;

/**
 * `over` rejects after `timeoutMs`. Time in which this process was too busy to hear an answer is not counted: evaluating a large
 * network beside the look makes no host late.
 */
export function startPatience(timeoutMs: number): {
  readonly over: Promise<never>;
  readonly signal: AbortSignal;
  end(): void;
} {
  const controller = new AbortController();
  const { promise: over, reject } = Promise.withResolvers<never>();
  over.catch(() => undefined); // without a host nobody waits for it
  let leftMs = timeoutMs;
  let lastAt = performance.now();
  const ticks = setInterval(() => {
    const now = performance.now();
    leftMs -= Math.min(now - lastAt, 2 * TICK_MS);
    lastAt = now;
    if (leftMs > 0) return;
    clearInterval(ticks);
    reject(
      new CollectiveError("HOST_UNREACHABLE", `it has not answered within ${timeoutMs / 1000} s`, {
        hint: "does its host manager hang, or libvirt there? `cui host check` on the host says",
      }),
    );
    controller.abort();
  }, TICK_MS);
  return {
    over,
    signal: controller.signal,
    end: () => {
      clearInterval(ticks);
    },
  };
}

/**
 * Looks at the hosts while `work` does something else, and closes the connections however that ends: what is left open keeps
 * the process alive.
 */
export async function withObservedHosts<Result>(
  hosts: readonly InventoryHost[],
  connect: ConnectHost,
  work: (observing: Promise<ObservedHosts>) => Promise<Result>,
): Promise<Result> {
  const observing = observeHosts(hosts, connect);
  try {
    return await work(observing);
  } finally {
    await (await observing).close();
  }
}

/** The connection to a host that must be there. @throws CollectiveError UTILITY_HOST_UNREACHABLE */
export function requireHost(observedHosts: ObservedHosts, name: string, need: string): Host {
  const host = observedHosts.reached.get(name);
  if (host !== undefined) return host.connection;
  const missed = observedHosts.missed.get(name);
  throw new CollectiveError(
    "UTILITY_HOST_UNREACHABLE",
    `${need}, but host ${name} ${missed === undefined ? "is not in utility.yaml" : `cannot be used: ${missed.error.message}`}`,
    {
      cause: missed?.error,
      data: { host: name, code: missed?.error.code },
      hint:
        missed?.error.hint ?? "bring the host back, or add it again with `cui host add`; nothing was changed",
    },
  );
}

function asCollectiveError(error: unknown, entry: InventoryHost): CollectiveError {
  if (error instanceof CollectiveError) return error;
  return new CollectiveError("UTILITY_HOST_UNREACHABLE", `${entry.address}: ${String(error)}`, {
    cause: error,
  });
}
