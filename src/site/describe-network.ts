/** From a root file to the description of its network: load, evaluate, resolve images, build. The way of the data in one place. */
import { evaluate } from "../cvl/evaluate/evaluate.ts";
import type { ComponentPath, EvaluateOptions, InstanceTree } from "../cvl/tree.ts";
import { hasErrors, type Diagnostic } from "../diagnostics.ts";
import { buildNetwork } from "../network/build-network.ts";
import type { NetworkDescription } from "../network/description.ts";
import { collectInputs } from "../plan/digest.ts";
import type { PlanInputs } from "../plan/plan.ts";
import { resolveImages } from "../appliance/resolve-machine-images.ts";
import { loadWith } from "../appliance/load.ts";
import type { LoadedAppliance, LoadOptions } from "../appliance/loaded-appliance.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import type { Mirrors } from "../appliance/mirrors.ts";

export interface DescribeOptions extends LoadOptions, EvaluateOptions {
  /** Allow, trust, approval and blacklist, for the input digest. */
  readonly policy?: unknown;
  /** An appliance that others put into their networks, which provide what it requires. */
  readonly isPart?: boolean;
  readonly mirrors: Mirrors;
}

export interface DescribedNetwork {
  /** Undefined when `diagnostics` has an error. */
  readonly network: NetworkDescription | undefined;
  readonly loaded: LoadedAppliance;
  readonly tree: InstanceTree | undefined;
  readonly images: ReadonlyMap<ComponentPath, MachineImage>;
  /** Undefined when the program could not be linked. */
  readonly inputs: PlanInputs | undefined;
  /** Of every step, in the order of the steps; a step whose input has errors is not taken. Rendered with `loaded.textOf`. */
  readonly diagnostics: readonly Diagnostic[];
}

/** @throws CollectiveError as `loadAppliance`, when it is not the files that are wrong. */
export async function describeNetwork(options: DescribeOptions): Promise<DescribedNetwork> {
  const { mirrors } = options;
  const loaded = await loadWith(mirrors, options);
  const { program } = loaded;
  const nothing = { network: undefined, loaded, images: new Map<ComponentPath, MachineImage>() };
  if (program === undefined) {
    return { ...nothing, tree: undefined, inputs: undefined, diagnostics: loaded.diagnostics };
  }
  const inputs = collectInputs(program, options.policy ?? null);
  const evaluated = evaluate(program, options);
  const known = [...loaded.diagnostics, ...evaluated.diagnostics];
  // Values that are wrong already would only be found wrong again.
  if (hasErrors(known)) return { ...nothing, tree: evaluated.tree, inputs, diagnostics: known };
  const described = await describeTree(mirrors, { ...options, loaded, tree: evaluated.tree });
  return {
    ...described,
    loaded,
    tree: evaluated.tree,
    inputs,
    diagnostics: [...known, ...described.diagnostics],
  };
}

/** The network of a tree without mistakes: its machines' images, then how they lie together. */
export async function describeTree(
  mirrors: Mirrors,
  {
    loaded,
    tree,
    isPart = false,
  }: Pick<DescribeOptions, "isPart"> & {
    readonly loaded: Pick<LoadedAppliance, "addText">;
    readonly tree: InstanceTree;
  },
): Promise<Pick<DescribedNetwork, "network" | "images" | "diagnostics">> {
  const { images, diagnostics } = await resolveImages(mirrors, loaded, tree);
  const built = buildNetwork(tree, images, { isPart });
  const all = [...diagnostics, ...withoutUnresolved(built.diagnostics, diagnostics)];
  return { network: hasErrors(all) ? undefined : built.network, images, diagnostics: all };
}

/** Why an image could not be resolved is said once. */
function withoutUnresolved(
  diagnostics: readonly Diagnostic[],
  ofImages: readonly Diagnostic[],
): readonly Diagnostic[] {
  if (!hasErrors(ofImages)) return diagnostics;
  return diagnostics.filter(({ code }) => code !== "NETWORK_VM_UNRESOLVED");
}
