/** Plans that CI pushed as git refs: `refs/collective/plans/<previewed commit>` is a blob with the approval as JSON. */
import type { Git } from "../git/git.ts";
import { openGitObjects } from "../git/objects.ts";
import { parentsOf, treeOf } from "../git/history.ts";
import { isCommitId } from "../git/commit-id.ts";
import { listRefs } from "../git/refs.ts";

export const PLAN_REFS = "refs/collective/plans";
const MAX_BYTES = 16 * 1024 * 1024;
/** So many refs are looked at for one with the same tree. */
const MAX_REFS = 5000;

export interface PlanRef {
  readonly ref: string;
  /** The commit that was previewed. */
  readonly commit: string;
  readonly json: string;
}

/**
 * The plan of a commit: its own, else that of the head a merge brought in, else that of a commit with the same tree (a squash or
 * a rebase makes another commit of the same files). The first parent is what the branch was before: its plan is another one.
 */
export async function findPlanRef(git: Git, commit: string): Promise<PlanRef | undefined> {
  const refs = await listPlanRefs(git);
  const candidates = [commit, ...(await parentsOf(git, commit)).slice(1)];
  const found = candidates.find((candidate) => refs.has(candidate)) ?? (await sameTree(git, commit, refs));
  return found === undefined ? undefined : readPlanRef(git, found);
}

/** Commits that have a plan. */
export async function listPlanRefs(git: Git): Promise<ReadonlySet<string>> {
  const refs = await listRefs(git, { pattern: `${PLAN_REFS}/`, limit: MAX_REFS });
  return new Set(refs.map(({ name }) => name.slice(PLAN_REFS.length + 1)).filter(isCommitId));
}

async function sameTree(git: Git, commit: string, refs: ReadonlySet<string>): Promise<string | undefined> {
  const tree = await treeOf(git, commit);
  const objects = openGitObjects(git);
  try {
    for (const candidate of refs) {
      // What was previewed may never have been fetched: a squash leaves it behind.
      if ((await objects.info(`${candidate}^{tree}`))?.oid === tree) return candidate;
    }
    return undefined;
  } finally {
    await objects.close();
  }
}

async function readPlanRef(git: Git, commit: string): Promise<PlanRef | undefined> {
  const ref = `${PLAN_REFS}/${commit}`;
  const objects = openGitObjects(git);
  try {
    const info = await objects.info(ref);
    if (info?.type !== "blob" || info.sizeBytes > MAX_BYTES) return undefined;
    const blob = await objects.contents(info.oid);
    return blob && { ref, commit, json: blob.content.toString("utf8") };
  } finally {
    await objects.close();
  }
}
