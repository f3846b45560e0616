/** Loads, links and evaluates one CVL file of a commit, or of what is staged: every mistake, as a person reads it. */
import { checkProgram } from "../cvl/evaluate/check-program.ts";
import { evaluate } from "../cvl/evaluate/evaluate.ts";
import { rootObjectName } from "../cvl/link/link.ts";
import { parse } from "../cvl/parse/parser.ts";
import type { LinkedProgram } from "../cvl/link/program.ts";
import type { InstanceTree } from "../cvl/tree.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { loadWith } from "../appliance/load.ts";
import type { LoadedAppliance, LoadOptions, RootFile } from "../appliance/loaded-appliance.ts";
import type { Mirrors } from "../appliance/mirrors.ts";

export interface CheckedRoot {
  readonly loaded: LoadedAppliance;
  /** Undefined with errors, and where it is not clear which object the file stands for. */
  readonly tree: InstanceTree | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** A file may hold several objects without a main one: it is checked, only not started. */
export async function checkRoot(
  mirrors: Mirrors,
  root: RootFile,
  options: Omit<LoadOptions, "file" | "cwd" | "root">,
): Promise<CheckedRoot> {
  const { file, source } = root.source;
  const all = { ...options, root, file, cwd: source.url };
  let loaded = await loadWith(mirrors, all);
  const first = firstObject(loaded, root);
  if (first !== undefined) loaded = await loadWith(mirrors, { ...all, object: first });
  const { program } = loaded;
  if (program === undefined) return { loaded, tree: undefined, diagnostics: loaded.diagnostics };
  if (!standsForOne(program)) {
    return { loaded, tree: undefined, diagnostics: [...loaded.diagnostics, ...checkProgram(program)] };
  }
  const { tree, diagnostics } = evaluate(program);
  return { loaded, tree, diagnostics: [...loaded.diagnostics, ...diagnostics] };
}

function firstObject(loaded: LoadedAppliance, { source }: RootFile): string | undefined {
  const [only, second] = loaded.diagnostics.filter(({ severity }) => severity === "error");
  if (only?.code !== "CVL_ROOT_OBJECT" || second !== undefined) return undefined;
  return parse(source.text, source.displayName).file.objects[0]?.name.text;
}

function standsForOne(program: LinkedProgram): boolean {
  return rootObjectName(program.root.file, [...program.objects.keys()]) !== undefined;
}
