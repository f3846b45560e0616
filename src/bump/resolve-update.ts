/** What some updates make of a folder's files: pins in CVL, and the lock of the whole closure. */
import { CollectiveError, type ErrorDetails } from "../errors.ts";
import { placeDiagnostic, renderDiagnostic, type Diagnostic, type TextOf } from "../diagnostics.ts";
import type { Lock, LockEntry } from "../appliance/loaded-appliance.ts";
import { findEntry, formatLock, LOCK_FILE, mergeLock, NO_PIN } from "../appliance/lock.ts";
import { loadClosure, type Closure, type ClosureOptions } from "./closure.ts";
import type { Update } from "./find-updates.ts";
import { editPins, type OwnImport } from "./own-imports.ts";

/** What happens to one repository of the closure; undefined where it was not there before, or is gone. */
export interface VersionChange {
  readonly url: string;
  /** Written in the folder's own CVL; undefined: the lock decides. */
  readonly pin: number | undefined;
  readonly from: number | undefined;
  readonly to: number | undefined;
}

export interface ResolvedUpdate {
  /** Files of the folder with other content, by name; empty when nothing is to be done. */
  readonly files: ReadonlyMap<string, string>;
  readonly lock: Lock;
  readonly changes: readonly VersionChange[];
}

export interface ResolveOptions extends ClosureOptions {
  /** Of the base, before anything changes. */
  readonly closure: Closure;
  readonly own: readonly OwnImport[];
  readonly updates: readonly Update[];
}

/** @throws CollectiveError INVALID_INPUT with every mistake when the new versions do not go together. */
export async function resolveUpdate(options: ResolveOptions): Promise<ResolvedUpdate> {
  const { base, own, updates, closure } = options;
  const edits = updates
    .filter(({ pin }) => pin !== NO_PIN)
    .map(({ url, pin, to }) => ({ url, from: pin, to }));
  const cvlFiles = new Map(
    [...base.cvlFiles].map(([file, text]) => [
      file,
      editPins(
        text,
        own.filter((candidate) => candidate.file === file),
        edits,
      ),
    ]),
  );
  // A closure without a lock is as locked as any while one group of it moves.
  const before = mergeLock(closure.lock, base.lock.imports);
  const moved = await Promise.all(
    updates.filter(({ pin }) => pin === NO_PIN).map((update) => entryOf(options, update)),
  );
  const after = await loadClosure(options, { cvlFiles, lock: mergeLock(before, moved) });
  refuseErrors(after.diagnostics, after.textOf, "the new versions do not go together");
  const lock = {
    format: 1,
    imports: after.lock.imports.filter((entry) => isConcerned(entry, options)),
  } as const;
  const files = new Map([...cvlFiles].filter(([file, text]) => base.cvlFiles.get(file) !== text));
  const lockText = formatLock(lock);
  if (lock.imports.length > 0 && (!base.isLocked || lockText !== formatLock(base.lock))) {
    files.set(LOCK_FILE, lockText);
  }
  return { files, lock, changes: changesOf(options, after.lock) };
}

/** @throws CollectiveError INVALID_INPUT that shows all errors. */
export function refuseErrors(
  diagnostics: readonly Diagnostic[],
  textOf: TextOf,
  message: string,
  details: ErrorDetails = {},
): void {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return;
  const shown = errors.slice(0, 20);
  const rendered = shown.map((diagnostic) => renderDiagnostic(diagnostic, textOf));
  throw new CollectiveError("INVALID_INPUT", `${message}\n${rendered.join("\n")}`, {
    ...details,
    diagnostics: shown.map((diagnostic) => placeDiagnostic(diagnostic, textOf)),
  });
}

async function entryOf({ mirrors }: ResolveOptions, { url, pin, to }: Update): Promise<LockEntry> {
  const found = await (await mirrors.get(url)).commitOf(to);
  if (found === undefined) throw new Error(`v${to} of ${url} was there a moment ago`);
  return { url, pin, version: to, commit: found.commit, tree: found.tree };
}

/** An entry the lock lacks and this update has nothing to do with is left to its own update. */
function isConcerned({ url, pin }: LockEntry, { base, closure, updates }: ResolveOptions): boolean {
  const isWritten = findEntry(base.lock, url, pin) !== undefined;
  const wasNeeded = findEntry(closure.lock, url, pin) !== undefined;
  return isWritten || !wasNeeded || pin !== NO_PIN || updates.some((update) => update.url === url);
}

function changesOf({ base, closure, updates }: ResolveOptions, after: Lock): VersionChange[] {
  const asked = updates.map(({ url, pin, from, to }) => ({
    url,
    pin: pin === NO_PIN ? undefined : to,
    from,
    to,
  }));
  const isAsked = ({ url, pin, version }: LockEntry): boolean =>
    updates.some(
      (update) =>
        update.url === url && (update.pin === pin || String(update.to) === pin || update.from === version),
    );
  const before = mergeLock(closure.lock, base.lock.imports);
  const added = after.imports.filter((entry) => findEntry(before, entry.url, entry.pin) === undefined);
  const gone = closure.lock.imports.filter((entry) => findEntry(after, entry.url, entry.pin) === undefined);
  return [
    ...asked,
    ...added.filter((entry) => !isAsked(entry)).map((entry) => changeOf(entry, "to")),
    ...gone.filter((entry) => !isAsked(entry)).map((entry) => changeOf(entry, "from")),
  ];
}

function changeOf({ url, pin, version }: LockEntry, side: "from" | "to"): VersionChange {
  const versions = { from: undefined, to: undefined, [side]: version };
  return { url, pin: pin === NO_PIN ? undefined : Number(pin), ...versions };
}
