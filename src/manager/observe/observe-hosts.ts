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

export type ConnectHost = (address: string) => Promise<Host>;

/** Whoever calls it closes what it resolves to; it never rejects. */
export async function observeHosts(
  hosts: readonly InventoryHost[],
  connect: ConnectHost,
): Promise<ObservedHosts> {
  const reached = new Map<string, ReachedHost>();
  const missed = new Map<string, MissedHost>();
  const connections: Host[] = [];
  await Promise.all(
    hosts.map(async (entry) => {
      try {
        const connection = await connect(entry.address);
        connections.push(connection);
        const [description, inventory] = await Promise.all([connection.describe(), connection.inventory()]);
        reached.set(entry.name, { entry, connection, description, inventory });
      } catch (error) {
        missed.set(entry.name, { entry, error: asCollectiveError(error, entry) });
      }
    }),
  );
  return {
    reached,
    missed,
    close: async () => {
      await Promise.allSettled(connections.map((connection) => connection.close()));
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
