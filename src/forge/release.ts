/** The release of a version's tag. GitHub would make a missing tag by itself: here a release never makes one. */
import { CollectiveError } from "../errors.ts";
import { createOnce } from "./create-once.ts";
import { hasCode } from "./forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "./forge.ts";

export interface Release {
  readonly repository: RepositoryName;
  /** `v6` */
  readonly tag: string;
  /** The commit the tag was checked at. */
  readonly commit: string;
  readonly name: string;
  /** Markdown. */
  readonly body: string;
  /** False for any but the newest version, and for a withdrawn one. */
  readonly isLatest: boolean;
}

export interface ReleaseResult {
  readonly outcome: "created" | "updated" | "unchanged";
  readonly url: string;
}

interface FoundRelease {
  readonly id: number;
  readonly html_url: string;
  readonly name: string | null;
  readonly body?: string | null;
}

/** @throws CollectiveError FORGE_TAG_MISSING, FORGE_TAG_MOVED. */
export async function publishRelease(forge: Forge, release: Release): Promise<ReleaseResult> {
  const target = repositoryParameters(release.repository);
  const { tag, name, body } = release;
  await requireTag(forge, release);
  const latest = { make_latest: release.isLatest ? "true" : "false" } as const;
  const { item, isNew } = await createOnce<FoundRelease>(forge, {
    find: () => findRelease(forge, release),
    create: async () =>
      (await forge.rest.repos.createRelease({ ...target, tag_name: tag, name, body, ...latest })).data,
  });
  if (item.name === name && (item.body ?? "").trimEnd() === body.trimEnd()) {
    return { outcome: isNew ? "created" : "unchanged", url: item.html_url };
  }
  await forge.rest.repos.updateRelease({ ...target, release_id: item.id, name, body, ...latest });
  return { outcome: "updated", url: item.html_url };
}

async function findRelease(forge: Forge, { repository, tag }: Release): Promise<FoundRelease | undefined> {
  try {
    return (await forge.rest.repos.getReleaseByTag({ ...repositoryParameters(repository), tag })).data;
  } catch (error) {
    if (hasCode(error, "FORGE_NOT_FOUND")) return undefined;
    throw error;
  }
}

async function requireTag(forge: Forge, { repository, tag, commit }: Release): Promise<void> {
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
  if (sha === commit) return;
  throw new CollectiveError(
    "FORGE_TAG_MOVED",
    `expected the tag ${tag} at ${commit}, GitHub has it at ${sha}`,
    {
      hint: "a version is never moved; publish the next one instead, and run `cui protect`",
    },
  );
}
