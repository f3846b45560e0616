/** The import closure of all CVL files of a folder, with texts and a lock that need not be written anywhere. */
import path from "node:path";
import type { Diagnostic, TextOf } from "../diagnostics.ts";
import { loadWith } from "../appliance/load.ts";
import type { IsEligible, Lock, ResolvedImport } from "../appliance/loaded-appliance.ts";
import { EMPTY_LOCK, formatLock, LOCK_FILE, mergeLock } from "../appliance/lock.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import type { BumpBase } from "./base.ts";

export interface ClosureOptions {
  readonly base: BumpBase;
  readonly mirrors: Mirrors;
  readonly isEligible: IsEligible;
  /** URL prefixes imports may come from; undefined allows all. */
  readonly allow?: readonly string[] | undefined;
  readonly refusePaths?: boolean | undefined;
}

export interface Closure {
  /** One entry for every import of the closure. */
  readonly lock: Lock;
  readonly imports: readonly ResolvedImport[];
  /** A file without a root object is a library: that is no mistake here. */
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
}

/** Loads `cvlFiles` with `lock`; what the lock does not name is resolved to the newest version that is eligible. */
export async function loadClosure(
  options: ClosureOptions,
  { cvlFiles, lock }: Pick<BumpBase, "cvlFiles" | "lock">,
): Promise<Closure> {
  const { base, mirrors, isEligible, allow, refusePaths } = options;
  const lockText = formatLock(lock);
  const texts: TextOf[] = [];
  const imports: ResolvedImport[] = [];
  const diagnostics: Diagnostic[] = [];
  let wanted: Lock = EMPTY_LOCK;
  for (const [file, text] of cvlFiles) {
    const loaded = await loadWith(mirrors, {
      file,
      cwd: base.folder,
      root: {
        source: {
          source: { url: base.folder, version: null, commit: base.commit ?? null },
          file: base.pathOf(file),
          displayName: file,
          text,
        },
        diagnostics: [],
        lockPath: path.join(base.folder, LOCK_FILE),
        lockText,
      },
      baseUrl: base.url,
      versions: "locked",
      writeLock: false,
      isEligible,
      ...(allow === undefined ? {} : { allow }),
      ...(refusePaths === undefined ? {} : { refusePaths }),
    });
    texts.push(loaded.textOf);
    imports.push(...loaded.imports);
    diagnostics.push(...loaded.diagnostics.filter(({ code }) => code !== "CVL_ROOT_OBJECT"));
    wanted = mergeLock(wanted, loaded.lock.imports);
  }
  const textOf: TextOf = (name) => texts.map((find) => find(name)).find((text) => text !== undefined);
  return { lock: wanted, imports, diagnostics, textOf };
}
