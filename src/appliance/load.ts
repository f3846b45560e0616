/** From a CVL file on disk, or in a commit, to a linked program. */
import { link } from "../cvl/link/link.ts";
import { hasErrors, type Diagnostic, type TextOf } from "../diagnostics.ts";
import type { Git } from "../git/git.ts";
import { inManner } from "../line-ends.ts";
import { rewriteFile } from "../user-file.ts";
import { createImportResolver, type LockingResolver } from "./import-resolver.ts";
import type { LoadedAppliance, LoadOptions, Lock, RootFile } from "./loaded-appliance.ts";
import { EMPTY_LOCK, formatLock, mergeLock, parseLock } from "./lock.ts";
import { withMirrors, type Mirrors } from "./mirrors.ts";
import { baseUrlOf, readRootFile } from "./root-file.ts";

/**
 * Loads the root file and its import closure. What is wrong with the files, or with an import, is in `diagnostics`; only an
 * operational failure (no such root file, no git) throws.
 */
export async function loadAppliance(git: Git, options: LoadOptions): Promise<LoadedAppliance> {
  return withMirrors(git, (mirrors) => loadWith(mirrors, options), { cache: options.cache });
}

/** `loadAppliance` with the caller's mirrors. */
export async function loadWith(mirrors: Mirrors, options: LoadOptions): Promise<LoadedAppliance> {
  const root = options.root ?? (await readRootFile(mirrors.localGit, options));
  const texts = new Map<string, string>([[root.source.displayName, root.source.text]]);
  const textOf: TextOf = (file) => texts.get(file);
  const addText = (file: string, text: string): void => void texts.set(file, text);
  const { lock, diagnostics: lockDiagnostics } = readLock(root, texts);
  const diagnostics = [...root.diagnostics, ...lockDiagnostics];
  if (lock === undefined)
    return { program: undefined, diagnostics, textOf, addText, lock: EMPTY_LOCK, imports: [] };
  const resolver = createImportResolver({
    mirrors,
    lock,
    policy: { allow: options.allow, refusePaths: options.refusePaths, pathsBelow: options.pathsBelow },
    versions: options.versions,
    isEligible: options.isEligible,
    fetch: options.fetch !== false,
    rootUrl: async () => options.baseUrl ?? baseUrlOf(mirrors.localGit.at(root.source.source.url)),
  });
  const linked = await link(root.source, rememberTexts(resolver, texts), {
    ...(options.object === undefined ? {} : { object: options.object }),
  });
  const loaded: LoadedAppliance = {
    program: linked.program,
    diagnostics: [...diagnostics, ...resolver.diagnostics(), ...linked.diagnostics],
    textOf,
    addText,
    lock: mergeLock(EMPTY_LOCK, resolver.entries()),
    imports: resolver.imports(),
  };
  if (options.writeLock && options.rev === undefined) await writeLockFile({ root, before: lock, loaded });
  return loaded;
}

function readLock(
  root: RootFile,
  texts: Map<string, string>,
): { readonly lock: Lock | undefined; readonly diagnostics: readonly Diagnostic[] } {
  if (root.lockText === undefined) return { lock: EMPTY_LOCK, diagnostics: [] };
  const slash = root.source.displayName.search(/[^/:]*$/);
  const name = `${root.source.displayName.slice(0, slash)}cvl.lock`;
  texts.set(name, root.lockText);
  return parseLock(root.lockText, name);
}

/** Diagnostics are rendered with the texts of imported files too, also of those that did not parse. */
function rememberTexts(
  resolver: LockingResolver,
  texts: Map<string, string>,
): Pick<LockingResolver, "resolve"> {
  return {
    resolve: async (request) => {
      const result = await resolver.resolve(request);
      if ("displayName" in result) texts.set(result.displayName, result.text);
      return result;
    },
  };
}

/** Entries of other root files beside this one stay; nothing is written when something is wrong or nothing changed. */
async function writeLockFile({
  root,
  before,
  loaded,
}: {
  readonly root: RootFile;
  readonly before: Lock;
  readonly loaded: LoadedAppliance;
}): Promise<void> {
  if (loaded.program === undefined || hasErrors(loaded.diagnostics)) return;
  const text = formatLock(mergeLock(before, loaded.lock.imports));
  if (text === formatLock(before)) return;
  await rewriteFile(root.lockPath, inManner(root.lockText ?? "", text));
}
