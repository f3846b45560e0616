/** A push as the hook of a repository sees it. */
import type { Git } from "../git/git.ts";
import type { GitObjects } from "../git/objects.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
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
