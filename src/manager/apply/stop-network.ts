/** `cui stop`: what runs is stopped in the reverse of the boot order. Needs neither the CVL file nor a repository. */
import type { ComponentPath } from "../../cvl/tree.ts";
import { CollectiveError } from "../../errors.ts";
import { isWithin, machineName } from "../../network/paths.ts";
import { planStop } from "../../plan/diff-networks.ts";
import type { Action, Plan } from "../../plan/plan.ts";
import { observeNetwork, type ObservedNetwork } from "../observe/observe-network.ts";
import { applyActions, requireAllDone, type ActionOutcome } from "./apply.ts";
import {
  beginOperation,
  underLease,
  type HeldNetwork,
  type NetworkOperationOptions,
} from "./network-operation.ts";
import { describeRunning, readNetwork, type NetworkState } from "../records/state.ts";
import { refuseUnknownNetwork } from "../observe/require-state.ts";
import { requireHost, type ObservedHosts } from "../observe/observe-hosts.ts";
import type { TimelineSummary } from "../change/timeline.ts";

export interface StopOptions extends NetworkOperationOptions {
  readonly component?: ComponentPath | undefined;
}

export interface StopResult {
  readonly networkId: string;
  readonly outcomes: readonly ActionOutcome[];
  readonly warnings: readonly string[];
  readonly timeline: TimelineSummary;
}

/** @throws CollectiveError UTILITY_NETWORK_UNKNOWN, UTILITY_STATE_LOST, UTILITY_UNKNOWN_COMPONENT, UTILITY_HOST_UNREACHABLE before anything is stopped. */
export async function stopNetwork(options: StopOptions): Promise<StopResult> {
  const { store, networkId, component } = options;
  const known = readNetwork(await store.read(), networkId);
  if (known === undefined) return refuseUnknownNetwork(options);
  requireKnown(options, known);
  const command = `stop ${options.file}${component === undefined ? "" : ` ${component}`}`;
  return underLease(options, command, (held) => stopWith(options, held));
}

async function stopWith(options: StopOptions, held: HeldNetwork): Promise<StopResult> {
  const { networkId } = options;
  const { observedHosts, lease } = held;
  const state = requireKnown(options, readNetwork(await options.store.read(), networkId));
  const observed = observeNetwork(networkId, state, observedHosts);
  const actions = chooseActions(options, { state, observed });
  for (const { component } of actions)
    requireReachable({ component: component ?? "", observedHosts, observed });
  const operation = await beginOperation(options, held, {
    name: "stop",
    count: actions.length,
    state,
    observed,
  });
  const outcomes = await applyActions(operation, actions);
  await Promise.all([...operation.writes, lease.release()]);
  requireAllDone(outcomes);
  return { networkId, outcomes, warnings: operation.warnings, timeline: held.timeline.summary() };
}

/** Every machine the state does not hold for stopped, and every domain nobody knows, in the order of a stop. */
function chooseActions(
  { component }: StopOptions,
  { state, observed }: { state: NetworkState; observed: ObservedNetwork },
): readonly Action[] {
  const isChosen = (path: ComponentPath): boolean => component === undefined || isWithin(path, component);
  const machines = [...observed.machines.values()].flatMap(
    ({ runs, record }) => runs?.description ?? record.current?.description ?? record.next?.description ?? [],
  );
  const orphans = new Set(observed.orphans.map((orphan) => orphan.component));
  const stopped = new Set(
    [...observed.machines.values()]
      .filter(
        ({ component: path, record, state: live }) =>
          record.phase === "stopped" && live === "absent" && !orphans.has(path),
      )
      .map((machine) => machine.component),
  );
  const plan: Plan = planStop(describeRunning(state.record, machines), { stopped });
  const described = new Set(machines.map((machine) => machine.path));
  const unknown = [...orphans].filter((path) => !described.has(path)).map(orphanAction);
  return [...plan.actions, ...unknown].filter((action) => isChosen(action.component ?? ""));
}

function orphanAction(component: ComponentPath): Action {
  return {
    id: `stop ${component === "" ? "." : component}`,
    kind: "stop",
    class: "restart",
    component,
    reasons: [{ text: "it runs, and the state does not know it" }],
    after: [],
  };
}

function requireReachable(options: {
  component: ComponentPath;
  observedHosts: ObservedHosts;
  observed: ObservedNetwork;
}): void {
  const machine = options.observed.machines.get(options.component);
  if (machine?.state !== "unseen") return;
  requireHost(
    options.observedHosts,
    machine.host,
    `${machineName(options.component)} may run there and cannot be stopped`,
  );
}

function requireKnown(options: StopOptions, state: NetworkState | undefined): NetworkState {
  const { component, file } = options;
  if (state === undefined) {
    throw new CollectiveError("UTILITY_NETWORK_UNKNOWN", `${file} was never started here`, {
      hint: "cui status lists what was; CUI_STATE names the state repository",
    });
  }
  if (component !== undefined && ![...state.machines.keys()].some((path) => isWithin(path, component))) {
    throw new CollectiveError(
      "UTILITY_UNKNOWN_COMPONENT",
      `${state.record.appliance} has no component ${component}`,
      {
        hint: `its machines are ${[...state.machines.keys()].slice(0, 20).join(", ")}`,
      },
    );
  }
  return state;
}
