/**
 * Newer versions of every import in the closure of a folder's CVL files: of its own imports, pinned or not, and of those its
 * upstreams leave open. An upstream's own pins are its business.
 *
 * An import that only an upstream writes follows that upstream: while the upstream's own lock names an older version, it is
 * waited for, so that a chain of appliances moves one version at a time; not longer than `patienceMs`, so that an upstream
 * nobody keeps holds nothing back for good.
 */
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { newestEligible } from "../appliance/choose-version.ts";
import type { IsEligible, Lock, LockEntry, ResolvedImport } from "../appliance/loaded-appliance.ts";
import { findEntry, LOCK_FILE, MAX_LOCK_BYTES, NO_PIN, parseLock } from "../appliance/lock.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import type { Closure } from "./closure.ts";
import type { OwnImport } from "./own-imports.ts";
import { versionDates } from "./version-dates.ts";

export interface Update {
  readonly url: string;
  /** As in the lock: `*`, or the version that is written in the folder's own CVL. */
  readonly pin: string;
  /** Undefined: the lock has no entry for it yet. */
  readonly from: number | undefined;
  readonly to: number;
  /** The own imports that are updated too and whose new version was locked with this one: it comes along with them. */
  readonly carriers: readonly string[];
}

export interface FindUpdatesOptions {
  readonly closure: Closure;
  readonly own: readonly OwnImport[];
  /** The lock as it is written. */
  readonly lock: Lock;
  readonly mirrors: Mirrors;
  readonly isEligible: IsEligible;
  readonly now: number;
  readonly patienceMs: number;
}

/** Ordered by URL and pin. */
export async function findUpdates(options: FindUpdatesOptions): Promise<readonly Update[]> {
  const search = createSearch(options);
  const found: Update[] = [];
  for (const entry of options.closure.lock.imports) {
    const to = await search.targetOf(entry);
    const written = findEntry(options.lock, entry.url, entry.pin);
    const from = entry.pin === NO_PIN ? written?.version : Number(entry.pin);
    if (from !== undefined && to <= from) continue;
    // A pin that is met for the first time goes into the lock with whatever else changes; it is no news.
    if (entry.pin !== NO_PIN && to <= entry.version) continue;
    found.push({ url: entry.url, pin: entry.pin, from, to, carriers: [] });
  }
  return Promise.all(
    found.map(async (update) => ({ ...update, carriers: await search.carriersOf(update, found) })),
  );
}

interface Search {
  /** The version an entry should have; its own when nothing newer may be taken. */
  targetOf(entry: LockEntry): Promise<number>;
  carriersOf(update: Update, all: readonly Update[]): Promise<readonly string[]>;
}

function createSearch(options: FindUpdatesOptions): Search {
  const { closure, own } = options;
  const known = new Map<string, Promise<number>>();
  const isOwn = ({ url, pin }: Pick<LockEntry, "url" | "pin">): boolean =>
    own.some((candidate) => candidate.url === url && candidate.pin === pin);
  const importersOf = (entry: LockEntry): readonly ResolvedImport[] =>
    closure.imports.filter(
      (candidate) =>
        candidate.from.version !== null &&
        candidate.entry.url === entry.url &&
        candidate.entry.pin === entry.pin,
    );

  const decide = async (entry: LockEntry, path: ReadonlySet<string>): Promise<number> => {
    if (isOwn(entry)) return newestOf(options, entry);
    if (entry.pin !== NO_PIN) return entry.version;
    const limits = await Promise.all(
      importersOf(entry).map(async (importer) => lockedBy(importer, entry.url, path)),
    );
    return newestOf(options, entry, Math.min(...limits.map((limit) => limit ?? Infinity)));
  };
  const targetOf = (entry: LockEntry, path: ReadonlySet<string> = new Set()): Promise<number> => {
    const key = `${entry.pin} ${entry.url}`;
    // Repositories that import each other: whoever is met again stays where it is.
    if (path.has(key)) return Promise.resolve(entry.version);
    const target = known.get(key) ?? decide(entry, new Set([...path, key]));
    known.set(key, target);
    return target;
  };
  /** What the importing repository's lock names, in the version it will have; undefined: it does not say. */
  const lockedBy = async (
    { from, file }: ResolvedImport,
    url: string,
    seen: ReadonlySet<string>,
  ): Promise<number | undefined> => {
    const entry = closure.lock.imports.find(
      (candidate) => candidate.url === from.url && candidate.version === from.version,
    );
    const version = entry === undefined ? from.version : await targetOf(entry, seen);
    const lock = version === null ? undefined : await upstreamLock(options.mirrors, from.url, version, file);
    return lock === undefined ? undefined : findEntry(lock, url, NO_PIN)?.version;
  };
  const carriersOf = async (update: Update, all: readonly Update[]): Promise<readonly string[]> => {
    if (isOwn(update)) return [];
    const carriers: string[] = [];
    for (const candidate of all.filter(isOwn)) {
      const files = closure.imports.filter(({ from }) => from.url === candidate.url).map(({ file }) => file);
      for (const file of new Set(files)) {
        const lock = await upstreamLock(options.mirrors, candidate.url, candidate.to, file);
        const locked = lock === undefined ? undefined : findEntry(lock, update.url, NO_PIN);
        if (locked !== undefined && locked.version >= update.to) carriers.push(candidate.url);
      }
    }
    return [...new Set(carriers)].sort();
  };
  return { targetOf: (entry) => targetOf(entry), carriersOf };
}

/** The newest eligible version that is newer and not above `limit`, unless it is older than the patience. */
async function newestOf(options: FindUpdatesOptions, entry: LockEntry, limit = Infinity): Promise<number> {
  const { mirrors, isEligible, now, patienceMs } = options;
  const mirror = await mirrors.get(entry.url);
  const [versions, { withdrawn }] = await Promise.all([mirror.versions(), mirror.withdrawn()]);
  const newer = versions.filter(({ version }) => version > entry.version);
  if (newer.length === 0) return entry.version;
  const dates = limit === Infinity ? new Map<number, number>() : await versionDates(mirror);
  const isPatienceOver = (version: number): boolean => (dates.get(version) ?? now) + patienceMs <= now;
  const found = await newestEligible({
    url: entry.url,
    versions: newer.filter(({ version }) => version <= limit || isPatienceOver(version)),
    withdrawn,
    isEligible,
  });
  return found?.version ?? entry.version;
}

/** The lock beside a file of a version; undefined when there is none, or none that can be read. */
async function upstreamLock(
  mirrors: Mirrors,
  url: string,
  version: number,
  file: string,
): Promise<Lock | undefined> {
  const mirror = await mirrors.get(url);
  const found = await mirror.commitOf(version);
  if (found === undefined) return undefined;
  const name = path.posix.join(path.posix.dirname(file), LOCK_FILE);
  try {
    const content = await mirror.files(found.commit).readFile(name, { maxBytes: MAX_LOCK_BYTES });
    return parseLock(content.toString("utf8"), name).lock;
  } catch (error) {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  }
}
