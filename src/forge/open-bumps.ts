/** `cui bump --pr`: one pull request for each bump, kept up to date; moot ones closed, harmless ones merged. */
import { CollectiveError } from "../errors.ts";
import type { ActionClass } from "../plan/action-kinds.ts";
import { bumpBranch } from "../bump/branch.ts";
import { isBumpCommit } from "../bump/commit.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { describeVersionDifference, type VersionDifference } from "../preview/version-difference.ts";
import type { FoundBumps } from "../bump/find-bumps.ts";
import { placeBranch, removeMootBranches } from "../bump/place-branch.ts";
import {
  prepareBumps,
  type PrepareOptions,
  type PreparedBump,
  type PreparedBumps,
} from "../bump/prepare-bumps.ts";
import { isWithin } from "../bump/preview-bump.ts";
import { renderBumpBody } from "./bump-body.ts";
import {
  bumpState,
  closeMootPullRequest,
  listBumpPullRequests,
  upsertBumpPullRequest,
  type Bump,
  type BumpResult,
} from "./bump-pull-request.ts";
import type { Forge, RepositoryName } from "./forge.ts";
import type { Label } from "./labels.ts";
import { mergeBump } from "./merge-bump.ts";
import { upsertStickyComment } from "./sticky-comment.ts";

export interface OpenBumpsOptions extends PrepareOptions {
  readonly forge: Forge;
  readonly repository: RepositoryName;
}

export interface OpenedBump {
  readonly bump: PreparedBump;
  /** `edited`: a person's commits are on the branch, and stay; `refused`: the branch could not be pushed. */
  readonly outcome: BumpResult["outcome"] | "merged" | "edited" | "refused";
  readonly number?: number;
  readonly url?: string;
  /** Why it is no further. */
  readonly note?: string;
}

export interface OpenReport {
  readonly found: FoundBumps;
  readonly opened: readonly OpenedBump[];
  /** Numbers of pull requests that became moot. */
  readonly closed: readonly number[];
}

/** The report as plain JSON. */
export function openReportJson({ opened, closed, found }: OpenReport): unknown {
  return {
    bumps: opened.map(({ bump, outcome, number, url, note }) => ({
      group: bump.group,
      title: bump.title,
      outcome,
      number: number ?? null,
      url: url ?? null,
      class: bump.preview.class ?? null,
      note: note ?? null,
      changes: bump.changes,
    })),
    closed,
    problems: found.problems.map(({ group, error }) => ({ group, message: error.message })),
    heldBack: found.heldBack,
  };
}

/** A merge moves the default branch, and everything begins anew from there. */
const MAX_ROUNDS = 50;

/** Running it twice changes nothing. @throws CollectiveError as prepareBumps, and FORGE_…. */
export async function openBumps(options: OpenBumpsOptions): Promise<OpenReport> {
  const merged: OpenedBump[] = [];
  const closed: number[] = [];
  for (let round = 1; ; round += 1) {
    const prepared = await prepareBumps(options);
    closed.push(...(await closeMoot(options, prepared)));
    const opened: OpenedBump[] = [];
    for (const bump of prepared.bumps) {
      opened.push(await openBump(options, prepared, bump));
      if (opened.at(-1)?.outcome === "merged") break;
    }
    const last = opened.at(-1);
    if (last?.outcome === "merged" && round < MAX_ROUNDS) {
      merged.push(last);
      continue;
    }
    await removeMootBranches(options.git, prepared, bumpBranch);
    return { found: prepared.found, opened: [...merged, ...opened], closed };
  }
}

async function openBump(
  options: OpenBumpsOptions,
  prepared: PreparedBumps,
  bump: PreparedBump,
): Promise<OpenedBump> {
  const { forge, repository, git, mirrors } = options;
  const { found, remote, nextVersion } = prepared;
  const { group, digest } = bump;
  const about = { repository, group, digest, base: remote.branch, limit: found.rules.limit };
  const { state, pull } = await bumpState(forge, about);
  const link = pull === undefined ? {} : { number: pull.number, url: pull.html_url };
  if (state === "declined")
    return { bump, outcome: state, ...link, note: "somebody closed it for these versions" };
  if (state === "limited") return { bump, outcome: state, note: `${about.limit} are open already` };
  const placed = await placeBranch(git, prepared, bump);
  if (placed.outcome === "edited") {
    if (pull !== undefined) await tellEdited(options, pull.number, bump);
    return { bump, outcome: "edited", ...link, note: "a person worked on the branch: it is left alone" };
  }
  if (placed.outcome === "refused") return { bump, outcome: "refused", ...link, note: placed.said ?? "" };
  const isAutomerged = isWithin(bump.preview.class, found.automerge);
  const wanted: Bump = {
    ...about,
    title: bump.title,
    labels: labelsOf(bump.preview.class, found.rules.labels),
    body: renderBumpBody({
      bump,
      differences: await describeDifferences(mirrors, bump),
      nextVersion,
      isAutomerged,
    }),
  };
  const result = await upsertBumpPullRequest(forge, wanted);
  const { outcome, number } = result;
  if (!isAutomerged || number === undefined || outcome === "limited" || outcome === "declined") {
    return { bump, ...result };
  }
  const merge = await mergeBump(forge, { repository, pullNumber: number, commit: placed.commit });
  if (merge.outcome === "merged") return { bump, ...result, outcome: "merged" };
  return { bump, ...result, note: `not merged yet: ${merge.why}` };
}

/** A person's work is not closed either: it says on the pull request that nothing more comes. */
async function closeMoot(
  { forge, repository, git }: OpenBumpsOptions,
  { bumps, found, remote }: PreparedBumps,
): Promise<number[]> {
  const wanted = new Set([
    ...bumps.map(({ branch }) => branch),
    ...found.problems.map(({ group }) => bumpBranch(group)),
  ]);
  const closed: number[] = [];
  for (const pull of await listBumpPullRequests(forge, repository)) {
    const { ref } = pull.head;
    if (wanted.has(ref) || pull.base.ref !== remote.branch) continue;
    const commit = remote.bumpBranches.get(ref);
    if (commit !== undefined && !(await isBumpCommit(git, commit))) continue;
    await closeMootPullRequest(forge, repository, pull);
    closed.push(pull.number);
  }
  return closed;
}

async function tellEdited(
  { forge, repository }: OpenBumpsOptions,
  pullNumber: number,
  { branch, title }: PreparedBump,
): Promise<void> {
  const body =
    `There is news (${title}), but this branch has commits that \`cui bump\` did not make: it is left alone. ` +
    `Merge it as it is, or close it and delete the branch \`${branch}\` to get a new one.`;
  await upsertStickyComment(forge, { repository, pullNumber, key: "bump: a person's commits", body });
}

async function describeDifferences(
  mirrors: Mirrors,
  { changes }: PreparedBump,
): Promise<readonly VersionDifference[]> {
  const differences: VersionDifference[] = [];
  for (const { url, from, to } of changes) {
    if (to === undefined) continue;
    try {
      differences.push(await describeVersionDifference({ mirrors, url, from, to }));
    } catch (error) {
      // A version that is gone has no difference to show; everything else about the bump still holds.
      if (!(error instanceof CollectiveError) || error.code !== "REPOSITORY_VERSION_MISSING") throw error;
    }
  }
  return differences;
}

const CLASS_LABELS: Readonly<Record<ActionClass | "error", Omit<Label, "name">>> = {
  none: { color: "c2e0c6", description: "changes nothing that runs" },
  parameters: { color: "c5def5", description: "sends new parameters to running machines" },
  restart: { color: "fbca04", description: "restarts machines" },
  replace: { color: "f9a03f", description: "replaces program disks of machines" },
  data: { color: "d93f0b", description: "touches data of users" },
  error: { color: "b60205", description: "cannot be planned" },
};

function labelsOf(found: ActionClass | undefined, own: readonly string[]): Label[] {
  const name = found ?? "error";
  return [
    { name: `collective: ${name}`, ...CLASS_LABELS[name] },
    ...own.map((label) => ({ name: label, color: "ededed", description: "" })),
  ];
}
