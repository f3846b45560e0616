/** `cui lock`: moves `cvl.lock` to the newest versions that are not withdrawn. */
import path from "node:path";
import { hasErrors, type Diagnostic, type TextOf } from "../diagnostics.ts";
import type { Git } from "../git/git.ts";
import { inManner } from "../line-ends.ts";
import { rewriteFile } from "../user-file.ts";
import { loadWith } from "./load.ts";
import type { Lock, LockEntry } from "./loaded-appliance.ts";
import { EMPTY_LOCK, findEntry, formatLock, LOCK_FILE, mergeLock, parseLock } from "./lock.ts";
import { withMirrors } from "./mirrors.ts";
import { readRootFile } from "./root-file.ts";

export interface MoveLockOptions {
  readonly cwd: string;
  /** Root files that share a lock, relative to `cwd`. */
  readonly files: readonly string[];
  /** Whether entries that none of these files needs stay: other files may need them. */
  readonly keepsOthers: boolean;
  readonly allow?: readonly string[];
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
}

/** What happened to one import; `undefined` where it was not there before, or is gone. */
export interface LockChange {
  readonly url: string;
  readonly pin: string;
  readonly from: number | undefined;
  readonly to: number | undefined;
}

export interface MoveLockReport {
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** Every import with its version before and after, also where they are the same; undefined when diagnostics has errors: then nothing was written. */
  readonly changes: readonly LockChange[] | undefined;
}

/** A tag that moved is an error here too: the lock never follows it. */
export async function moveLock(git: Git, options: MoveLockOptions): Promise<MoveLockReport> {
  const { files, keepsOthers } = options;
  const texts: TextOf[] = [];
  const textOf: TextOf = (file) => texts.map((find) => find(file)).find((text) => text !== undefined);
  const diagnostics: Diagnostic[] = [];
  let wanted: Lock = EMPTY_LOCK;
  await withMirrors(
    git,
    async (mirrors) => {
      for (const file of files) {
        const loaded = await loadWith(mirrors, {
          file,
          cwd: options.cwd,
          versions: "newest",
          writeLock: false,
          ...(options.allow === undefined ? {} : { allow: options.allow }),
        });
        texts.push(loaded.textOf);
        diagnostics.push(...loaded.diagnostics.filter(({ code }) => code !== "CVL_ROOT_OBJECT"));
        wanted = mergeLock(wanted, loaded.lock.imports);
      }
    },
    { cache: options.cache },
  );
  if (hasErrors(diagnostics)) return { diagnostics, textOf, changes: undefined };
  const { before, lockPath, lockText } = await readBefore(git, files[0] ?? "", options.cwd);
  const after = keepsOthers ? mergeLock(before, wanted.imports) : wanted;
  if (formatLock(after) !== formatLock(before))
    await rewriteFile(lockPath, inManner(lockText, formatLock(after)));
  return { diagnostics, textOf, changes: changesBetween(before, after) };
}

async function readBefore(
  git: Git,
  file: string,
  cwd: string,
): Promise<{ readonly before: Lock; readonly lockPath: string; readonly lockText: string }> {
  const { lockPath, lockText } = await readRootFile(git, { file, cwd });
  const parsed = lockText === undefined ? undefined : parseLock(lockText, LOCK_FILE).lock;
  return { before: parsed ?? EMPTY_LOCK, lockPath: path.resolve(lockPath), lockText: lockText ?? "" };
}

/** Every import of either lock with its version before and after. */
export function changesBetween(before: Lock, after: Lock): LockChange[] {
  const change = ({ url, pin }: LockEntry): LockChange => ({
    url,
    pin,
    from: findEntry(before, url, pin)?.version,
    to: findEntry(after, url, pin)?.version,
  });
  const gone = before.imports.filter(({ url, pin }) => findEntry(after, url, pin) === undefined);
  return [...after.imports, ...gone].map(change);
}
