/** Where a CVL file comes from, and the interface through which imports are fetched: cvl itself does no I/O. */
import type { Diagnostic, Span } from "../diagnostics.ts";

/** One version of one repository; for the root file of a working tree `version` and `commit` are null. */
export interface Source {
  /** Resolved URL of the repository, or the absolute path of the folder the root file lies in. */
  readonly url: string;
  readonly version: number | null;
  /** 40 hex digits. */
  readonly commit: string | null;
}

export interface SourceFile {
  readonly source: Source;
  /** Path inside the repository, `/` between folders. */
  readonly file: string;
  /** The name diagnostics show: `acme.cvl`, or `https://…/DNS@v3:DNS.cvl`. Unique within a program. */
  readonly displayName: string;
  readonly text: string;
}

/** `import { url => …, cvl => …, version => … } Name;` as written; nothing is resolved yet. */
export interface ImportRequest {
  readonly url: string;
  readonly cvl: string;
  /** Undefined: the lock's version, else the newest. */
  readonly version: number | undefined;
  /** The file that imports: relative URLs are relative to its source. */
  readonly from: SourceFile;
  readonly span: Span;
}

/** Given to `link`; `repository/` implements it with mirrors and the lock, tests with a map. */
export interface ImportResolver {
  /** Resolves to the imported file, or to what is wrong (never rejects for a user's mistake). */
  resolve(request: ImportRequest): Promise<SourceFile | Diagnostic>;
}
