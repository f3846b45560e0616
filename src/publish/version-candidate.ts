/** A version that is, or is to be, as the rules of check-version.ts look at it: through git's objects, each thing read once. */
import path from "node:path";
import { LOCK_FILE } from "../appliance/lock.ts";
import type { LoadedAppliance, LoadOptions } from "../appliance/loaded-appliance.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { readCommittedRoot } from "../appliance/root-file.ts";
import { hasErrors, makeDiagnostic, type Diagnostic, type TextOf } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { listWhole, type ListedFile } from "../git/commit-listing.ts";
import { topFolderOf } from "../git/commit-folder.ts";
import type { Git } from "../git/git.ts";
import type { GitObjects } from "../git/objects.ts";
import { commitFiles, type CommitFiles } from "../git/tree.ts";
import { readPointers, type PointerFile } from "../lfs/listed-pointers.ts";
import type { DescribedNetwork } from "../site/describe-network.ts";
import type { CheckedRoot } from "./check-root.ts";

export interface CandidateOptions {
  /** As messages name it: `v6`, `what is staged`. */
  readonly where: string;
  readonly mirrors: Mirrors;
  /** Of the repository, where the commit's objects are visible. */
  readonly git: Git;
  readonly objects: GitObjects;
  /** A commit, or the tree of one that is not made yet. */
  readonly commit: string;
  /** The number it has or is to have; undefined for what is no version yet. */
  readonly version: number | undefined;
  /** Numbers that are there already, or come with it. */
  readonly numbers: ReadonlySet<number>;
  /** All its files, where they are listed already. */
  readonly listing?: readonly ListedFile[];
  /** From where imports may come, and whether new ones are looked for. */
  readonly imports: Pick<LoadOptions, "baseUrl" | "refusePaths" | "pathsBelow" | "fetch">;
  /** Where only some files are looked at: whether one of them is. */
  readonly isChecked?: (file: string) => boolean;
  /** A VERSION_OBJECT_MISSING for each of these objects that cannot be had where the version is read from. */
  readonly findMissing: (pointers: readonly PointerFile[]) => Promise<readonly Diagnostic[]>;
}

/** One CVL file of it, evaluated. */
export interface CandidateRoot extends Pick<CheckedRoot, "tree" | "diagnostics"> {
  readonly file: string;
  /** Undefined when it could not be read. */
  readonly loaded: LoadedAppliance | undefined;
}

/** One that stands for a network or a machine, with its machines' images. */
export interface CandidateNetwork {
  readonly file: string;
  readonly described: Pick<DescribedNetwork, "network" | "images" | "diagnostics">;
}

export interface VersionCandidate extends Pick<
  CandidateOptions,
  "where" | "commit" | "version" | "numbers" | "findMissing"
> {
  readonly objects: GitObjects;
  readonly files: CommitFiles;
  /** All files, at any depth. */
  listing(): Promise<readonly ListedFile[]>;
  /** Those that are Git LFS pointers. */
  pointers(): Promise<readonly PointerFile[]>;
  /** Every CVL file that is looked at. @throws CollectiveError as `readCommittedRoot`. */
  roots(): Promise<readonly CandidateRoot[]>;
  /** Of the roots without a mistake. */
  networks(): Promise<readonly CandidateNetwork[]>;
  isChecked(file: string): boolean;
  /** Texts diagnostics point into; `addText` adds one. */
  readonly textOf: TextOf;
  addText(file: string, text: string): void;
}

export function openCandidate(options: CandidateOptions): VersionCandidate {
  const { objects, git, commit, mirrors } = options;
  const files = commitFiles(objects, commit, options.where);
  const isChecked = options.isChecked ?? (() => true);
  const texts = new Map<string, string>();
  let known: readonly CandidateRoot[] = [];
  const listing = once(
    async () => options.listing ?? (await listWhole({ git, commit, where: options.where })),
  );
  const pointers = once(async () => readPointers(objects, await listing()));
  const roots = once(async () => {
    const found: CandidateRoot[] = [];
    for (const { path: file, kind } of await listing()) {
      if (kind === "file" && file.endsWith(".cvl") && isChecked(file))
        found.push({ file, ...(await evaluateFile(options, files, file)) });
    }
    return (known = found);
  });
  const networks = once(async () => {
    const { describeTree } = await import("../site/describe-network.ts");
    const found: CandidateNetwork[] = [];
    for (const { file, tree, loaded, diagnostics } of await roots()) {
      if (tree === undefined || loaded === undefined || hasErrors(diagnostics)) continue;
      found.push({ file, described: await describeTree(mirrors, { loaded, tree, isPart: true }) });
    }
    return found;
  });
  return {
    ...options,
    files,
    listing,
    pointers,
    roots,
    networks,
    isChecked,
    textOf: (name) => texts.get(name) ?? textIn(known, name),
    addText: (file, text) => void texts.set(file, text),
  };
}

async function evaluateFile(
  { mirrors, git: { folder }, commit, imports }: CandidateOptions,
  files: CommitFiles,
  file: string,
): Promise<Omit<CandidateRoot, "file">> {
  const lockPath = path.join(folder, path.dirname(file), LOCK_FILE);
  try {
    const { checkRoot } = await import("./check-root.ts");
    const top = topFolderOf({ files, top: folder, commit });
    const root = await readCommittedRoot(top, { file, displayName: file, lockPath });
    return await checkRoot(mirrors, root, { ...imports, versions: "locked", writeLock: false });
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    const refusal = makeDiagnostic("IMPORT_FILE_REFUSED", error.message, undefined, { hint: error.hint });
    return { loaded: undefined, tree: undefined, diagnostics: [refusal] };
  }
}

function textIn(roots: readonly CandidateRoot[], name: string): string | undefined {
  for (const { loaded } of roots) {
    const text = loaded?.textOf(name);
    if (text !== undefined) return text;
  }
  return undefined;
}

function once<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => (result ??= work());
}
