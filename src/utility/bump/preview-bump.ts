/** What a bump would do to what runs: the preview its class is judged by. */
import { ACTION_CLASSES, type ActionClass } from "../../plan/plan.ts";
import type { PlannedNetwork } from "../../plan/markdown-model.ts";
import { compareRevisions } from "../compare-revisions.ts";

export interface BumpPreview {
  readonly networks: readonly PlannedNetwork[];
  /** The gravest of all networks; undefined: something cannot be planned or is refused, so nobody knows. */
  readonly class: ActionClass | undefined;
}

export interface PreviewBumpOptions {
  readonly folder: string;
  readonly base: string;
  readonly commit: string;
  readonly cache: string;
}

/** Policy is that of the base; the commit need not be anywhere but in the clone. */
export async function previewBump({ folder, base, commit, cache }: PreviewBumpOptions): Promise<BumpPreview> {
  const compared = await compareRevisions({
    cwd: folder,
    before: base,
    after: commit,
    file: undefined,
    cache,
  });
  const networks = compared.map(({ file, plan, diagnostics }): PlannedNetwork => {
    if (plan !== undefined) return { file, plan };
    const errors = diagnostics.filter(({ severity }) => severity === "error");
    return { file, plan: null, problems: errors.map(({ code, message }) => `${code}: ${message}`) };
  });
  return { networks, class: classOf(networks) };
}

/** Whether a bump may be merged by itself. */
export function isWithin(found: ActionClass | undefined, allowed: ActionClass | undefined): boolean {
  if (found === undefined || allowed === undefined) return false;
  return ACTION_CLASSES.indexOf(found) <= ACTION_CLASSES.indexOf(allowed);
}

function classOf(networks: readonly PlannedNetwork[]): ActionClass | undefined {
  let gravest = 0;
  for (const { plan } of networks) {
    if (plan === null || plan.refusals.length > 0) return undefined;
    gravest = Math.max(gravest, ACTION_CLASSES.indexOf(plan.class));
  }
  return ACTION_CLASSES[gravest];
}
