/** A push as the hook of a repository sees it, and what becomes of it. */
import type { GitObjects } from "../git/objects.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import type { Problem } from "./problem.ts";
import type { ReceiveLimits } from "./receive-limits.ts";
import type { RefUpdate } from "./ref-updates.ts";

/** A push that is being checked. */
export interface ReceivedPush {
  /** The repository's git folder. */
  readonly folder: string;
  /** Environment of git in which the pushed objects are visible. */
  readonly env: Readonly<Record<string, string>>;
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
