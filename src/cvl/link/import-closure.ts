/** Fetches and parses every file a root file imports, directly or not: level by level, each level in parallel. */
import type { Diagnostic } from "../../diagnostics.ts";
import { readImport } from "./import-statement.ts";
import { MAX_CLOSURE_CHARACTERS, MAX_FILES, MAX_IMPORT_DEPTH, MAX_IMPORTS, MAX_TOKENS } from "../limits.ts";
import { parse } from "../parse/parser.ts";
import type { Reporter } from "../report.ts";
import { LimitReached, spanOf } from "./scope.ts";
import type { ImportRequest, ImportResolver, SourceFile } from "../source.ts";
import type { ImportSyntax, SyntaxFile } from "../parse/syntax.ts";

export interface LoadedFile {
  readonly file: SourceFile;
  readonly syntax: SyntaxFile;
  /** Something in it could not be read. */
  readonly isDamaged: boolean;
  /** By statement; undefined where the import failed, which is reported. */
  readonly imports: Map<ImportSyntax, LoadedFile | undefined>;
}

/** The files by displayName, the root first. A circle of imports is reported, and not followed. */
export async function loadClosure(
  root: SourceFile,
  resolver: ImportResolver,
  reporter: Reporter,
): Promise<ReadonlyMap<string, LoadedFile>> {
  const loader = new ClosureLoader(resolver, reporter);
  let level = [loader.add(root)];
  for (let depth = 1; level.length > 0; depth += 1) level = await loader.loadImports(level, depth);
  return loader.files;
}

interface Edge {
  readonly importer: LoadedFile;
  readonly statement: ImportSyntax;
  readonly request: ImportRequest;
}

class ClosureLoader {
  readonly files = new Map<string, LoadedFile>();
  private characters = 0;
  private tokens = 0;
  private statements = 0;
  private readonly resolver: ImportResolver;
  private readonly reporter: Reporter;

  constructor(resolver: ImportResolver, reporter: Reporter) {
    this.resolver = resolver;
    this.reporter = reporter;
  }

  add(file: SourceFile): LoadedFile {
    this.characters += file.text.length;
    if (this.characters > MAX_CLOSURE_CHARACTERS) {
      throw new LimitReached(`a file and its imports may have at most ${MAX_CLOSURE_CHARACTERS} characters`);
    }
    const { file: syntax, diagnostics, size } = parse(file.text, file.displayName);
    this.tokens += size;
    if (this.tokens > MAX_TOKENS) {
      throw new LimitReached(
        `a file and its imports may have at most ${MAX_TOKENS} names, strings, signs and comments`,
      );
    }
    for (const diagnostic of diagnostics) this.reporter.add(diagnostic);
    const loaded: LoadedFile = { file, syntax, isDamaged: diagnostics.length > 0, imports: new Map() };
    this.files.set(file.displayName, loaded);
    return loaded;
  }

  /** Resolves what the files of one level import; the result are the files not met before. */
  async loadImports(level: readonly LoadedFile[], depth: number): Promise<LoadedFile[]> {
    const edges = level.flatMap((importer) => this.readImports(importer));
    if (edges.length === 0) return [];
    if (depth > MAX_IMPORT_DEPTH) {
      throw new LimitReached(`imports may lead at most ${MAX_IMPORT_DEPTH} files deep`);
    }
    const found: LoadedFile[] = [];
    const resolve = this.createResolver();
    for (let at = 0; at < edges.length; at += MAX_AT_ONCE) {
      const batch = edges.slice(at, at + MAX_AT_ONCE);
      const results = await Promise.all(batch.map(({ request }) => resolve(request)));
      batch.forEach((edge, index) => {
        const result = results[index];
        const target = result === undefined ? undefined : this.take(edge, result);
        if (target !== undefined) found.push(target);
      });
    }
    return found;
  }

  /** The file an import led to when it is a new one. */
  private take({ importer, statement }: Edge, result: SourceFile | Diagnostic): LoadedFile | undefined {
    if ("code" in result) {
      this.reporter.add(result);
      importer.imports.set(statement, undefined);
      return undefined;
    }
    const known = this.files.get(result.displayName);
    if (known === undefined && this.files.size >= MAX_FILES)
      throw new LimitReached(`a program may have at most ${MAX_FILES} files`);
    const target = known ?? this.add(result);
    importer.imports.set(statement, target);
    return known === undefined ? target : undefined;
  }

  private readImports(importer: LoadedFile): Edge[] {
    this.statements += importer.syntax.imports.length;
    if (this.statements > MAX_IMPORTS)
      throw new LimitReached(`a program may have at most ${MAX_IMPORTS} imports`);
    return importer.syntax.imports.flatMap((statement) => {
      const request = readImport(statement, importer.file, this.reporter);
      if (request !== undefined) return [{ importer, statement, request }];
      importer.imports.set(statement, undefined);
      return [];
    });
  }

  /** The same request of several statements of one file is made once. */
  private createResolver(): (request: ImportRequest) => Promise<SourceFile | Diagnostic> {
    const pending = new Map<string, Promise<SourceFile | Diagnostic>>();
    return (request) => {
      const key = JSON.stringify([request.from.displayName, request.url, request.cvl, request.version]);
      const promise = pending.get(key) ?? this.resolver.resolve(request);
      pending.set(key, promise);
      return promise;
    };
  }
}

/** Files that are fetched before it is looked at how many and how large they are. */
const MAX_AT_ONCE = 16;

/** Files so that each comes after those it imports; imports that lead back are reported and cut. */
export function orderByImport(root: LoadedFile, reporter: Reporter): LoadedFile[] {
  const ordered: LoadedFile[] = [];
  const done = new Set<LoadedFile>();
  const path: { readonly loaded: LoadedFile; readonly statements: ImportSyntax[] }[] = [];
  const enter = (loaded: LoadedFile) =>
    path.push({ loaded, statements: [...loaded.imports.keys()].reverse() });
  enter(root);
  for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
    const { loaded, statements } = step;
    const statement = statements.pop();
    if (statement === undefined) {
      done.add(loaded);
      ordered.push(loaded);
      path.pop();
      continue;
    }
    const target = loaded.imports.get(statement);
    if (target === undefined || done.has(target)) continue;
    const start = path.findIndex((entry) => entry.loaded === target);
    if (start === -1) {
      enter(target);
      continue;
    }
    const names = [
      ...path.slice(start).map((entry) => entry.loaded.file.displayName),
      target.file.displayName,
    ];
    reporter.report(
      "CVL_IMPORT_CYCLE",
      `files import each other: ${shorten(names).join(" → ")}`,
      spanOf(loaded.file, statement),
      {
        hint: "move what both need into a third appliance",
      },
    );
    loaded.imports.set(statement, undefined);
  }
  return ordered;
}

function shorten(names: readonly string[]): readonly string[] {
  return names.length <= 6 ? names : [...names.slice(0, 4), "…", ...names.slice(-1)];
}
