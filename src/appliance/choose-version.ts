/** Which version of a repository an import means: its pin, the lock's, or the newest that is not withdrawn. */
import { makeDiagnostic, type Diagnostic, type DiagnosticCode } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { IsEligible, LockEntry } from "./loaded-appliance.ts";
import { NO_PIN } from "./lock.ts";
import type { Mirror } from "./mirror.ts";
import type { Mirrors } from "./mirrors.ts";
import type { RepositoryUrl } from "../git/url.ts";
import { newestVersion, versionGaps, type Version, type Withdrawn } from "./versions.ts";

export interface Chosen {
  readonly entry: LockEntry;
  /** Without a place: that is the import's. */
  readonly warnings: readonly Diagnostic[];
}

/** Leaves at once with what is wrong; its place is the import's. */
export class ChoiceRefused extends Error {
  readonly diagnostic: Diagnostic;

  constructor(code: DiagnosticCode, message: string, hint: string) {
    super(message);
    this.diagnostic = makeDiagnostic(code, message, undefined, { hint });
  }
}

export interface ChooseOptions {
  readonly mirrors: Mirrors;
  readonly target: RepositoryUrl;
  readonly pin: string;
  /** What the lock says for this URL and pin. */
  readonly entry: LockEntry | undefined;
  readonly versions: "locked" | "newest";
  readonly isEligible?: IsEligible | undefined;
  readonly fetch: boolean;
}

/**
 * A tag that no longer points at the locked commit is refused, whatever is asked for.
 * @throws ChoiceRefused, and CollectiveError when the repository cannot be fetched or read
 */
export async function chooseVersion(options: ChooseOptions): Promise<Chosen> {
  const { pin, target } = options;
  const mirror = await options.mirrors.get(target.url);
  const warnings = await bringUpToDate(mirror, options);
  const entry = options.entry === undefined ? undefined : await checkLocked(mirror, options.entry);
  const { withdrawn, diagnostics } = await mirror.withdrawn();
  for (const { message, hint } of diagnostics.slice(0, 1)) {
    const text = `withdrawn.yaml of ${target.url} is ignored: ${message}`;
    warnings.push(warning("WITHDRAWN_INVALID", text, hint));
  }
  if (entry !== undefined && options.versions === "locked") {
    warnings.push(...withdrawnWarning(entry, withdrawn, "the lock names"));
    return { entry, warnings };
  }
  const version = pin === NO_PIN ? await newest({ ...options, mirror, withdrawn, warnings }) : Number(pin);
  const found = await mirror.commitOf(version);
  if (found === undefined) throw await versionMissing(mirror, version);
  const chosen: LockEntry = { url: target.url, pin, version, commit: found.commit, tree: found.tree };
  if (pin !== NO_PIN) warnings.push(...withdrawnWarning(chosen, withdrawn, "the import asks for"));
  return { entry: chosen, warnings };
}

/** Fetches when asked to, or when the mirror lacks what is needed; with all at hand an unreachable remote is a warning. */
async function bringUpToDate(mirror: Mirror, options: ChooseOptions): Promise<Diagnostic[]> {
  const isAtHand = await hasWhatIsNeeded(mirror, options);
  if (isAtHand && !options.fetch) return [];
  try {
    await mirror.fetch();
    return [];
  } catch (error) {
    const isLocked = options.entry !== undefined && options.versions === "locked";
    if (!(error instanceof CollectiveError) || !isAtHand || !isLocked) throw error;
    const { message, hint } = error;
    return [warning("IMPORT_UNREACHABLE", `${message}; the locked version is at hand`, hint)];
  }
}

async function hasWhatIsNeeded(mirror: Mirror, { entry, pin, versions }: ChooseOptions): Promise<boolean> {
  if (entry !== undefined && versions === "locked")
    return (await mirror.commitOf(entry.version)) !== undefined;
  if (pin !== NO_PIN) return (await mirror.commitOf(Number(pin))) !== undefined;
  return false;
}

/** The entry with commit and tree, also where another program left them out. */
async function checkLocked(mirror: Mirror, entry: LockEntry): Promise<LockEntry> {
  const found = await mirror.commitOf(entry.version);
  if (entry.ref !== undefined) {
    const ref = await mirror.refOf(entry.version);
    if (found === undefined || ref !== entry.ref) throw tagMoved(entry, ref, entry.ref);
    const { url, pin, version } = entry;
    return { url, pin, version, commit: found.commit, tree: found.tree };
  }
  if (found?.commit === entry.commit && found.tree === entry.tree) return entry;
  throw tagMoved(entry, found === undefined ? undefined : shown(found), shown(entry));
}

function shown({ commit, tree }: Pick<LockEntry, "commit" | "tree">): string {
  return `${commit.slice(0, 12)}, tree ${tree.slice(0, 12)}`;
}

function tagMoved(entry: LockEntry, now: string | undefined, locked: string): ChoiceRefused {
  const found = now === undefined ? "is gone" : `points at ${now}`;
  return new ChoiceRefused(
    "IMPORT_TAG_MOVED",
    `the tag v${entry.version} of ${entry.url} ${found}, but cvl.lock has ${locked}`,
    "versions never change: ask the publisher; if the change is right, remove the entry from cvl.lock",
  );
}

async function newest({
  mirror,
  withdrawn,
  warnings,
  isEligible,
}: {
  readonly isEligible?: IsEligible | undefined;
  readonly mirror: Mirror;
  readonly withdrawn: Withdrawn;
  readonly warnings: Diagnostic[];
}): Promise<number> {
  const versions = await mirror.versions();
  const gaps = versionGaps(versions);
  if (gaps.length > 0) {
    const list = gaps.map((gap) => `v${gap}`).join(", ");
    const hint = "versions count 1, 2, 3 …: a tag was deleted or not pushed";
    warnings.push(warning("IMPORT_VERSION_GAP", `${mirror.url} has no ${list}`, hint));
  }
  const found = await newestEligible({ url: mirror.url, versions, withdrawn, isEligible });
  if (found !== undefined) return found.version;
  throw new ChoiceRefused(
    "IMPORT_VERSION_MISSING",
    versions.length === 0
      ? `${mirror.url} has no published version`
      : `all versions of ${mirror.url} are withdrawn${isEligible === undefined ? "" : ", or the rules hold them back"}`,
    "a version is a tag v1, v2, …; `cui publish` makes one",
  );
}

/** The newest version that is neither withdrawn nor held back. */
export async function newestEligible({
  url,
  versions,
  withdrawn,
  isEligible,
}: {
  readonly url: string;
  readonly versions: readonly Version[];
  readonly withdrawn: Withdrawn;
  readonly isEligible?: IsEligible | undefined;
}): Promise<Version | undefined> {
  if (isEligible === undefined) return newestVersion(versions, withdrawn);
  const descending = [...versions].sort((a, b) => b.version - a.version);
  for (const version of descending) {
    if (!withdrawn.has(version.version) && (await isEligible({ url, version: version.version })))
      return version;
  }
  return undefined;
}

async function versionMissing(mirror: Mirror, version: number): Promise<ChoiceRefused> {
  const last = (await mirror.versions()).at(-1);
  return new ChoiceRefused(
    "IMPORT_VERSION_MISSING",
    `${mirror.url} has no version ${version}`,
    last === undefined ? "it has no published version" : `the newest is ${last.version}`,
  );
}

function withdrawnWarning(entry: LockEntry, withdrawn: Withdrawn, who: string): Diagnostic[] {
  const why = withdrawn.get(entry.version);
  if (why === undefined) return [];
  return [
    warning(
      "IMPORT_WITHDRAWN",
      `${who} version ${entry.version} of ${entry.url}, which is withdrawn: ${why}`,
      entry.pin === NO_PIN ? "`cui lock` moves to the newest version" : "import another version",
    ),
  ];
}

function warning(code: DiagnosticCode, message: string, hint?: string): Diagnostic {
  return makeDiagnostic(code, message, undefined, { hint, severity: "warning" });
}
