/** What an operation on a network that is known needs neither CVL nor a repository for: its lease, its hosts, its journal. */
import type { Inventory } from "../../site/inventory.ts";
import { DEFAULT_LIMITS, fenceOf, type Limits, type Operation } from "../change/operation.ts";
import type { Progress } from "../change/progress.ts";
import { createTimeline, type Timeline } from "../change/timeline.ts";
import {
  LOOK_BEFORE_CHANGE_MS,
  observeHosts,
  type ConnectHost,
  type ObservedHosts,
} from "../observe/observe-hosts.ts";
import type { ObservedNetwork } from "../observe/observe-network.ts";
import { beginJournal } from "../records/journal.ts";
import { acquireLease, type Lease } from "../records/lease.ts";
import type { StateStore } from "../records/state-store.ts";
import type { NetworkState } from "../records/state.ts";

export interface NetworkOperationOptions {
  readonly networkId: string;
  readonly file: string;
  readonly inventory: Inventory;
  readonly store: StateStore;
  readonly connect: ConnectHost;
  readonly progress: Progress;
  readonly timeline?: Timeline;
  readonly limits?: Partial<Limits>;
  readonly takeOver?: boolean;
}

export interface HeldNetwork {
  readonly lease: Lease;
  readonly observedHosts: ObservedHosts;
  readonly timeline: Timeline;
}

/** Releases the lease and closes the hosts however `work` ends. `command` is shown to whom is refused: `stop acme.cvl`. */
export async function underLease<Result>(
  options: NetworkOperationOptions,
  command: string,
  work: (held: HeldNetwork) => Promise<Result>,
): Promise<Result> {
  const { store, networkId, takeOver = false } = options;
  const timeline = options.timeline ?? createTimeline();
  const lease = await acquireLease({ store, networkId, command, takeOver });
  let observedHosts: ObservedHosts | undefined;
  try {
    observedHosts = await timeline.measure("hosts", () =>
      observeHosts(options.inventory.hosts, options.connect, LOOK_BEFORE_CHANGE_MS),
    );
    return await work({ lease, observedHosts, timeline });
  } finally {
    await Promise.allSettled([lease.release(), observedHosts?.close()]);
  }
}

/** Begins the journal; nothing is given out anew. */
export async function beginOperation(
  options: NetworkOperationOptions,
  { lease, observedHosts, timeline }: HeldNetwork,
  what: {
    readonly name: string;
    readonly count: number;
    readonly state: NetworkState;
    readonly observed: ObservedNetwork;
  },
): Promise<Operation> {
  const { networkId } = options;
  const message = `${networkId}: ${what.name} begins (${what.count} actions)`;
  const journal = await beginJournal({
    lease,
    operation: what.name,
    change: () => ({ message, files: new Map() }),
  });
  return {
    fence: fenceOf(lease, options.inventory),
    journal,
    observedHosts,
    observed: what.observed,
    allocation: what.state.record.allocation,
    goals: new Map(),
    records: new Map(what.state.machines),
    timeline,
    progress: options.progress,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    warnings: [],
    writes: [],
  };
}
