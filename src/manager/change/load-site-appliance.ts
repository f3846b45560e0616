/** From a root file of the site to an appliance the utility can decide about. */
import { withMirrors, type Mirrors } from "../../appliance/mirrors.ts";
import type { Git } from "../../git/git.ts";
import type { RootFile } from "../../appliance/loaded-appliance.ts";
import { createAppliance, type Appliance } from "./root-appliance.ts";
import { describeNetwork } from "../../site/describe-network.ts";
import type { Inventory } from "../../site/inventory.ts";
import { planWarnings } from "../../preview/plan-warnings.ts";
import { policyOf } from "../../site/policy.ts";
import { refuse } from "./refuse.ts";

export interface LoadSiteOptions {
  readonly git: Git;
  readonly cwd: string;
  /** Root file, relative to `cwd`. */
  readonly file: string;
  readonly object?: string | undefined;
  readonly inventory: Inventory;
  /** Whose policy goes into the input digest, where that is another than the one in force; default `inventory`. */
  readonly policy?: Inventory;
  /** The root file and its lock, where they are read already. */
  readonly root?: RootFile;
  /** What relative URLs of the root file are relative to; default the URL of `origin`. */
  readonly baseUrl?: string;
  /** Refuse imports of paths of this machine. */
  readonly refusePaths?: boolean;
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
  /** `newest` moves the lock as `cui lock` does. */
  readonly versions: "locked" | "newest";
  readonly writeLock: boolean;
}

/** @throws CollectiveError UTILITY_REFUSED with every mistake in CVL, VM descriptions and imports. */
export async function loadSiteAppliance(options: LoadSiteOptions): Promise<Appliance> {
  return withMirrors(options.git, (mirrors) => loadWith(mirrors, options), { cache: options.cache });
}

async function loadWith(mirrors: Mirrors, options: LoadSiteOptions): Promise<Appliance> {
  const { inventory, object } = options;
  const described = await describeNetwork({
    mirrors,
    file: options.file,
    cwd: options.cwd,
    versions: options.versions,
    writeLock: options.writeLock,
    policy: policyOf(options.policy ?? inventory),
    ...(options.root === undefined ? {} : { root: options.root }),
    ...(options.baseUrl === undefined ? {} : { baseUrl: options.baseUrl }),
    ...(options.refusePaths === undefined ? {} : { refusePaths: options.refusePaths }),
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
