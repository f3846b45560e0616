/** Versions count 1, 2, 3 … and never change: what a push may do to their tags. */
import { findGap } from "../publish/version-number.ts";
import { toProblem, type Problem } from "./problem.ts";
import { versionOfRef, type RefUpdate } from "./ref-updates.ts";

/** A tag of a version that a push makes. */
export interface NewVersion {
  readonly version: number;
  /** What the tag points at: a commit, or a tag object. */
  readonly id: string;
}

export interface VersionRules {
  readonly added: readonly NewVersion[];
  readonly problems: readonly Problem[];
}

/** Refuses moves, deletions and gaps; `existing` are the versions of the repository that is pushed to. */
export function checkVersions(updates: readonly RefUpdate[], existing: ReadonlySet<number>): VersionRules {
  const added: NewVersion[] = [];
  const problems: Problem[] = [];
  for (const { ref, before, after } of updates) {
    const version = versionOfRef(ref);
    if (version === undefined || before === after) continue;
    if (after === undefined) problems.push(deleted(version));
    else if (before !== undefined || existing.has(version)) problems.push(moved(version));
    else added.push({ version, id: after });
  }
  return { added, problems: [...problems, ...gaps(added, existing)] };
}

/** Of each row of versions that nothing leads to, the first. */
function gaps(added: readonly NewVersion[], existing: ReadonlySet<number>): Problem[] {
  const numbers = new Set([...existing, ...added.map(({ version }) => version)]);
  return added
    .map(({ version }) => version)
    .sort((a, b) => a - b)
    .flatMap((version) => {
      const gap = findGap(version, numbers);
      return gap === undefined ? [] : [toProblem(`v${version}`, gap, () => undefined)];
    });
}

function moved(version: number): Problem {
  return {
    where: `v${version}`,
    message: "it already exists and is another commit: versions never change",
    hint: "publish the change as the next version; `git fetch --tags` shows which there are",
  };
}

function deleted(version: number): Problem {
  return {
    where: `v${version}`,
    message: "versions are never deleted",
    hint: "withdraw a bad version: list it in withdrawn.yaml on the default branch",
  };
}
