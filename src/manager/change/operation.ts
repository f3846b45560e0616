/** What the steps of one operation share. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import type { Fence, InterfaceSpec, MachineSpec } from "../../host/host.ts";
import type { MachineDescription } from "../../network/description.ts";
import type { Inventory } from "../../site/inventory.ts";
import type { ObservedNetwork } from "../observe/observe-network.ts";
import { interfacePath, type NetworkAllocation } from "../records/allocation.ts";
import type { Lease } from "../records/lease.ts";
import type { Journal } from "../records/journal.ts";
import type { Progress } from "./progress.ts";
import type { Incarnation, MachineRecord } from "../records/state.ts";
import type { ObservedHosts } from "../observe/observe-hosts.ts";
import type { Timeline } from "./timeline.ts";

/** What a machine is to become. */
export interface MachineGoal {
  readonly host: string;
  readonly incarnation: Incarnation;
  /** Data disks that are not there yet; any other that its host does not find is an error. */
  readonly newDevices: ReadonlySet<string>;
  /** Clear: handed to the host, never kept or shown. */
  readonly parameterLines: readonly string[];
  /** What it is rolled back to when it does not become ready; undefined for a machine that did not run. */
  readonly previous:
    { readonly incarnation: Incarnation; readonly parameterLines: readonly string[] } | undefined;
}

export interface Limits {
  /** How long a guest may take to say READY=1. */
  readonly readyMs: number;
  /** How long a guest may take to shut down before it is destroyed. */
  readonly stopMs: number;
  /** How long a guest may take to say RELOADED=1. */
  readonly reloadMs: number;
  /** Steps at once. */
  readonly parallel: number;
}

export const DEFAULT_LIMITS: Limits = { readyMs: 300_000, stopMs: 180_000, reloadMs: 30_000, parallel: 16 };

export interface Operation {
  readonly fence: Fence;
  readonly journal: Journal;
  readonly observedHosts: ObservedHosts;
  readonly observed: ObservedNetwork;
  readonly allocation: NetworkAllocation;
  readonly goals: ReadonlyMap<ComponentPath, MachineGoal>;
  /** As they are in the state; each step replaces its own. */
  readonly records: Map<ComponentPath, MachineRecord>;
  readonly timeline: Timeline;
  readonly progress: Progress;
  readonly limits: Limits;
  readonly warnings: string[];
  /** Ends of steps on their way into the state; awaited when the operation ends. */
  readonly writes: Promise<void>[];
}

/** What the holder of a lease shows to a host. */
export function fenceOf(
  { networkId, token, command }: Pick<Lease, "networkId" | "token" | "command">,
  { site }: Inventory,
): Fence {
  return { networkId, token, command, ...(site === undefined ? {} : { site }) };
}

export function machineSpec(
  operation: Pick<Operation, "fence" | "allocation">,
  incarnation: Incarnation,
  parameterLines: readonly string[],
): MachineSpec {
  const { description } = incarnation;
  return {
    id: { networkId: operation.fence.networkId, component: description.path },
    image: description.image,
    dataDisks: description.dataDisks,
    interfaces: interfaceSpecs(description, operation.allocation),
    parameterLines,
    plan: incarnation.plan,
  };
}

export function requireGoal(operation: Operation, component: ComponentPath): MachineGoal {
  const goal = operation.goals.get(component);
  if (goal === undefined) throw new Error(`no goal for ${component}`);
  return goal;
}

function interfaceSpecs(description: MachineDescription, allocation: NetworkAllocation): InterfaceSpec[] {
  return Object.entries(description.interfaces).map(([name, { segment }]) => {
    const path = interfacePath(description.path, name);
    const mac = allocation.interfaces[path]?.mac;
    const port = segment === null ? null : allocation.segments[segment];
    if (mac === undefined || port === undefined) {
      throw new CollectiveError("UTILITY_STATE_FORMAT", `the state has no address for ${path}`, {
        hint: "run `cui update` to allocate it anew",
      });
    }
    const ip = allocation.interfaces[path]?.ip;
    return {
      name,
      mac,
      port: port === null ? null : { tag: port.tag },
      ...(ip == null ? {} : { ip }),
    };
  });
}
