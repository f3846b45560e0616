/** The next version of an appliance whose default branch is its releases: the tag is made where the branch is. */
import { CollectiveError } from "../../errors.ts";
import type { Mirror } from "../../appliance/mirror.ts";
import type { Mirrors } from "../../appliance/mirrors.ts";
import { compareImages } from "../../appliance/compare-machine-images.ts";
import type { Version } from "../../appliance/versions.ts";
import type { VersionSource } from "../../preview/describe-version.ts";
import { alreadyExists, hasCode, isAmbiguous } from "../forge-error.ts";
import { repositoryParameters, type Forge, type RepositoryName } from "../forge.ts";
import { findCommit, isAncestor } from "../../git/history.ts";

/** Besides machine images, what an appliance consists of; a new README is no new version. */
const VERSIONED = [":(glob)**/*.cvl", ":(glob)**/cvl.lock"];

export type NextVersion =
  | { readonly kind: "next"; readonly version: number }
  /** A version holds this commit already: the work may have broken off after its tag. */
  | { readonly kind: "tagged"; readonly version: number }
  | { readonly kind: "none"; readonly why: string };

/** Which version `commit`, a commit of the default branch, is to be. The mirror of `url` must be fetched. */
export async function findNextVersion({ mirrors, url, commit }: VersionSource): Promise<NextVersion> {
  const mirror = await mirrors.get(url);
  const versions = await mirror.versions();
  const tagged = versions.findLast((entry) => entry.commit === commit);
  if (tagged !== undefined) return { kind: "tagged", version: tagged.version };
  const tip = await mirror.branchTip();
  if (tip === undefined || !(await isBefore(mirror, commit, tip))) {
    return { kind: "none", why: "the commit is not on the default branch any more" };
  }
  const newest = versions.at(-1);
  if (newest === undefined) return { kind: "next", version: 1 };
  if (await isBefore(mirror, commit, newest.commit)) {
    return { kind: "none", why: `v${newest.version} is later than this commit` };
  }
  if (!(await differs(mirrors, mirror, { newest, commit }))) {
    return { kind: "none", why: `nothing that v${newest.version} consists of has changed` };
  }
  return { kind: "next", version: newest.version + 1 };
}

/**
 * Makes the tag, lightweight, unless it is at `commit` already. False: another took the number meanwhile.
 * @throws CollectiveError FORGE_….
 */
export async function createVersionTag(
  forge: Forge,
  repository: RepositoryName,
  { version, commit }: Version,
): Promise<boolean> {
  const target = repositoryParameters(repository);
  for (let attempt = 1; ; attempt += 1) {
    const found = await readTag(forge, repository, version);
    if (found !== undefined) return found === commit;
    try {
      await forge.rest.git.createRef({ ...target, ref: `refs/tags/v${version}`, sha: commit });
      return true;
    } catch (error) {
      const isTaken =
        alreadyExists(error) || (hasCode(error, "FORGE_REFUSED") && /already exists/i.test(error.message));
      if ((!isTaken && !isAmbiguous(error)) || attempt > forge.limits.retries) throw error;
    }
  }
}

/** The commit of a version's tag on the forge. */
async function readTag(
  forge: Forge,
  repository: RepositoryName,
  version: number,
): Promise<string | undefined> {
  const target = repositoryParameters(repository);
  try {
    await forge.rest.git.getRef({ ...target, ref: `tags/v${version}` });
  } catch (error) {
    if (hasCode(error, "FORGE_NOT_FOUND")) return undefined;
    throw error;
  }
  return (await forge.rest.repos.getCommit({ ...target, ref: `tags/v${version}` })).data.sha;
}

/** @throws CollectiveError REPOSITORY_COMMIT_MISSING. */
async function isBefore(mirror: Mirror, commit: string, of: string): Promise<boolean> {
  if ((await findCommit(mirror.git, commit)) !== undefined) return isAncestor(mirror.git, commit, of);
  throw new CollectiveError("REPOSITORY_COMMIT_MISSING", `${mirror.url} has no commit ${commit}`, {
    hint: "the branch was moved meanwhile; the push that moved it has a run of its own",
  });
}

async function differs(
  mirrors: Mirrors,
  mirror: Mirror,
  { newest, commit }: { newest: Version; commit: string },
): Promise<boolean> {
  const flags = ["--name-only", "--no-ext-diff", "--no-textconv"];
  const names = await mirror.git.run({
    args: ["diff", ...flags, newest.commit, commit, "--", ...VERSIONED],
    env: { GIT_LITERAL_PATHSPECS: undefined },
  });
  if (names !== "") return true;
  const to = { version: newest.version + 1, commit };
  const images = await compareImages({ mirrors, url: mirror.url, from: newest, to });
  return images.some(({ reasons }) => reasons.length > 0);
}
