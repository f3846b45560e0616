/** `cui plan`: what a start or an update would do now. Takes no lease, changes nothing, asks for no secret. */
import { ACTION_KINDS } from "../../plan/action-kinds.ts";
import type { ComponentPath } from "../../cvl/tree.ts";
import type { NetworkDescription } from "../../network/description.ts";
import { requireComplete } from "../../network/missing.ts";
import type { Plan } from "../../plan/plan.ts";
import type { MachineImage } from "../../appliance/machine-image.ts";
import type { StateStore } from "../records/state-store.ts";
import { observeNetwork } from "../observe/observe-network.ts";
import type { Appliance } from "./root-appliance.ts";
import { placeChange } from "./choose-hosts.ts";
import {
  evaluateAsShown,
  evaluateKept,
  evaluateWanted,
  planChange,
  type ChangeQuestion,
  type PlannedChange,
} from "./plan-change.ts";
import { refuse } from "./refuse.ts";
import { requireState } from "../observe/require-state.ts";
import type { Inventory } from "../../site/inventory.ts";
import { readNetwork } from "../records/state.ts";
import { withObservedHosts, type ConnectHost, type ObservedHosts } from "../observe/observe-hosts.ts";

export interface PreviewOptions {
  readonly networkId: string;
  readonly component?: ComponentPath | undefined;
  /** As for a change. */
  readonly newDataDisks?: ReadonlySet<string> | undefined;
  readonly inventory: Inventory;
  readonly loadAppliance: () => Promise<Appliance>;
  /** Bytes to fetch for each machine whose image is not what runs; undefined: nobody counts. */
  readonly countBytes?: (
    wanted: ReadonlyMap<ComponentPath, ImagePair>,
  ) => Promise<ReadonlyMap<ComponentPath, number>>;
  readonly store: StateStore;
  readonly loadMacKey: () => Promise<Uint8Array>;
  readonly connect: ConnectHost;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The images a machine should have and has. */
export interface ImagePair {
  readonly wanted: MachineImage;
  readonly running: MachineImage | undefined;
}

/** @throws CollectiveError what the start or update would be refused with, but for what the plan's refusals say. */
export async function previewNetwork(options: PreviewOptions): Promise<Plan> {
  const { inventory, connect } = options;
  return withObservedHosts(inventory.hosts, connect, (observing) => previewWith(options, observing));
}

async function previewWith(options: PreviewOptions, observing: Promise<ObservedHosts>): Promise<Plan> {
  const { networkId, store } = options;
  const [appliance, observedHosts, macKey, snapshot] = await Promise.all([
    options.loadAppliance(),
    observing,
    options.loadMacKey(),
    store.read(),
  ]);
  const state = readNetwork(snapshot, networkId);
  requireState({ networkId, state, observedHosts, store });
  const observed = observeNetwork(networkId, state, observedHosts);
  const isOn = [...observed.machines.values()].some((machine) => machine.record.phase !== "stopped");
  const question = {
    ...options,
    kind: isOn ? ("update" as const) : ("start" as const),
    component: options.component,
    appliance,
    state,
    snapshot,
    observedHosts,
    observed,
    macKey,
  };
  const first = planPreview(question);
  if (options.countBytes === undefined) return first.plan;
  const fetchBytes = await options.countBytes(imagePairs(first));
  return planPreview({ ...question, fetchBytes }).plan;
}

/** As `decide`, but what the plan itself can say is no error: networks inside networks, what it refuses, secrets that are missing. */
function planPreview(
  question: ChangeQuestion,
): Pick<PlannedChange, "plan" | "running"> & { readonly description: NetworkDescription } {
  const first = evaluateKept(question);
  refuse(requireComplete(first.network), question.appliance.textOf);
  const wanted = evaluateWanted(question, first);
  const description = wanted.evaluated.network;
  const { plan, running } = planChange(question, wanted, evaluateAsShown(question, wanted).network);
  if (plan.refusals.length > 0) return { plan, running, description };
  return { plan: placeChange(question, plan, description).plan, running, description };
}

function imagePairs({
  plan,
  description,
  running,
}: ReturnType<typeof planPreview>): Map<ComponentPath, ImagePair> {
  const pairs = new Map<ComponentPath, ImagePair>();
  for (const { component, kind } of plan.actions) {
    const wanted = component === undefined ? undefined : description.machines[component]?.image;
    if (component === undefined || wanted === undefined || ACTION_KINDS[kind].fetches !== true) continue;
    pairs.set(component, { wanted, running: running?.machines[component]?.image });
  }
  return pairs;
}
