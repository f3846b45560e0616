/** What the root file says, ready to be evaluated with more and more of its values known. */
import { evaluate } from "../../cvl/evaluate/evaluate.ts";
import type { LinkedProgram } from "../../cvl/link/program.ts";
import type { ComponentPath, EvaluateOptions, InstanceTree } from "../../cvl/tree.ts";
import type { TextOf } from "../../diagnostics.ts";
import { buildNetwork } from "../../network/build-network.ts";
import type { NetworkDescription } from "../../network/description.ts";
import type { PlanInputs, PlanWarning } from "../../plan/plan.ts";
import type { MachineImage } from "../../appliance/machine-image.ts";
import { refuse } from "./refuse.ts";

export interface Evaluated {
  readonly network: NetworkDescription;
  /** Holds the clear values of what was supplied: never stored, never shown. */
  readonly tree: InstanceTree;
}

export interface Appliance {
  /** @throws CollectiveError UTILITY_REFUSED with every mistake, rendered. */
  evaluate(values: EvaluateOptions): Evaluated;
  readonly textOf: TextOf;
  readonly inputs: PlanInputs | undefined;
  readonly warnings: readonly PlanWarning[];
  /** Machines whose version is withdrawn, and why. */
  readonly withdrawn: ReadonlyMap<ComponentPath, string>;
}

export interface ApplianceParts {
  readonly program: LinkedProgram;
  readonly images: ReadonlyMap<ComponentPath, MachineImage>;
  readonly textOf: TextOf;
  readonly inputs?: PlanInputs;
  readonly warnings?: readonly PlanWarning[];
  readonly withdrawn?: ReadonlyMap<ComponentPath, string>;
}

export function createAppliance(parts: ApplianceParts): Appliance {
  const { program, images, textOf } = parts;
  return {
    textOf,
    inputs: parts.inputs,
    warnings: parts.warnings ?? [],
    withdrawn: parts.withdrawn ?? new Map(),
    evaluate: (values) => {
      const { tree, diagnostics } = evaluate(program, values);
      refuse(diagnostics, textOf);
      const built = buildNetwork(tree, images);
      refuse(built.diagnostics, textOf);
      if (built.network === undefined) throw new Error("a network without errors has a description");
      return { network: built.network, tree };
    },
  };
}
