/** A push as the hook of a repository sees it. */
import type { GitObjects } from "../git/objects.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
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
