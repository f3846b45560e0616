/** Which of the URLs that are understood a policy lets be fetched. */
import type { Diagnostic } from "../diagnostics.ts";
import { isUnder } from "./repository-identity.ts";
import { isLocal, localFolder, refuseUrl, type RepositoryUrl } from "./url.ts";

export interface UrlPolicy {
  /** URL prefixes imports may come from; undefined allows all. */
  readonly allow?: readonly string[] | undefined;
  /** Refuse path and file URLs. */
  readonly refusePaths?: boolean | undefined;
  /** Refuse path and file URLs that lead out of this folder (absolute). */
  readonly pathsBelow?: string | undefined;
}

/** Whether policy lets `target` be fetched; undefined when it does. */
export function policyProblem(target: RepositoryUrl, policy: UrlPolicy): Diagnostic | undefined {
  if (policy.refusePaths === true && isLocal(target)) {
    return refuseUrl(`${target.url} is a path, which is not allowed here`, "import it by its https URL");
  }
  const outside = pathProblem(target, policy.pathsBelow);
  if (outside !== undefined) return outside;
  if (policy.allow === undefined) return undefined;
  if (policy.allow.some((prefix) => isUnder(target, prefix))) return undefined;
  return refuseUrl(
    `${target.url} begins with none of the prefixes that imports.allow lists`,
    policy.allow.length === 0 ? "imports.allow is empty" : `allowed are ${policy.allow.join(", ")}`,
  );
}

function pathProblem(target: RepositoryUrl, below: string | undefined): Diagnostic | undefined {
  const folder = localFolder(target);
  if (below === undefined || folder === undefined) return undefined;
  if (folder.startsWith(below.endsWith("/") ? below : `${below}/`)) return undefined;
  return refuseUrl(
    `${target.url} is a path outside the folder of this repository, which is not allowed here`,
    "import it by its https URL, or by one relative to this repository (../Name)",
  );
}
