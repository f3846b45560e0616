/** Binds a root file and everything it imports into one program. The only asynchronous stage: imports are fetched. */
import type { Diagnostic } from "../../diagnostics.ts";
import { bindFile, type Classes } from "./bind.ts";
import { checkContainment } from "./containment.ts";
import { checkFileAssignments } from "./file-assignments.ts";
import { type LoadedFile, loadClosure, orderByImport } from "./import-closure.ts";
import { MAX_BOUND_NAMES } from "../limits.ts";
import type { ObjectClass } from "./object-class.ts";
import { parse } from "../parse/parser.ts";
import { PREDEFINED_FILE } from "./predefined.ts";
import type { LinkedProgram } from "./program.ts";
import { createReporter, quote, type Reporter } from "../report.ts";
import { type Budget, createBudget, LimitReached, spanOf } from "./scope.ts";
import type { ImportResolver, SourceFile } from "../source.ts";
import type { ImportSyntax } from "../parse/syntax.ts";

export interface LinkOptions {
  /** Name of the root object; default: the only one, or the one named like the file. */
  readonly object?: string;
}

export interface LinkResult {
  /** Undefined when there are errors. */
  readonly program: LinkedProgram | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** All mistakes of all files are in `diagnostics`; rejects only when the resolver does. */
export async function link(
  root: SourceFile,
  resolver: ImportResolver,
  options: LinkOptions = {},
): Promise<LinkResult> {
  const reporter = createReporter();
  try {
    const program = await linkInto(root, resolver, { options, reporter });
    return {
      program: reporter.hasErrors ? undefined : program,
      diagnostics: sortByPlace(reporter.diagnostics),
    };
  } catch (error) {
    if (!(error instanceof LimitReached)) throw error;
    reporter.add({ ...error.diagnostic, span: { file: root.displayName, start: 0, end: 0 } });
    return { program: undefined, diagnostics: reporter.diagnostics };
  }
}

/** The files in the order in which something was found in them, each from top to bottom; "too many" stays last. */
function sortByPlace(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const files = [...new Set(diagnostics.map(({ span }) => span?.file))];
  const rank = ({ code, span }: Diagnostic) =>
    code === "CVL_TOO_MANY_ERRORS" ? files.length : files.indexOf(span?.file);
  return [...diagnostics].sort(
    (left, right) => rank(left) - rank(right) || (left.span?.start ?? 0) - (right.span?.start ?? 0),
  );
}

async function linkInto(
  root: SourceFile,
  resolver: ImportResolver,
  { options, reporter }: { readonly options: LinkOptions; readonly reporter: Reporter },
): Promise<LinkedProgram | undefined> {
  const loaded = await loadClosure(root, resolver, reporter);
  const rootFile = loaded.get(root.displayName);
  if (rootFile === undefined) return undefined;
  const budget = createBudget(
    MAX_BOUND_NAMES,
    "objects, parameters and components in all files, inherited ones included",
  );
  const linker = new Linker(budget, reporter);
  const ordered = orderByImport(rootFile, reporter);
  for (const file of ordered) linker.bind(file, file === rootFile);
  checkContainment(linker.allClasses(), reporter);
  const rootClass = linker.pickRoot(rootFile, options.object);
  if (rootClass === undefined) return undefined;
  const files = new Map([[PREDEFINED_FILE.displayName, PREDEFINED_FILE]]);
  for (const [name, { file }] of loaded) files.set(name, file);
  return { root, object: rootClass.name, files, rootClass, objects: linker.objectsOf(rootFile) };
}

class Linker {
  private readonly bound = new Map<LoadedFile, Classes>();
  private readonly predefined: Classes;
  private readonly budget: Budget;
  private readonly reporter: Reporter;

  constructor(budget: Budget, reporter: Reporter) {
    this.budget = budget;
    this.reporter = reporter;
    const { file: syntax } = parse(PREDEFINED_FILE.text, PREDEFINED_FILE.displayName);
    const input = {
      file: PREDEFINED_FILE,
      syntax,
      imports: new Map(),
      predefined: new Map(),
      budget,
      reporter,
    };
    this.predefined = bindFile(input).classes;
  }

  bind(loaded: LoadedFile, isRoot: boolean): void {
    const { file, syntax } = loaded;
    checkFileAssignments(syntax, this.reporter);
    const imports = this.bindImports(loaded);
    const { predefined, budget, reporter } = this;
    const { classes, usedNames } = bindFile({ file, syntax, imports, predefined, budget, reporter });
    this.bound.set(loaded, classes);
    if (isRoot && !reporter.hasErrors) this.reportUnused(loaded, usedNames);
  }

  *allClasses(): Iterable<ObjectClass> {
    for (const classes of this.bound.values()) yield* classes.values();
  }

  objectsOf(loaded: LoadedFile): Classes {
    return this.bound.get(loaded) ?? new Map<string, ObjectClass>();
  }

  /** The object a file stands for; nothing but an error when that is not clear. */
  pickRoot(loaded: LoadedFile, wanted: string | undefined): ObjectClass | undefined {
    const classes = this.objectsOf(loaded);
    const object = wanted === undefined ? pickObject(loaded, classes) : classes.get(wanted);
    if (object !== undefined || loaded.isDamaged) return object;
    const names = [...classes.keys()];
    const known = names.slice(0, 10).map(quote).join(", ");
    const hint =
      names.length === 0 ? "a file declares an object: Name extends VANAppliance { … }" : `it has ${known}`;
    const message =
      wanted !== undefined
        ? `the file has no object ${quote(wanted)}`
        : names.length === 0
          ? "the file has no object"
          : "the file has several objects and none is named like the file; say which with --object";
    this.reporter.report(
      "CVL_ROOT_OBJECT",
      message,
      { file: loaded.file.displayName, start: 0, end: 0 },
      { hint },
    );
    return undefined;
  }

  private bindImports(loaded: LoadedFile): ReadonlyMap<string, ObjectClass | undefined> {
    const names = new Map<string, ObjectClass | undefined>();
    const statements = new Map<string, ImportSyntax>();
    for (const statement of loaded.syntax.imports) {
      const { name } = statement;
      const target = loaded.imports.get(statement);
      const first = statements.get(name.text);
      if (first !== undefined || this.predefined.has(name.text)) {
        this.reporter.report(
          "CVL_DUPLICATE_NAME",
          `the name ${quote(name.text)} is taken`,
          spanOf(loaded.file, name),
          {
            hint: first === undefined ? `${quote(name.text)} is a predefined object` : "choose another name",
            related:
              first === undefined ? [] : [{ message: "first here", span: spanOf(loaded.file, first.name) }],
          },
        );
        continue;
      }
      statements.set(name.text, statement);
      names.set(name.text, target === undefined ? undefined : this.importedObject(loaded, statement, target));
    }
    return names;
  }

  private importedObject(
    importer: LoadedFile,
    statement: ImportSyntax,
    target: LoadedFile,
  ): ObjectClass | undefined {
    const classes = this.objectsOf(target);
    const object = pickObject(target, classes);
    if (object !== undefined || target.isDamaged) return object;
    const message =
      classes.size === 0 ? "has no object" : "has several objects and none is named like the file";
    this.reporter.report(
      "CVL_IMPORT_OBJECT",
      `${quote(target.file.displayName)} ${message}`,
      spanOf(importer.file, statement.name),
      { hint: "what is imported is a file's only object, or the one named like the file" },
    );
    return undefined;
  }

  private reportUnused({ file, syntax }: LoadedFile, usedNames: ReadonlySet<string>): void {
    for (const { name } of syntax.imports) {
      if (usedNames.has(name.text)) continue;
      this.reporter.report(
        "CVL_IMPORT_UNUSED",
        `${quote(name.text)} is imported and not used`,
        spanOf(file, name),
        {
          severity: "warning",
          hint: "remove the import, or declare a component of it",
        },
      );
    }
  }
}

function pickObject({ file }: LoadedFile, classes: Classes): ObjectClass | undefined {
  const name = rootObjectName(file.file, [...classes.keys()]);
  return name === undefined ? undefined : classes.get(name);
}

/** Which of a file's objects the file stands for: the only one, or the one named like the file. */
export function rootObjectName(file: string, names: readonly string[]): string | undefined {
  if (names.length === 1) return names[0];
  const baseName = file.slice(file.lastIndexOf("/") + 1).replace(/\.cvl$/, "");
  return names.includes(baseName) ? baseName : undefined;
}
