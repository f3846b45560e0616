/**
 * Merging a bump by itself, through the REST API and with the commit that was previewed: GitHub's own auto-merge would also
 * merge what somebody pushes afterwards, and works only where a branch rule holds the pull request back. Rules and required
 * reviews are GitHub's to enforce; that checks have passed is looked at here as well, since a branch may have no rule.
 */
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface MergeBump {
  readonly repository: RepositoryName;
  readonly pullNumber: number;
  /** The commit that was previewed, and no other. */
  readonly commit: string;
}

/** `waits`: for what `why` says; a later run tries again. */
export type MergeBumpResult =
  { readonly outcome: "merged" } | { readonly outcome: "waits"; readonly why: string };

export async function mergeBump(forge: Forge, bump: MergeBump): Promise<MergeBumpResult> {
  const why =
    (await pullObjection(forge, bump)) ??
    (await reviewObjection(forge, bump)) ??
    (await checkObjection(forge, bump));
  if (why !== undefined) return { outcome: "waits", why };
  const target = { ...repositoryParameters(bump.repository), pull_number: bump.pullNumber };
  try {
    await forge.rest.pulls.merge({ ...target, sha: bump.commit });
    return { outcome: "merged" };
  } catch (error) {
    if (!hasCode(error, "FORGE_REFUSED", "FORGE_CONFLICT", "FORGE_FORBIDDEN", "FORGE_UNAVAILABLE"))
      throw error;
    // A lost answer that was repeated meets its own merge.
    if ((await forge.rest.pulls.get(target)).data.merged) return { outcome: "merged" };
    if (error.code === "FORGE_UNAVAILABLE") throw error;
    return { outcome: "waits", why: error.message };
  }
}

async function pullObjection(forge: Forge, bump: MergeBump): Promise<string | undefined> {
  const target = { ...repositoryParameters(bump.repository), pull_number: bump.pullNumber };
  const { data } = await forge.rest.pulls.get(target);
  if (data.state !== "open") return "it is closed";
  if (data.draft === true) return "somebody made it a draft";
  return data.head.sha === bump.commit ? undefined : "its branch has moved";
}

/** Somebody who asked for changes is heard until they approve, or somebody dismisses it. */
async function reviewObjection(forge: Forge, bump: MergeBump): Promise<string | undefined> {
  const target = { ...repositoryParameters(bump.repository), pull_number: bump.pullNumber };
  const { data } = await forge.rest.pulls.listReviews({ ...target, per_page: 100 });
  const last = new Map<string, string>();
  for (const { user, state } of data) {
    if (state !== "COMMENTED") last.set(user?.login ?? "", state);
  }
  return [...last.values()].includes("CHANGES_REQUESTED") ? "a review asks for changes" : undefined;
}

const PASSED = new Set(["success", "neutral", "skipped"]);

async function checkObjection(forge: Forge, bump: MergeBump): Promise<string | undefined> {
  const target = { ...repositoryParameters(bump.repository), ref: bump.commit, per_page: 100 };
  const [{ data: runs }, { data: combined }] = await Promise.all([
    forge.rest.checks.listForRef(target),
    forge.rest.repos.getCombinedStatusForRef(target),
  ]);
  const found = [
    ...runs.check_runs.map(({ name, status, conclusion }) => ({
      name,
      state: status === "completed" ? (conclusion ?? "failure") : "pending",
    })),
    ...combined.statuses.map(({ context, state }) => ({ name: context, state })),
  ];
  if (found.length === 0) return "no check has reported yet";
  if (runs.total_count > 100) return "it has more than 100 checks";
  const open = found.find(({ state }) => !PASSED.has(state));
  return open === undefined ? undefined : `the check ${open.name} is ${open.state}`;
}
