/** From the name of a CVL file on the command line to a linked program, for the verbs that need nothing but values. */
import path from "node:path";
import { decodeText } from "../cvl/parse/decode-text.ts";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { link, type LinkResult } from "../cvl/link/link.ts";
import type { SourceFile } from "../cvl/source.ts";
import { type Diagnostic, renderDiagnostic, type TextOf } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { CliContext } from "./context.ts";
import { readRegularFile } from "../regular-file.ts";

export interface ProgramFile extends LinkResult {
  readonly textOf: TextOf;
}

/** Reads and links `file`. Repositories, and with them git, come into it only when the file imports something. */
export async function loadProgram(
  file: string,
  object: string | undefined,
  context: CliContext,
): Promise<ProgramFile> {
  const { root, diagnostics } = await readCvl(file, context);
  const textOf = (name: string) => (name === root.displayName ? root.text : undefined);
  if (diagnostics.length > 0) return { program: undefined, diagnostics, textOf };
  const options = object === undefined ? {} : { object };
  try {
    const result = await link(root, NO_IMPORTS, options);
    return { ...result, textOf: (name) => result.program?.files.get(name)?.text ?? textOf(name) };
  } catch (error) {
    if (error !== NEEDS_REPOSITORIES) throw error;
    return loadWithImports(file, options, context);
  }
}

/** The text of a CVL file; what cannot be read at all is an error of its own. */
export async function readCvl(
  file: string,
  context: CliContext,
): Promise<{ readonly root: SourceFile; readonly diagnostics: readonly Diagnostic[] }> {
  const absolute = path.resolve(context.cwd, file);
  const bytes = await readRegularFile(absolute, { maxBytes: 4 * MAX_FILE_CHARACTERS }).catch(
    (cause: unknown) => {
      throw new CollectiveError("INVALID_INPUT", `${file} cannot be read`, {
        cause,
        hint: cause instanceof Error ? cause.message : "is the name right?",
      });
    },
  );
  const { text, diagnostics } = decodeText(bytes, file);
  const source = { url: path.dirname(absolute), version: null, commit: null };
  return { root: { source, file: path.basename(absolute), displayName: file, text }, diagnostics };
}

/** Prints diagnostics as a person reads them. */
export function printDiagnostics(
  diagnostics: readonly Diagnostic[],
  textOf: TextOf,
  context: CliContext,
): void {
  for (const diagnostic of diagnostics) context.warn(renderDiagnostic(diagnostic, textOf));
}

/** `2 errors and 1 warning` */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter(({ severity }) => severity === "error").length;
  const warnings = diagnostics.length - errors;
  const counts = [count(errors, "error"), ...(warnings > 0 ? [count(warnings, "warning")] : [])];
  return counts.join(" and ");
}

/** `1 file`, `2 files` */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

const NEEDS_REPOSITORIES = new Error("the file imports something");

const NO_IMPORTS = {
  resolve: () => Promise.reject(NEEDS_REPOSITORIES),
};

async function loadWithImports(
  file: string,
  options: { readonly object?: string },
  context: CliContext,
): Promise<ProgramFile> {
  const { loadAppliance } = await import("../appliance/load.ts");
  const { gitOf } = await import("./git-of.ts");
  const loaded = await loadAppliance(gitOf(context), {
    file,
    cwd: context.cwd,
    versions: "locked",
    writeLock: false,
    ...options,
  });
  return { ...loaded, textOf: (name) => loaded.textOf(name) ?? loaded.program?.files.get(name)?.text };
}
