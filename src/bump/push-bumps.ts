/**
 * `cui bump --push`, where there is no forge: each bump becomes a branch; one whose preview is within the class that is
 * allowed goes to the default branch at once, of an appliance together with the tag of its next version.
 */
import type { Git } from "../git/git.ts";
import { pushToDefaultBranch, wordsOf, type BumpPush } from "./remote.ts";
import { bumpBranch } from "./branch.ts";
import { placeBranch, removeMootBranches, type PlacedBranch } from "./place-branch.ts";
import { prepareBumps, type PrepareOptions, type PreparedBump, type PreparedBumps } from "./prepare-bumps.ts";
import { isWithin } from "./preview-bump.ts";

export interface PushedBump {
  readonly bump: PreparedBump;
  /** `merged`: it is on the default branch. */
  readonly outcome: PlacedBranch["outcome"] | "merged";
  readonly branch: string;
  readonly commit: string;
  /** The version it became. */
  readonly version?: number;
  /** Why it is no further. */
  readonly note?: string;
}

export interface PushReport extends Pick<PreparedBumps, "found"> {
  readonly pushed: readonly PushedBump[];
  /** Branches that were moot. */
  readonly removed: readonly string[];
}

/** Merges and races together; each merge begins anew from the moved branch. */
const MAX_ROUNDS = 100;

/** @throws CollectiveError as prepareBumps. */
export async function pushBumps(options: PrepareOptions): Promise<PushReport> {
  const merged: PushedBump[] = [];
  const refused = new Map<string, string>();
  for (let round = 1; ; round += 1) {
    const prepared = await prepareBumps(options);
    const next = prepared.bumps.find((bump) => objection(bump, prepared, refused) === undefined);
    if (next === undefined || round === MAX_ROUNDS) {
      return { found: prepared.found, ...(await pushBranches(options.git, prepared, { merged, refused })) };
    }
    const result = await merge(options.git, prepared, next);
    if (result.kind === "stale") continue;
    if (result.kind !== "ok") {
      refused.set(next.digest, wordsOf(result));
      continue;
    }
    const version = prepared.nextVersion;
    merged.push({
      bump: next,
      outcome: "merged",
      branch: prepared.remote.branch,
      commit: next.commit,
      ...(version === undefined ? {} : { version }),
    });
  }
}

/** Why a bump is not merged by itself; undefined: it is. */
function objection(
  { preview, digest }: PreparedBump,
  { found, isPublished, nextVersion }: PreparedBumps,
  refused: ReadonlyMap<string, string>,
): string | undefined {
  const said = refused.get(digest);
  if (said !== undefined) return `the default branch refused it: ${said}`;
  if (found.automerge === undefined) return "nothing is merged by itself here";
  if (preview.class === undefined) return "its preview has errors";
  if (!isWithin(preview.class, found.automerge))
    return `its class is ${preview.class}, merged by itself is at most ${found.automerge}`;
  if (nextVersion !== undefined && !isPublished)
    return "the default branch has more than the newest version: publish that first";
  return undefined;
}

async function merge(
  git: Git,
  { remote, nextVersion }: PreparedBumps,
  { commit }: PreparedBump,
): Promise<BumpPush> {
  return pushToDefaultBranch({ git, branch: remote.branch, commit, version: nextVersion });
}

async function pushBranches(
  git: Git,
  prepared: PreparedBumps,
  { merged, refused }: { readonly merged: PushedBump[]; readonly refused: ReadonlyMap<string, string> },
): Promise<Pick<PushReport, "pushed" | "removed">> {
  const pushed = [...merged];
  for (const bump of prepared.bumps) {
    const placed = await placeBranch(git, prepared, bump);
    const note =
      placed.outcome === "edited"
        ? "a person worked on the branch: it is left alone"
        : (placed.said ?? objection(bump, prepared, refused));
    pushed.push({
      bump,
      outcome: placed.outcome,
      branch: bump.branch,
      commit: placed.commit,
      ...(note === undefined ? {} : { note }),
    });
  }
  return { pushed, removed: await removeMootBranches(git, prepared, bumpBranch) };
}
