/** From the name of a CVL file on the command line to a linked program, for the verbs that need nothing but values. */
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import { decodeText } from "../cvl/parse/decode-text.ts";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { link, type LinkResult } from "../cvl/link/link.ts";
import type { SourceFile } from "../cvl/source.ts";
import { type Diagnostic, makeDiagnostic, renderDiagnostic, type TextOf } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { CliContext } from "./context.ts";
import { openRegularFile } from "../regular-file.ts";
import { reasonOf } from "../file-errors.ts";

export interface ProgramFile extends LinkResult {
  readonly textOf: TextOf;
}

/** Reads and links `file`, which may import what `allow` names, by default all. Repositories, and with them git, come into it only when the file imports something. */
export async function loadProgram(
  file: string,
  object: string | undefined,
  context: CliContext,
  allow?: readonly string[],
): Promise<ProgramFile> {
  const { root, diagnostics } = await readCvl(file, context);
  const textOf = (name: string) => (name === root.displayName ? root.text : undefined);
  if (diagnostics.length > 0) return { program: undefined, diagnostics, textOf };
  const options = {
    ...(object === undefined ? {} : { object }),
    ...(allow === undefined ? {} : { allow }),
  };
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
  const bytes = await openRegularFile(absolute)
    .then((handle) => readUpTo(handle, MAX_FILE_CHARACTERS + 1))
    .catch((cause: unknown) => {
      const { reason, hint = "is the name right?" } = reasonOf(cause);
      throw new CollectiveError("INVALID_INPUT", `${file} cannot be read: ${reason}`, { cause, hint });
    });
  const isTooLarge = bytes.length > MAX_FILE_CHARACTERS;
  const { text, diagnostics } = isTooLarge ? refuseSize(file) : decodeText(bytes, file);
  const source = { url: path.dirname(absolute), version: null, commit: null };
  return { root: { source, file: path.basename(absolute), displayName: file, text }, diagnostics };
}

/** The first `maxBytes` of a file that may be of any size; the handle is closed. */
async function readUpTo(handle: FileHandle, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of handle.createReadStream({ end: maxBytes - 1 })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function refuseSize(file: string): { readonly text: string; readonly diagnostics: readonly Diagnostic[] } {
  const message = `a file may have at most ${MAX_FILE_CHARACTERS} bytes, this one has more`;
  const hint = "split it into several appliances that import each other";
  return {
    text: "",
    diagnostics: [makeDiagnostic("CVL_LIMIT", message, { file, start: 0, end: 0 }, { hint })],
  };
}

/** Prints diagnostics as a person reads them. */
export function printDiagnostics(
  diagnostics: readonly Diagnostic[],
  textOf: TextOf,
  context: CliContext,
): void {
  context.onDiagnostics?.(diagnostics, textOf);
  for (const diagnostic of diagnostics) context.warn(renderDiagnostic(diagnostic, textOf));
}

/** `2 errors and 1 warning` */
export function countDiagnostics(diagnostics: readonly Pick<Diagnostic, "severity">[]): string {
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
  options: { readonly object?: string; readonly allow?: readonly string[] },
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
