/** What changed between two versions of an appliance: what a release and a bump pull request say about it. */
import { CollectiveError } from "../errors.ts";
import { EMPTY_LOCK, LOCK_FILE, MAX_LOCK_BYTES, parseLock } from "../appliance/lock.ts";
import type { Lock } from "../appliance/loaded-appliance.ts";
import type { Mirror } from "../appliance/mirror.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { changesBetween, type LockChange } from "../appliance/move-lock.ts";
import { compareImages, type ImageDifference } from "../appliance/compare-machine-images.ts";
import { readNotes, type VersionNotes } from "../appliance/version-notes.ts";
import type { Version, Withdrawn } from "../appliance/versions.ts";

export interface VersionDifferenceOptions {
  /** The caller's mirrors. A mirror that lacks one of the versions is fetched, else it is taken as it is. */
  readonly mirrors: Mirrors;
  /** Normalised, as in `cvl.lock`. */
  readonly url: string;
  /** Undefined: nothing is known before `to`, as for a first version. It may be newer than `to`. */
  readonly from: number | undefined;
  readonly to: number;
}

/** Every text in it is a stranger's: to be escaped. */
export interface VersionDifference {
  readonly url: string;
  readonly from: Version | undefined;
  readonly to: Version;
  /** Of each version after `from` up to `to`, the newest first, at most 50; of `to` alone without `from`. */
  readonly notes: readonly VersionNotes[];
  /** A unified diff of CVL files, VM descriptions and `cvl.lock`; empty without `from`, or when none of them changed. */
  readonly cvl: { readonly text: string; readonly isCut: boolean };
  /** What the appliance itself imports, where that moved; a derived appliance's own news. */
  readonly imports: readonly LockChange[];
  /**
   * Machines of the repository's own VM descriptions. Those with a reason are replaced by an update, the rest keep
   * running; `fetchBytes` is what a host with the images of `from` has to fetch. Imported machines: see `imports`.
   */
  readonly images: readonly ImageDifference[];
  /** The sum over `images`; undefined when one of them cannot be counted. */
  readonly fetchBytes: number | undefined;
  /** Why nobody should take `to` any more; undefined when it is not withdrawn. */
  readonly withdrawn: string | undefined;
}

/** Characters of the diff that are kept: a comment and a release take less. */
const MAX_DIFF_CHARACTERS = 100_000;
/** A larger file is only named: git would hold both sides in memory. */
const MAX_DIFF_FILE = "4m";
const DIFFED_FILES = [":(glob)**/*.cvl", ":(glob)**/*.vm.yaml", ":(glob)**/*.vmx", `:(glob)**/${LOCK_FILE}`];

/** @throws CollectiveError REPOSITORY_VERSION_MISSING, and as openMirror and Mirror.fetch. */
export async function describeVersionDifference(
  options: VersionDifferenceOptions,
): Promise<VersionDifference> {
  const { mirrors, url } = options;
  const mirror = await mirrors.get(url);
  const to = await findVersion(mirror, options.to);
  const from = options.from === undefined ? undefined : await findVersion(mirror, options.from);
  const { withdrawn } = await mirror.withdrawn();
  const images = await compareImages({ mirrors, url: mirror.url, from, to });
  return {
    url: mirror.url,
    from,
    to,
    notes: await readNotes(mirror, await stepsBetween(mirror, { from, to, withdrawn })),
    cvl: from === undefined ? { text: "", isCut: false } : await diffFiles(mirror, from, to),
    imports: from === undefined ? [] : await compareLocks(mirror, from, to),
    images,
    fetchBytes: sumOrUndefined(images.map(({ fetchBytes }) => fetchBytes)),
    withdrawn: withdrawn.get(to.version),
  };
}

async function findVersion(mirror: Mirror, version: number): Promise<Version> {
  const known = await mirror.commitOf(version);
  if (known === undefined) await mirror.fetch();
  const found = known ?? (await mirror.commitOf(version));
  if (found !== undefined) return { version, commit: found.commit };
  const newest = (await mirror.versions()).at(-1)?.version;
  throw new CollectiveError("REPOSITORY_VERSION_MISSING", `${mirror.url} has no version ${version}`, {
    data: { url: mirror.url, version },
    hint: newest === undefined ? "it has no published version" : `the newest is ${newest}`,
  });
}

/** The versions to tell of, newest first, each with the commit its own changes begin at. */
async function stepsBetween(
  mirror: Mirror,
  { from, to, withdrawn }: { from: Version | undefined; to: Version; withdrawn: Withdrawn },
): Promise<{ version: Version; since: string | undefined; withdrawn: string | undefined }[]> {
  const versions = await mirror.versions();
  const first = from?.version ?? to.version - 1;
  return versions
    .map((version, index) => ({
      version,
      since: versions[index - 1]?.commit,
      withdrawn: withdrawn.get(version.version),
    }))
    .filter(({ version }) => version.version > first && version.version <= to.version)
    .reverse();
}

/** Hostile attributes and configurations start no program: external diffs and text conversions are off. */
async function diffFiles(mirror: Mirror, from: Version, to: Version): Promise<VersionDifference["cvl"]> {
  const flags = ["--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--unified=3"];
  const text = await mirror.git.run({
    args: [
      ...["-c", `core.bigFileThreshold=${MAX_DIFF_FILE}`, "diff", ...flags],
      ...[from.commit, to.commit, "--", ...DIFFED_FILES],
    ],
    env: { GIT_LITERAL_PATHSPECS: undefined },
  });
  return { text: text.slice(0, MAX_DIFF_CHARACTERS), isCut: text.length > MAX_DIFF_CHARACTERS };
}

async function compareLocks(mirror: Mirror, from: Version, to: Version): Promise<LockChange[]> {
  const [before, after] = await Promise.all([readLock(mirror, from), readLock(mirror, to)]);
  return changesBetween(before, after).filter((change) => change.from !== change.to);
}

/** A lock that cannot be read says nothing; whoever loads the version is told. */
async function readLock(mirror: Mirror, { commit }: Version): Promise<Lock> {
  try {
    const content = await mirror.files(commit).readFile(LOCK_FILE, { maxBytes: MAX_LOCK_BYTES });
    return parseLock(content.toString("utf8"), LOCK_FILE).lock ?? EMPTY_LOCK;
  } catch (error) {
    if (error instanceof CollectiveError) return EMPTY_LOCK;
    throw error;
  }
}

function sumOrUndefined(numbers: readonly (number | undefined)[]): number | undefined {
  let sum = 0;
  for (const number of numbers) {
    if (number === undefined) return undefined;
    sum += number;
  }
  return sum;
}
