/** What a bump would do to what runs: the preview its class is judged by. */
import { ACTION_CLASSES, type ActionClass } from "../plan/action-kinds.ts";
import type { Git } from "../git/git.ts";
import { compareSite, type SiteComparison } from "../preview/preview-site.ts";

export interface BumpPreview {
  readonly networks: SiteComparison["networks"];
  /** The most severe of all networks; undefined: something cannot be planned or is refused, so nobody knows. */
  readonly class: ActionClass | undefined;
}

export interface PreviewBumpOptions {
  readonly git: Git;
  readonly base: string;
  readonly commit: string;
  readonly cache: string;
  readonly refusePaths: boolean;
}

/** Policy is that of the base; the commit need not be anywhere but in the clone. Mirrors are taken as they are. */
export async function previewBump(options: PreviewBumpOptions): Promise<BumpPreview> {
  const { git, base, commit, cache, refusePaths } = options;
  const { networks, isApplicable } = await compareSite({
    git,
    base,
    head: commit,
    fetch: false,
    cache,
    refusePaths,
  });
  let highest = 0;
  for (const { plan } of networks)
    highest = Math.max(highest, plan === null ? 0 : ACTION_CLASSES.indexOf(plan.class));
  const isKnown = isApplicable && networks.length > 0;
  return { networks, class: isKnown ? ACTION_CLASSES[highest] : undefined };
}

/** Whether a bump may be merged by itself. */
export function isWithin(found: ActionClass | undefined, allowed: ActionClass | undefined): boolean {
  if (found === undefined || allowed === undefined) return false;
  return ACTION_CLASSES.indexOf(found) <= ACTION_CLASSES.indexOf(allowed);
}
