/**
 * What an action's `runs.using` may ask for. GitHub's own schema still knows every runtime there ever was, and the runner replaces one
 * that was removed by a newer one as long as it pleases: so that what is gone is said here.
 * @see https://github.com/actions/runner, src/Misc/externals.sh (what a release brings) and ActionManifestManager.cs (what it reads)
 */
const RUNTIMES: Readonly<Record<string, { readonly removed?: string }>> = {
  composite: {},
  docker: {},
  /** Since runner 2.327.1. */
  node24: {},
  /** @see https://github.blog/changelog/2025-09-19-deprecation-of-node-20-on-github-actions-runners/ */
  node20: { removed: "2026-09" },
  /** Gone with runner 2.321.0. */
  node16: { removed: "2024-11" },
  /** Gone with runner 2.308.0. */
  node12: { removed: "2023-08" },
};

/** What is wrong with a value of `runs.using`; undefined when a runner has it. */
export function findRuntimeProblem(using: unknown): string | undefined {
  const runtime = typeof using === "string" && Object.hasOwn(RUNTIMES, using) ? RUNTIMES[using] : undefined;
  if (runtime === undefined) return `using: ${String(using)} is no runtime of GitHub's runner`;
  if (runtime.removed === undefined) return undefined;
  return `using: ${String(using)} was removed from GitHub's runner in ${runtime.removed}`;
}
