/** Versions count 1, 2, 3 … and never change: what a push may do to their tags. */
import { findGap } from "../publish/version-number.ts";
import { inFilesOf, refusal, type HookDiagnostic } from "./hook-diagnostic.ts";
import { versionOfRef } from "../appliance/versions.ts";
import type { RefUpdate } from "./ref-updates.ts";

/** A tag of a version that a push makes. */
export interface NewVersion {
  readonly version: number;
  /** What the tag points at: a commit, or a tag object. */
  readonly id: string;
}

export interface VersionRules {
  readonly added: readonly NewVersion[];
  readonly refusals: readonly HookDiagnostic[];
}

/** Refuses moves, deletions and gaps; `existing` are the versions of the repository that is pushed to. */
export function checkVersions(updates: readonly RefUpdate[], existing: ReadonlySet<number>): VersionRules {
  const added: NewVersion[] = [];
  const refusals: HookDiagnostic[] = [];
  for (const { ref, before, after } of updates) {
    const version = versionOfRef(ref);
    if (version === undefined || before === after) continue;
    if (after === undefined) refusals.push(deleted(version));
    else if (before !== undefined || existing.has(version)) refusals.push(moved(version));
    else added.push({ version, id: after });
  }
  return { added, refusals: [...refusals, ...gaps(added, existing)] };
}

/** Of each row of versions that nothing leads to, the first; with its code, as `cui publish` shows it. */
function gaps(added: readonly NewVersion[], existing: ReadonlySet<number>): HookDiagnostic[] {
  const numbers = new Set([...existing, ...added.map(({ version }) => version)]);
  return added
    .map(({ version }) => version)
    .sort((a, b) => a - b)
    .flatMap((version) => {
      const gap = findGap(version, numbers);
      return gap === undefined ? [] : inFilesOf(`v${version}`, [gap], () => undefined);
    });
}

function moved(version: number): HookDiagnostic {
  return refusal(
    `v${version}`,
    "VERSION_MOVED",
    "it already exists and is another commit: versions never change",
    "publish the change as the next version; `git fetch --tags` shows which there are",
  );
}

function deleted(version: number): HookDiagnostic {
  return refusal(
    `v${version}`,
    "VERSION_MOVED",
    "versions are never deleted",
    "withdraw a bad version: list it in withdrawn.yaml on the default branch",
  );
}
