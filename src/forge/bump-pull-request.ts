/**
 * The pull request of one bump group: one branch, one open pull request, kept up to date; never more open ones than allowed;
 * one that a person closed is not opened again for the same versions.
 */
import { BUMP_PREFIX, bumpBranch } from "../bump/branch.ts";
import { createOnce } from "./create-once.ts";
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";
import { setLabels, type Label } from "./labels.ts";
import { collectPages } from "./pages.ts";

/** Labels of ours: `collective: data`. */
const LABEL_PREFIX = "collective";

export interface Bump {
  readonly repository: RepositoryName;
  /** Names the branch; `bumpBranch` says which one, which must be pushed before. */
  readonly group: string;
  readonly base: string;
  readonly title: string;
  /** Markdown. */
  readonly body: string;
  /** Of the versions proposed: a closed pull request with the same one is a decision against them. Hex digits. */
  readonly digest: string;
  readonly labels: readonly Label[];
  /** How many bump pull requests may be open at a time. */
  readonly limit: number;
}

export interface BumpResult {
  readonly outcome: "created" | "updated" | "unchanged" | "limited" | "declined" | "empty";
  readonly number?: number;
  readonly url?: string;
}

export interface BumpPull {
  readonly number: number;
  readonly state: string;
  readonly title: string;
  readonly body: string | null;
  readonly html_url: string;
  readonly merged_at: string | null;
  readonly head: { readonly ref: string; readonly repo: { readonly full_name: string } | null };
  readonly base: { readonly ref: string };
}

/** The open bump pull requests of a repository, oldest first; a fork's branch of that name is none. */
export async function listBumpPullRequests(
  forge: Forge,
  repository: RepositoryName,
): Promise<readonly BumpPull[]> {
  const pages = forge.paginate.iterator(forge.rest.pulls.list, {
    ...repositoryParameters(repository),
    state: "open",
    per_page: 100,
  });
  const pulls: readonly BumpPull[] = await collectPages(pages, "open pull requests");
  return pulls
    .filter((pull) => pull.head.ref.startsWith(BUMP_PREFIX) && isOwn(pull, repository))
    .sort((a, b) => a.number - b.number);
}

/** Where a group stands before anything is done: `open` and `free` go on, the rest is left as it is. */
export interface BumpState {
  readonly state: "open" | "free" | "declined" | "limited";
  /** The pull request that is open, or was declined. */
  readonly pull?: BumpPull;
}

/** Asked before the branch is pushed: a declined or limited bump needs none. */
export async function bumpState(
  forge: Forge,
  bump: Pick<Bump, "repository" | "group" | "base" | "digest" | "limit">,
): Promise<BumpState> {
  const newest = await newestPull(forge, bump);
  if (newest?.state === "open") return { state: "open", pull: newest };
  if (newest !== undefined && wasDeclined(newest, bump)) return { state: "declined", pull: newest };
  const open = await listBumpPullRequests(forge, bump.repository);
  return { state: open.length >= bump.limit ? "limited" : "free" };
}

/** Closes a pull request of ours whose bump nobody proposes any more; that is no decision against its versions. */
export async function closeMootPullRequest(
  forge: Forge,
  repository: RepositoryName,
  pull: Pick<BumpPull, "number" | "body">,
): Promise<void> {
  const body = (pull.body ?? "").replace(/^<!-- collective:bump [0-9a-f]* -->\r?\n/, "");
  const target = { ...repositoryParameters(repository), pull_number: pull.number };
  await forge.rest.pulls.update({ ...target, state: "closed", body });
}

/** Opens, updates or leaves the group's pull request. */
export async function upsertBumpPullRequest(forge: Forge, bump: Bump): Promise<BumpResult> {
  const { state, pull } = await bumpState(forge, bump);
  if (state === "declined" || state === "limited") {
    return { outcome: state, ...(pull === undefined ? {} : linkOf(pull)) };
  }
  const existing = state === "open" ? pull : undefined;
  if (existing === undefined && !(await hasCommits(forge, bump))) return { outcome: "empty" };
  const { item, isNew } = await createOnce(forge, {
    find: async () => existing ?? (await openPull(forge, bump)),
    create: () => createPull(forge, bump),
  });
  if (isNew && (await closeWhenTooMany(forge, bump, item))) return { outcome: "limited" };
  const isEdited = await editPull(forge, bump, item);
  const wanted = { repository: bump.repository, pullNumber: item.number, wanted: bump.labels };
  const isRelabelled = await setLabels(forge, { ...wanted, ownPrefix: LABEL_PREFIX });
  const outcome = isNew ? "created" : isEdited || isRelabelled ? "updated" : "unchanged";
  return { outcome, ...linkOf(item) };
}

async function createPull(forge: Forge, bump: Bump): Promise<BumpPull> {
  const { repository, base, title, group } = bump;
  const head = bumpBranch(group);
  const text = { title, body: bodyOf(bump) };
  try {
    return (await forge.rest.pulls.create({ ...repositoryParameters(repository), base, head, ...text })).data;
  } catch (error) {
    // GitHub has no code for "a pull request already exists": a run at the same time may have opened it.
    const twin = hasCode(error, "FORGE_REFUSED") ? await openPull(forge, bump) : undefined;
    if (twin === undefined) throw error;
    return twin;
  }
}

async function openPull(forge: Forge, bump: Bump): Promise<BumpPull | undefined> {
  const newest = await newestPull(forge, bump);
  return newest?.state === "open" ? newest : undefined;
}

/** Of the group's branch, open ones before closed ones. */
async function newestPull(
  forge: Forge,
  { repository, group, base }: Pick<Bump, "repository" | "group" | "base">,
): Promise<BumpPull | undefined> {
  const { data } = await forge.rest.pulls.list({
    ...repositoryParameters(repository),
    head: `${repository.owner}:${bumpBranch(group)}`,
    base,
    state: "all",
    sort: "created",
    direction: "desc",
    per_page: 100,
  });
  const own: readonly BumpPull[] = data.filter((pull) => isOwn(pull, repository));
  return own.find(({ state }) => state === "open") ?? own[0];
}

async function editPull(forge: Forge, bump: Bump, pull: BumpPull): Promise<boolean> {
  const body = bodyOf(bump);
  if (pull.title === bump.title && (pull.body ?? "").replaceAll("\r\n", "\n").trimEnd() === body.trimEnd())
    return false;
  const target = { ...repositoryParameters(bump.repository), pull_number: pull.number };
  await forge.rest.pulls.update({ ...target, title: bump.title, body });
  return true;
}

/** Runs at the same time may together open too many: those beyond the limit close what they just opened. */
async function closeWhenTooMany(forge: Forge, bump: Bump, pull: BumpPull): Promise<boolean> {
  const open = await listBumpPullRequests(forge, bump.repository);
  const rank = open.findIndex(({ number }) => number === pull.number);
  if (rank < bump.limit) return false;
  // Without the digest it is no decision against these versions: the next run may open it again.
  const target = { ...repositoryParameters(bump.repository), pull_number: pull.number };
  await forge.rest.pulls.update({ ...target, state: "closed", body: bump.body });
  return true;
}

async function hasCommits(forge: Forge, { repository, base, group }: Bump): Promise<boolean> {
  const basehead = `${base}...${bumpBranch(group)}`;
  const { data } = await forge.rest.repos.compareCommitsWithBasehead({
    ...repositoryParameters(repository),
    basehead,
    per_page: 1,
  });
  return data.ahead_by > 0;
}

function wasDeclined(pull: BumpPull, bump: Pick<Bump, "digest">): boolean {
  return pull.merged_at === null && (pull.body ?? "").startsWith(markerOf(bump));
}

function isOwn(pull: Pick<BumpPull, "head">, { owner, name }: RepositoryName): boolean {
  return pull.head.repo?.full_name.toLowerCase() === `${owner}/${name}`.toLowerCase();
}

function bodyOf(bump: Bump): string {
  return `${markerOf(bump)}\n${bump.body}`;
}

function markerOf({ digest }: Pick<Bump, "digest">): string {
  return `<!-- collective:bump ${digest.replaceAll(/[^0-9a-f]/g, "").slice(0, 64)} -->`;
}

function linkOf(pull: BumpPull): { number: number; url: string } {
  return { number: pull.number, url: pull.html_url };
}
