/** Where a repository's default branch is, also where its HEAD names a branch that is not there. */
import { makeDiagnostic, type Diagnostic } from "../diagnostics.ts";
import type { Git } from "../git/git.ts";
import type { GitObjects } from "../git/objects.ts";
import { listRefs } from "../git/refs.ts";
import { DEFAULT_BRANCH_REF } from "./mirror-cache.ts";

export interface DefaultTip {
  /** Undefined in an empty repository, and where nobody can tell. */
  readonly commit: string | undefined;
  /** Why nobody can. */
  readonly diagnostics: readonly Diagnostic[];
}

const BRANCHES = "refs/heads/";

/** What HEAD names; else the only branch; else `main` or `master`, whichever is there alone. */
export async function findDefaultTip(git: Git, objects: GitObjects, url: string): Promise<DefaultTip> {
  const tip = await objects.info(DEFAULT_BRANCH_REF);
  if (tip !== undefined) return { commit: tip.oid, diagnostics: [] };
  const branches = await listRefs(git, { pattern: BRANCHES });
  const usual = branches.filter(({ name }) => ["main", "master"].includes(name.slice(BRANCHES.length)));
  const [only, ...others] = branches.length === 1 ? branches : usual;
  if (only !== undefined && others.length === 0) return { commit: only.oid, diagnostics: [] };
  return { commit: undefined, diagnostics: branches.length === 0 ? [] : [unknownBranch(url)] };
}

function unknownBranch(url: string): Diagnostic {
  const message = `HEAD of ${url} names no branch that is there, so nobody knows which branch's withdrawn.yaml counts`;
  return makeDiagnostic("WITHDRAWN_INVALID", message, undefined, {
    hint: "its keeper names the default branch: `git symbolic-ref HEAD refs/heads/main` in the repository",
  });
}
