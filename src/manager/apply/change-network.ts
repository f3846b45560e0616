/** `cui start` and `cui update`: decides under a lease, prepares, reserves, carries out. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { Plan } from "../../plan/plan.ts";
import type { ShareObjects } from "../../appliance/share-objects.ts";
import type { StateSnapshot } from "../records/state-snapshot.ts";
import type { StateChange, StateStore } from "../records/state-store.ts";
import { isServing, observeNetwork, type ObservedNetwork } from "../observe/observe-network.ts";
import type { Appliance } from "../change/root-appliance.ts";
import { applyActions, requireAllDone, type ActionOutcome } from "./apply.ts";
import { reservations } from "../placement/capacity.ts";
import { decide, type Decision } from "../change/decide.ts";
import type { Inventory } from "../../site/inventory.ts";
import { beginJournal } from "../records/journal.ts";
import { acquireLease, type Lease } from "../records/lease.ts";
import { DEFAULT_LIMITS, fenceOf, type Limits, type Operation } from "../change/operation.ts";
import { requireState } from "../observe/require-state.ts";
import { prepareImages } from "./prepare-images.ts";
import type { Progress } from "../change/progress.ts";
import { releaseRemoved } from "../change/release-removed.ts";
import {
  listNetworks,
  machineFile,
  machineText,
  networkFile,
  readNetwork,
  readNetworkRecord,
  STATE_FORMAT,
  toFile,
  type MachineRecord,
  type NetworkRecord,
  type NetworkState,
} from "../records/state.ts";
import {
  LOOK_BEFORE_CHANGE_MS,
  observeHosts,
  type ConnectHost,
  type ObservedHosts,
} from "../observe/observe-hosts.ts";
import { createTimeline, type Timeline, type TimelineSummary } from "../change/timeline.ts";

export interface ChangeOptions {
  readonly kind: "start" | "update";
  readonly networkId: string;
  /** Folder of the site and the root file in it, for the record. */
  readonly site: string;
  readonly file: string;
  readonly component?: ComponentPath | undefined;
  /** Missing data disks to make anew, empty, `w:vdb`. */
  readonly newDataDisks?: ReadonlySet<string> | undefined;
  readonly inventory: Inventory;
  /** Loads the root file; runs beside the look at the hosts. */
  readonly loadAppliance: () => Promise<Appliance>;
  readonly store: StateStore;
  readonly loadMacKey: () => Promise<Uint8Array>;
  readonly connect: ConnectHost;
  /** Brings objects of images to where hosts on this machine find them; without it they fetch by themselves. */
  readonly shareObjects?: ShareObjects | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly progress: Progress;
  readonly timeline?: Timeline;
  readonly limits?: Partial<Limits>;
  readonly takeOver?: boolean;
  /** Called when everything was decided and nothing done yet; a rejection ends it there. */
  readonly onDecided?: (plan: Plan, hosts: HostsBefore) => Promise<void>;
}

/** Where each machine is, or was last: its data stays there. */
export type HostsBefore = ReadonlyMap<ComponentPath, string>;

export interface ChangeResult {
  readonly networkId: string;
  readonly plan: Plan;
  readonly outcomes: readonly ActionOutcome[];
  readonly warnings: readonly string[];
  /** Components whose changes `start` left to `update`. */
  readonly pending: readonly ComponentPath[];
  readonly leftStopped: readonly ComponentPath[];
  readonly hosts: Readonly<Record<ComponentPath, string>>;
  readonly timeline: TimelineSummary;
}

/** Others change what is free while images are fetched: then it is decided again, this often. */
const MAX_DECISIONS = 10;

/**
 * Resolves when everything runs as wanted.
 * @throws CollectiveError UTILITY_INCOMPLETE when some of it failed; what was done stays done and a second run goes on from
 *   there. Any other error came before anything was changed.
 */
export async function changeNetwork(options: ChangeOptions): Promise<ChangeResult> {
  const timeline = options.timeline ?? createTimeline();
  const loading = timeline.measure("load", options.loadAppliance);
  loading.catch(() => undefined); // seen below, unless there is no lease
  const lease = await timeline.measure("lease", () =>
    acquireLease({
      store: options.store,
      networkId: options.networkId,
      command: `${options.kind} ${options.file}${options.component === undefined ? "" : ` ${options.component}`}`,
      takeOver: options.takeOver ?? false,
    }),
  );
  let observedHosts: ObservedHosts | undefined;
  try {
    const [appliance, found, macKey] = await allOrFirstError([
      loading,
      timeline.measure(
        "hosts",
        async () =>
          (observedHosts = await observeHosts(
            options.inventory.hosts,
            options.connect,
            LOOK_BEFORE_CHANGE_MS,
          )),
      ),
      options.loadMacKey(),
    ]);
    return await changeWith({ ...options, timeline, lease, observedHosts: found, appliance, macKey });
  } finally {
    await Promise.allSettled([lease.release(), observedHosts?.close()]);
  }
}

interface Change extends ChangeOptions {
  readonly timeline: Timeline;
  readonly lease: Lease;
  readonly observedHosts: ObservedHosts;
  readonly appliance: Appliance;
  readonly macKey: Uint8Array;
}

async function changeWith(change: Change): Promise<ChangeResult> {
  const { decision, operation } = await decideAndReserve(change);
  const outcomes = await change.timeline.measure("apply", () =>
    applyActions(operation, decision.plan.actions),
  );
  if (change.kind === "update") await releaseRemoved(change.lease, decision.description);
  await Promise.all([...operation.writes, change.lease.release()]);
  requireAllDone(outcomes);
  return {
    networkId: change.networkId,
    plan: decision.plan,
    outcomes,
    warnings: operation.warnings,
    pending: decision.pending,
    leftStopped: decision.leftStopped,
    hosts: Object.fromEntries([...operation.records].map(([path, record]) => [path, record.host])),
    timeline: change.timeline.summary(),
  };
}

/** Images are on the hosts before the state says that anything will change: what goes wrong until then leaves no trace. */
async function decideAndReserve(change: Change): Promise<{ decision: Decision; operation: Operation }> {
  const { networkId, lease, observedHosts, timeline, store } = change;
  const fence = fenceOf(lease, change.inventory);
  for (let attempt = 0; attempt < MAX_DECISIONS; attempt++) {
    const snapshot = await store.read();
    const state = readNetwork(snapshot, networkId);
    requireState({ networkId, state, observedHosts, store });
    const observed = observeNetwork(networkId, state, observedHosts);
    requireKnown(change, observed);
    const decision = await timeline.measure("decide", () =>
      Promise.resolve(
        decide({ ...change, component: change.component, state, snapshot, observed, token: lease.token }),
      ),
    );
    await prepareImages({ ...change, fence, decision });
    await change.onDecided?.(decision.plan, hostsBefore(observed));
    const records = settledRecords(state, observed);
    try {
      const journal = await timeline.measure("reserve", () =>
        beginJournal({
          lease,
          operation: change.kind,
          change: (now) => reserve({ change, decision, records, state, basis: snapshot, now }),
        }),
      );
      const limits = { ...DEFAULT_LIMITS, ...change.limits };
      const operation: Operation = {
        fence,
        journal,
        observedHosts,
        observed,
        allocation: decision.allocation,
        goals: decision.goals,
        records,
        timeline,
        progress: change.progress,
        limits,
        warnings: [],
        writes: [],
      };
      return { decision, operation };
    } catch (error) {
      if (error !== OUTDATED) throw error;
    }
  }
  throw new CollectiveError("STATE_CONFLICT", "other networks changed what is free again and again", {
    hint: "run the command again",
  });
}

function hostsBefore({ machines }: ObservedNetwork): HostsBefore {
  return new Map([...machines].map(([component, { host }]) => [component, host]));
}

const OUTDATED = new Error("decided on an outdated state");

/** The operation's first commit: addresses, and a place for every machine that will be started. */
function reserve(options: {
  change: Change;
  decision: Decision;
  records: Map<ComponentPath, MachineRecord>;
  state: NetworkState | undefined;
  basis: StateSnapshot;
  now: StateSnapshot;
}): StateChange {
  const { change, decision, records, basis, now } = options;
  const { networkId } = change;
  if (claims(basis, networkId) !== claims(now, networkId)) throw OUTDATED;
  for (const { component, kind } of decision.plan.actions) {
    const goal = component === undefined ? undefined : decision.goals.get(component);
    if (component === undefined || goal === undefined || kind !== "start") continue;
    const current = records.get(component)?.current ?? null;
    records.set(component, {
      component,
      host: goal.host,
      phase: "starting",
      current,
      next: goal.incarnation,
    });
  }
  const { description, allocation } = decision;
  const record: NetworkRecord = {
    format: STATE_FORMAT,
    id: networkId,
    site: change.site,
    file: change.file,
    appliance: description.appliance,
    isNetwork: description.isNetwork,
    allocation,
    segments: { ...options.state?.record.segments, ...description.segments },
    networks: description.networks,
  };
  const files = new Map<string, string>([[networkFile(networkId), toFile(record)]]);
  for (const machine of records.values())
    files.set(machineFile(networkId, machine.component), machineText(machine));
  return { message: `${networkId}: ${change.kind} begins (${decision.plan.actions.length} actions)`, files };
}

/** What other networks hold: the decision stands as long as it is the same. */
function claims(snapshot: StateSnapshot, networkId: string): string {
  const others = listNetworks(snapshot).filter((id) => id !== networkId);
  const allocations = others.map((id) => readNetworkRecord(snapshot, id)?.allocation);
  return `${reservations(snapshot, networkId)}\n${JSON.stringify(allocations)}`;
}

/** Records as the hosts show them: what a manager that died left behind is settled by the labels of what runs. */
function settledRecords(
  state: NetworkState | undefined,
  observed: ObservedNetwork,
): Map<ComponentPath, MachineRecord> {
  const records = new Map(state?.machines);
  for (const machine of observed.machines.values()) {
    if (machine.state === "unseen" || machine.runs === null || !isServing(machine)) continue;
    records.set(machine.component, {
      ...machine.record,
      phase: "running",
      current: machine.runs,
      next: null,
    });
  }
  return records;
}

/** `update` is for what runs. */
function requireKnown(change: Change, observed: ObservedNetwork): void {
  if (change.kind === "start" || change.component !== undefined) return;
  const isOn = [...observed.machines.values()].some((machine) => machine.record.phase !== "stopped");
  if (isOn) return;
  throw new CollectiveError("UTILITY_NOT_RUNNING", `${change.file} does not run`, {
    hint: `cui start ${change.file} starts it, with the newest state of its files`,
  });
}

/** Like Promise.all, but nothing is left running when one of them rejects. */
async function allOrFirstError<const Values extends readonly Promise<unknown>[]>(
  promises: Values,
): Promise<{ -readonly [Key in keyof Values]: Awaited<Values[Key]> }> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
