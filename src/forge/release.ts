/** Releases of versions' tags. GitHub would make a missing tag by itself: here a release never makes one. */
import { CollectiveError } from "../errors.ts";
import { versionOfTag, type Withdrawn } from "../appliance/versions.ts";
import { createOnce } from "./create-once.ts";
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";
import { collectPages } from "./pages.ts";
import {
  isMarkedWithdrawn,
  releasedCommit,
  withdrawnName,
  withVersionPart,
  withWithdrawal,
} from "./release-text.ts";

export interface Release {
  readonly repository: RepositoryName;
  /** `v6` */
  readonly tag: string;
  /** The commit the tag was checked at. */
  readonly commit: string;
  readonly name: string;
  /** Markdown; what people wrote into the release beside it stays. */
  readonly body: string;
  /** Why nobody should take the version any more: the release says so, and is a prerelease. */
  readonly withdrawn?: string | undefined;
}

export interface ReleaseResult {
  readonly outcome: "created" | "updated" | "unchanged";
  readonly url: string;
}

interface FoundRelease {
  readonly id: number;
  readonly tag_name: string;
  readonly html_url: string;
  readonly name: string | null;
  readonly body?: string | null;
  readonly draft: boolean;
  readonly prerelease: boolean;
}

type Texts = Required<Pick<FoundRelease, "prerelease">> & { readonly name: string; readonly body: string };

/**
 * Makes the release or brings it up to date; the latest release is left to `markWithdrawn`.
 * @throws CollectiveError FORGE_TAG_MISSING, FORGE_TAG_MOVED.
 */
export async function publishRelease(forge: Forge, release: Release): Promise<ReleaseResult> {
  const target = repositoryParameters(release.repository);
  await requireTag(forge, release);
  const fresh = textsOf(release, undefined);
  const { item, isNew } = await createOnce<FoundRelease>(forge, {
    find: () => findRelease(forge, release.repository, release.tag),
    create: async () => {
      const created = { ...target, ...fresh, tag_name: release.tag, make_latest: "false" } as const;
      return (await forge.rest.repos.createRelease(created)).data;
    },
  });
  const before = releasedCommit(item.body ?? "");
  if (before !== undefined && before !== release.commit) throw tagMoved(release, release.commit, before);
  const isUpdated = await update(forge, release.repository, item, textsOf(release, item));
  return { outcome: isNew ? "created" : isUpdated ? "updated" : "unchanged", url: item.html_url };
}

/** The release of a tag; undefined when there is none. */
export async function findRelease(
  forge: Forge,
  repository: RepositoryName,
  tag: string,
): Promise<FoundRelease | undefined> {
  try {
    return (await forge.rest.repos.getReleaseByTag({ ...repositoryParameters(repository), tag })).data;
  } catch (error) {
    if (hasCode(error, "FORGE_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Runs at the same time may each see a newest release of their own: the last one looks again. */
const LOOKS = 3;

/**
 * Makes every version's release say whether the version is withdrawn, and the newest that is not the latest release.
 * Resolves to the tags whose releases were changed.
 */
export async function markWithdrawn(
  forge: Forge,
  repository: RepositoryName,
  withdrawn: Withdrawn,
): Promise<readonly string[]> {
  const changed = new Set<string>();
  for (let look = 0; look < LOOKS; look += 1) {
    const releases = await listVersionReleases(forge, repository);
    for (const { version, release } of releases) {
      const why = withdrawn.get(version);
      // A prerelease of somebody's own making is none of ours to end.
      if (why === undefined && !isMarkedWithdrawn(release.body ?? "")) continue;
      if (await update(forge, repository, release, marked(release, why))) changed.add(release.tag_name);
    }
    const newest = releases.find(({ version }) => !withdrawn.has(version));
    if (newest === undefined || !(await makeLatest(forge, repository, newest.release))) break;
  }
  return [...changed];
}

/** The newest version first. */
async function listVersionReleases(
  forge: Forge,
  repository: RepositoryName,
): Promise<{ version: number; release: FoundRelease }[]> {
  const parameters = { ...repositoryParameters(repository), per_page: 100 };
  const listed = await collectPages<FoundRelease>(
    forge.paginate.iterator(forge.rest.repos.listReleases, parameters),
    "releases",
  );
  return listed
    .flatMap((release) => {
      const version = versionOfTag(release.tag_name);
      return version === undefined || release.draft ? [] : [{ version, release }];
    })
    .sort((a, b) => b.version - a.version);
}

function textsOf(release: Release, found: FoundRelease | undefined): Texts {
  const { tag, commit, name, body, withdrawn } = release;
  const before = found?.body ?? "";
  // A release that somebody made by hand keeps the name it was given.
  const isOurs = releasedCommit(before) !== undefined || found?.name == null || found.name === "";
  const text = withVersionPart(before, { tag, commit, text: body });
  const base = { name: isOurs ? name : found.name, body: text, prerelease: found?.prerelease ?? false };
  return isMarkedWithdrawn(before) || withdrawn !== undefined ? marked(base, withdrawn) : base;
}

function marked(release: Pick<FoundRelease, "name" | "body">, why: string | undefined): Texts {
  const isWithdrawn = why !== undefined;
  return {
    name: withdrawnName(release.name ?? "", isWithdrawn),
    body: withWithdrawal(release.body ?? "", why),
    prerelease: isWithdrawn,
  };
}

async function update(
  forge: Forge,
  repository: RepositoryName,
  before: FoundRelease,
  after: Texts,
): Promise<boolean> {
  const isSame =
    (before.name ?? "") === after.name &&
    sameText(before.body ?? "", after.body) &&
    before.prerelease === after.prerelease;
  if (isSame) return false;
  const target = repositoryParameters(repository);
  await forge.rest.repos.updateRelease({ ...target, release_id: before.id, ...after });
  return true;
}

/** GitHub stores line ends as it likes. */
function sameText(a: string, b: string): boolean {
  return a.replaceAll("\r\n", "\n").trimEnd() === b.replaceAll("\r\n", "\n").trimEnd();
}

/** False when it is the latest already. */
async function makeLatest(
  forge: Forge,
  repository: RepositoryName,
  { id, tag_name: tag }: FoundRelease,
): Promise<boolean> {
  const target = repositoryParameters(repository);
  try {
    if ((await forge.rest.repos.getLatestRelease(target)).data.tag_name === tag) return false;
  } catch (error) {
    if (!hasCode(error, "FORGE_NOT_FOUND")) throw error;
  }
  await forge.rest.repos.updateRelease({ ...target, release_id: id, make_latest: "true" });
  return true;
}

async function requireTag(forge: Forge, release: Release): Promise<void> {
  const { repository, tag, commit } = release;
  const target = repositoryParameters(repository);
  try {
    await forge.rest.git.getRef({ ...target, ref: `tags/${tag}` });
  } catch (error) {
    if (!hasCode(error, "FORGE_NOT_FOUND")) throw error;
    throw new CollectiveError("FORGE_TAG_MISSING", `expected the tag ${tag} on GitHub, it is not there`, {
      hint: `git push origin refs/tags/${tag}`,
      cause: error,
    });
  }
  const { sha } = (await forge.rest.repos.getCommit({ ...target, ref: `tags/${tag}` })).data;
  if (sha !== commit) throw tagMoved(release, commit, sha);
}

function tagMoved({ tag }: Release, expected: string, found: string): CollectiveError {
  return new CollectiveError(
    "FORGE_TAG_MOVED",
    `expected the tag ${tag} at ${expected}, found it at ${found}`,
    {
      hint: "a version is never moved; publish the next one instead, and run `cui protect`",
    },
  );
}
