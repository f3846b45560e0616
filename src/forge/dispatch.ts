/** Telling dependents that there is a new version, so that their bump runs now and not at its next hour. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorCode } from "../errors.ts";
import { CollectiveError } from "../errors.ts";
import { isAmbiguous } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface Notice {
  readonly dependents: readonly RepositoryName[];
  /** `collective-published` */
  readonly eventType: string;
  /** At most ten fields. */
  readonly payload: Readonly<Record<string, string | number>>;
}

export interface NoticeResult {
  readonly repository: RepositoryName;
  /** Undefined: told. */
  readonly failure: { readonly code: ErrorCode; readonly message: string } | undefined;
}

/** Tells each; one that cannot be told does not keep the others from it. */
export async function notifyDependents(forge: Forge, notice: Notice): Promise<readonly NoticeResult[]> {
  const results: NoticeResult[] = [];
  for (const repository of notice.dependents) {
    results.push({ repository, failure: await notify(forge, notice, repository) });
  }
  return results;
}

/** A lost answer is followed by another try: a bump that runs twice finds nothing to do the second time. */
async function notify(
  forge: Forge,
  notice: Notice,
  repository: RepositoryName,
): Promise<NoticeResult["failure"]> {
  const event = { event_type: notice.eventType, client_payload: { ...notice.payload } };
  for (let attempt = 1; ; attempt += 1) {
    try {
      await forge.rest.repos.createDispatchEvent({ ...repositoryParameters(repository), ...event });
      return undefined;
    } catch (error) {
      if (!(error instanceof CollectiveError)) throw error;
      const { code, message } = error;
      if (!isAmbiguous(error) || attempt > forge.limits.retries) return { code, message };
      await sleep(forge.limits.pauseMs * 2 ** (attempt - 1));
    }
  }
}
