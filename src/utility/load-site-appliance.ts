/** From a root file of the site to an appliance the utility can decide about. */
import { createAppliance, type Appliance } from "./appliance.ts";
import { describeNetwork } from "./describe.ts";
import type { Inventory } from "./inventory.ts";
import { planWarnings } from "./plan-warnings.ts";
import { policyOf } from "./policy.ts";
import { refuse } from "./refuse.ts";

export interface LoadSiteOptions {
  readonly cwd: string;
  /** Root file, relative to `cwd`. */
  readonly file: string;
  readonly object?: string | undefined;
  readonly inventory: Inventory;
  /** `newest` moves the lock as `cui lock` does. */
  readonly versions: "locked" | "newest";
  readonly writeLock: boolean;
}

/** @throws CollectiveError UTILITY_REFUSED with every mistake in CVL, VM descriptions and imports. */
export async function loadSiteAppliance(options: LoadSiteOptions): Promise<Appliance> {
  const { inventory, object } = options;
  const described = await describeNetwork({
    file: options.file,
    cwd: options.cwd,
    versions: options.versions,
    writeLock: options.writeLock,
    policy: policyOf(inventory),
    ...(object === undefined ? {} : { object }),
    ...(inventory.allow === undefined ? {} : { allow: inventory.allow }),
  });
  const { loaded, inputs, images } = described;
  refuse(described.diagnostics, loaded.textOf);
  if (loaded.program === undefined) throw new Error("a program without errors is linked");
  return createAppliance({
    program: loaded.program,
    images,
    textOf: loaded.textOf,
    warnings: planWarnings(described.diagnostics, loaded.textOf),
    ...(inputs === undefined ? {} : { inputs }),
  });
}
