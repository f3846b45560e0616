/** The contract of `loadAppliance` (load.ts): from a CVL file on disk, or in a commit, to a linked program. */
import type { LinkedProgram } from "../cvl/link/program.ts";
import type { Source, SourceFile } from "../cvl/source.ts";
import type { Diagnostic, TextOf } from "../diagnostics.ts";

export interface LoadOptions {
  /** The root CVL file, relative to `cwd`. */
  readonly file: string;
  readonly cwd: string;
  /** Read the root file and its lock from this commit of the enclosing repository instead of the working tree. */
  readonly rev?: string;
  /** The root file and its lock, where they are read already: `file` and `cwd` only say where they lie. */
  readonly root?: RootFile;
  /** Name of the root object where the file has several. */
  readonly object?: string;
  /** `locked`: the lock beside the root file decides, the newest where it says nothing. `newest`: pins and newest only. */
  readonly versions: "locked" | "newest";
  /** Versions for which it is false are never taken for the newest. Default: all that are not withdrawn may be. */
  readonly isEligible?: IsEligible;
  /** Write `cvl.lock` when imports were resolved that it lacks (never with `rev`). */
  readonly writeLock: boolean;
  /** URL prefixes imports may come from; undefined allows all. */
  readonly allow?: readonly string[];
  /** Refuse path and file URLs (previews). */
  readonly refusePaths?: boolean;
  /** Refuse path and file URLs that lead out of this folder (a repository that checks what is pushed to it). */
  readonly pathsBelow?: string;
  /** Look for new tags on the remotes; false uses the mirrors as they are when they hold what is needed. Default true. */
  readonly fetch?: boolean;
  /** What relative URLs of the root file are relative to; default the URL of `origin`, else the folder of its repository. */
  readonly baseUrl?: string;
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
}

/** The root CVL file with the lock beside it (root-file.ts). */
export interface RootFile {
  readonly source: SourceFile;
  /** Its text is no UTF-8. */
  readonly diagnostics: readonly Diagnostic[];
  /** Absolute path of the lock beside it. */
  readonly lockPath: string;
  readonly lockText: string | undefined;
}

/** Whether a version of a repository may be chosen, by the rules of whoever asks. */
export type IsEligible = (candidate: Pick<LockEntry, "url" | "version">) => boolean | Promise<boolean>;

/** One import that was resolved. */
export interface ResolvedImport {
  readonly from: Source;
  /** Path of the importing file inside its repository. */
  readonly file: string;
  readonly entry: LockEntry;
}

export interface LoadedAppliance {
  /** Undefined when diagnostics has errors that prevent linking. */
  readonly program: LinkedProgram | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** Adds a text that `textOf` will find: a VM description that a diagnostic points into. */
  addText(file: string, text: string): void;
  readonly lock: Lock;
  /** Who imports what, over the whole closure. */
  readonly imports: readonly ResolvedImport[];
}

/** `cvl.lock`: one entry for every import in the closure. */
export interface Lock {
  readonly format: 1;
  readonly imports: readonly LockEntry[];
}

export interface LockEntry {
  /** Resolved URL. */
  readonly url: string;
  /** The pin as written, or `*`. */
  readonly pin: string;
  readonly version: number;
  /** Empty, as `tree` is, while there is a `ref`. */
  readonly commit: string;
  readonly tree: string;
  /**
   * In a lock that another program moved (Renovate): the object the tag's ref names, a commit or a tag object. It holds the
   * version as fast as the commit does; whatever loads the entry has commit and tree in its place.
   */
  readonly ref?: string | undefined;
}
