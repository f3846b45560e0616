/** A push as the hook of a repository sees it, and what becomes of it. */
import type { Git } from "../git/git.ts";
import type { GitObjects } from "../git/objects.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import type { Problem } from "./problem.ts";
import type { ReceiveLimits } from "./receive-limits.ts";
import type { RefUpdate } from "./ref-updates.ts";

/** A push that is being checked. */
export interface ReceivedPush {
  /** Called in the repository's git folder, where the pushed objects are visible. */
  readonly git: Git;
  readonly objects: GitObjects;
  readonly mirrors: Mirrors;
  readonly limits: ReceiveLimits;
  readonly updates: readonly RefUpdate[];
  /** No more is looked at after this, as Date.now() counts. */
  readonly until: number;
}

export interface CheckedPush {
  /** Not empty: the push must be refused. */
  readonly problems: readonly Problem[];
  /** What could not be looked at. */
  readonly warnings: readonly Problem[];
}
