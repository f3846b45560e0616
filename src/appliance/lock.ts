/** `cvl.lock`: which version every import of the closure means, down to the commit. */
import { Document } from "yaml";
import * as z from "zod";
import type { Diagnostic } from "../diagnostics.ts";
import type { Lock, LockEntry } from "./loaded-appliance.ts";
import { parseYamlDocument } from "./yaml-document.ts";
import { repositoryKey } from "../git/repository-identity.ts";
import { commitIdSchema } from "../git/commit-id-schema.ts";

export const LOCK_FILE = "cvl.lock";
export const MAX_LOCK_BYTES = 4 * 1024 * 1024;
/** The pin of an import without `version`. */
export const NO_PIN = "*";

const objectId = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, "expected 40 or 64 hex digits");

const entry = z
  .strictObject({
    url: z.string().min(1).max(2048),
    pin: z.string().regex(/^(\*|[1-9][0-9]{0,8})$/, "expected a version number or *"),
    version: z.int().min(1).max(999_999_999),
    commit: commitIdSchema.optional(),
    tree: objectId.optional(),
    ref: objectId.optional(),
  })
  .superRefine(({ commit, tree, ref }, context) => {
    const isWhole = commit !== undefined && tree !== undefined && ref === undefined;
    const isRef = commit === undefined && tree === undefined && ref !== undefined;
    if (!isWhole && !isRef) {
      context.addIssue({ code: "custom", message: "expected `commit` and `tree`, or `ref` in their place" });
    }
  })
  .transform(({ commit = "", tree = "", ref, ...rest }): LockEntry => ({
    ...rest,
    commit,
    tree,
    ...(ref === undefined ? {} : { ref }),
  }));

const schema = z.strictObject({ format: z.literal(1), imports: z.array(entry).max(10_000) });

/** Parses a lock file; `lock` is undefined when diagnostics has errors. `file` is what diagnostics show. */
export function parseLock(
  text: string,
  file: string,
): { readonly lock: Lock | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { value, diagnostics } = parseYamlDocument({ text, file, schema, code: "LOCK_INVALID" });
  return { lock: value, diagnostics };
}

const HEAD =
  " Written by cui: the version of every import, down to the commit. `cui lock` moves it to the newest.";

/** The file's text; entries by URL and pin, so that a change is a small diff. */
export function formatLock(lock: Lock): string {
  const imports = [...lock.imports]
    .sort(compareEntries)
    .map(({ url, pin, version, commit, tree, ref }) =>
      ref === undefined ? { url, pin, version, commit, tree } : { url, pin, version, ref },
    );
  // Other programs may read YAML 1.1: what they would take for a number or a truth value is quoted.
  const document = new Document({ format: lock.format, imports }, { compat: "yaml-1.1" });
  document.commentBefore = HEAD;
  return document.toString({ lineWidth: 0 });
}

export function pinOf(version: number | undefined): string {
  return version === undefined ? NO_PIN : String(version);
}

/** The entry for a URL and a pin: for just that text, else for the repository it names. */
export function findEntry(lock: Lock, url: string, pin: string): LockEntry | undefined {
  const entries = indexOf(lock);
  return entries.get(`${pin} ${url}`) ?? entries.get(keyOf({ url, pin }));
}

/** A lock does not change, and is asked for every import. */
const indexes = new WeakMap<Lock, ReadonlyMap<string, LockEntry>>();

function indexOf(lock: Lock): ReadonlyMap<string, LockEntry> {
  const known = indexes.get(lock);
  if (known !== undefined) return known;
  const index = new Map<string, LockEntry>();
  for (const entry of lock.imports.toReversed()) {
    index.set(keyOf(entry), entry);
    index.set(`${entry.pin} ${entry.url}`, entry);
  }
  indexes.set(lock, index);
  return index;
}

/** `lock` with `entries` put in the place of those of the same repository and pin. */
export function mergeLock(lock: Lock, entries: readonly LockEntry[]): Lock {
  const replaced = new Set(entries.map(keyOf));
  const imports = [...lock.imports.filter((entry) => !replaced.has(keyOf(entry))), ...entries];
  return { format: 1, imports: imports.sort(compareEntries) };
}

export const EMPTY_LOCK: Lock = { format: 1, imports: [] };

function keyOf({ url, pin }: Pick<LockEntry, "url" | "pin">): string {
  return `${pin} ${repositoryKey(url)}`;
}

function compareEntries(a: LockEntry, b: LockEntry): number {
  if (a.url !== b.url) return a.url < b.url ? -1 : 1;
  return a.pin < b.pin ? -1 : Number(a.pin > b.pin);
}
