/** The imports a repository's own CVL files write: where their pins stand, and the text with other pins. */
import { readImport } from "../cvl/link/import-statement.ts";
import { parse } from "../cvl/parse/parser.ts";
import { createReporter } from "../cvl/report.ts";
import type { SyntaxRange } from "../cvl/parse/syntax.ts";
import { pinOf } from "../appliance/lock.ts";
import { isRefusedUrl, resolveUrl } from "../git/url.ts";

export interface OwnImport {
  /** Name of the CVL file. */
  readonly file: string;
  /** Resolved. */
  readonly url: string;
  /** As in the lock: a version or `*`. */
  readonly pin: string;
  /** Of the version string with its quotes; undefined without a pin. */
  readonly pinRange: SyntaxRange | undefined;
}

/** Imports that are wrong are left out: loading the file reports them. */
export function readOwnImports({
  file,
  text,
  baseUrl,
}: {
  readonly file: string;
  readonly text: string;
  /** What relative URLs are relative to. */
  readonly baseUrl: string;
}): readonly OwnImport[] {
  const from = {
    source: { url: baseUrl, version: null, commit: null },
    file,
    displayName: file,
    text,
  };
  const { imports } = parse(text, file).file;
  return imports.flatMap((statement): OwnImport[] => {
    const request = readImport(statement, from, createReporter());
    if (request === undefined) return [];
    const target = resolveUrl(request.url, baseUrl);
    if (isRefusedUrl(target)) return [];
    const pinRange = statement.map.pairs.find(({ key }) => key.text === "version")?.value;
    return [{ file, url: target.url, pin: pinOf(request.version), pinRange }];
  });
}

export interface PinEdit {
  readonly url: string;
  readonly from: string;
  readonly to: number;
}

/** `text` with other version strings in its import statements; every other character stays. */
export function editPins(text: string, imports: readonly OwnImport[], edits: readonly PinEdit[]): string {
  const replacements = imports.flatMap(({ url, pin, pinRange }) => {
    const edit = edits.find((candidate) => candidate.url === url && candidate.from === pin);
    return edit === undefined || pinRange === undefined ? [] : [{ ...pinRange, version: edit.to }];
  });
  let edited = text;
  for (const { start, end, version } of replacements.sort((a, b) => b.start - a.start)) {
    edited = `${edited.slice(0, start)}"${version}"${edited.slice(end)}`;
  }
  return edited;
}
