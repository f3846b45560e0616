/** Whether a commit in a mirror may be a version of its appliance, or is one rightly: what a release asks. */
import type { Mirror } from "../appliance/mirror.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { makeDiagnostic, type Diagnostic, type TextOf } from "../diagnostics.ts";
import type { Oid } from "../disk/object-store.ts";
import { CollectiveError } from "../errors.ts";
import { listWhole } from "../git/commit-listing.ts";
import { openGitObjects } from "../git/objects.ts";
import { isLocal, isRefusedUrl, parseUrl } from "../git/url.ts";
import { readPointers, type PointerFile } from "../lfs/listed-pointers.ts";
import { ALL_RULES, checkVersion } from "./check-version.ts";
import { openCandidate, type CandidateNetwork } from "./version-candidate.ts";

export interface CheckPublishedOptions {
  /** The caller's mirrors; that of `url` has the commit. */
  readonly mirrors: Mirrors;
  /** Normalised. Relative imports start from it, and imports by path are refused unless it is one. */
  readonly url: string;
  readonly commit: string;
  /** The number it has, or is to have. */
  readonly version: number;
  /** Objects that were found whole before, with an earlier version; they are not fetched again. */
  readonly knownObjects?: ReadonlySet<Oid>;
}

export interface CheckedVersion {
  /** Without an error: it may be one. */
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** Of its CVL files. */
  readonly networks: readonly CandidateNetwork[];
}

/** Fetches the objects: each is there whole when there is no error. @throws CollectiveError as openMirror and Mirror.fetch. */
export async function checkPublished(options: CheckPublishedOptions): Promise<CheckedVersion> {
  const { mirrors, url, commit, version, knownObjects = new Set() } = options;
  const mirror = await mirrors.get(url);
  const target = parseUrl(url);
  const objects = openGitObjects(mirror.git);
  try {
    const candidate = openCandidate({
      ...{ where: `v${version}`, mirrors, git: mirror.git, objects, commit, version },
      numbers: new Set((await mirror.versions()).map((entry) => entry.version)),
      imports: { baseUrl: url, refusePaths: isRefusedUrl(target) || !isLocal(target) },
      findMissing: (pointers) =>
        fetchObjects(
          mirror,
          commit,
          pointers.filter(({ oid }) => !knownObjects.has(oid)),
        ),
    });
    const diagnostics = await checkVersion(candidate, ALL_RULES);
    return { diagnostics, textOf: candidate.textOf, networks: await candidate.networks() };
  } finally {
    await objects.close();
  }
}

/** Every Git LFS object a commit of a mirror has a pointer to. */
export async function objectsOf({ git, url }: Mirror, commit: string): Promise<ReadonlySet<Oid>> {
  const objects = openGitObjects(git);
  try {
    const files = await listWhole({ git, commit, where: `${url} at ${commit.slice(0, 12)}` });
    return new Set((await readPointers(objects, files)).map(({ oid }) => oid));
  } finally {
    await objects.close();
  }
}

async function fetchObjects(
  mirror: Mirror,
  commit: string,
  pointers: readonly PointerFile[],
): Promise<readonly Diagnostic[]> {
  try {
    await mirror.ensureObjects(commit, pointers);
    return [];
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    const message = `a Git LFS object of the version cannot be had: ${error.message}`;
    const hint = "send it with `git lfs push --all`, then run this job again: the tag can stay";
    return [makeDiagnostic("VERSION_OBJECT_MISSING", message, undefined, { hint })];
  }
}
