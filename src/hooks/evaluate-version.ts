/** A version's CVL must evaluate, and its machines must be there: what a repository holds against a tag that is pushed. */
import path from "node:path";
import type { Component, InstanceTree } from "../cvl/tree.ts";
import { renderDiagnostic, type Diagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { topFolderOf } from "../git/commit-folder.ts";
import type { GitObjects } from "../git/objects.ts";
import { commitFiles, type CommitFiles } from "../git/tree.ts";
import { imageRequestOf, resolveImages } from "../appliance/resolve-machine-images.ts";
import { LOCK_FILE } from "../appliance/lock.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { readCommittedRoot } from "../appliance/root-file.ts";
import { MAX_VM_DESCRIPTION_BYTES, parseVmDescription } from "../appliance/vm-description.ts";
import { checkRoot, ownTexts, type CheckedRoot } from "./check-root.ts";
import type { ListedFile } from "./commit-listing.ts";
import type { Problem } from "./problem.ts";

export interface EvaluateVersionOptions {
  readonly mirrors: Mirrors;
  /** The repository, absolute. */
  readonly folder: string;
  readonly objects: GitObjects;
  readonly version: number;
  readonly commit: string;
  /** All files of the commit. */
  readonly files: readonly ListedFile[];
  /** Imports by path may lead nowhere else. */
  readonly pathsBelow: string | undefined;
  /** An import that cannot be fetched is a reason to refuse. */
  readonly importsRequired: boolean;
}

export interface EvaluatedVersion {
  readonly problems: readonly Problem[];
  /** What could not be looked at. */
  readonly warnings: readonly Problem[];
}

/** Checks every CVL file of a version. */
export async function evaluateVersion(options: EvaluateVersionOptions): Promise<EvaluatedVersion> {
  const { files, version } = options;
  const where = `v${version}`;
  const roots = files.filter(({ path: name }) => name.endsWith(".cvl"));
  const problems = roots.filter(({ kind }) => kind !== "file").map((file) => notPlain(where, file));
  if (roots.length === 0) problems.push(noCvl(where));
  const warnings: Problem[] = [];
  for (const { path: file, kind } of roots) {
    if (kind !== "file") continue;
    const found = await evaluateFile(options, file).catch((error: unknown) => {
      if (!(error instanceof CollectiveError)) throw error;
      return { problems: [{ where, message: error.message, hint: error.hint }], warnings: [] };
    });
    problems.push(...found.problems);
    warnings.push(...found.warnings);
  }
  return { problems, warnings };
}

async function evaluateFile(options: EvaluateVersionOptions, file: string): Promise<EvaluatedVersion> {
  const { mirrors, folder, objects, version, commit, pathsBelow } = options;
  const where = `v${version}`;
  const files = commitFiles(objects, commit, where);
  const root = await readCommittedRoot(topFolderOf({ files, top: folder, commit }), {
    ...{ file, displayName: file, lockPath: path.join(folder, LOCK_FILE) },
  });
  const checked = await checkRoot(mirrors, root, {
    versions: "locked",
    writeLock: false,
    fetch: false,
    baseUrl: folder,
    ...(pathsBelow === undefined ? {} : { pathsBelow }),
  });
  const errors = checked.diagnostics.filter(({ severity }) => severity === "error");
  const unreachable = options.importsRequired ? [] : errors.filter(isUnreachable);
  const problems = errors
    .filter((diagnostic) => !unreachable.includes(diagnostic))
    .map((diagnostic) => toProblem(where, diagnostic, checked));
  const warnings = unreachable.map(({ message }) => notChecked(where, file, message));
  if (problems.length === 0) problems.push(...(await checkMachines(options, files, checked)));
  return { problems, warnings };
}

function isUnreachable({ code }: Diagnostic): boolean {
  return code === "IMPORT_UNREACHABLE";
}

/** The machines this version brings itself: their descriptions, indexes and kernels, and that no data disk is among the files. */
async function checkMachines(
  options: EvaluateVersionOptions,
  files: CommitFiles,
  checked: CheckedRoot,
): Promise<readonly Problem[]> {
  const where = `v${options.version}`;
  if (checked.tree === undefined) return [];
  const own = ownMachines(checked.tree);
  const resolved = await resolveImages(checked.loaded, own, { mirrors: options.mirrors });
  const problems = resolved.diagnostics
    .filter(({ severity }) => severity === "error")
    .map((diagnostic) => toProblem(where, diagnostic, checked));
  const present = new Set(options.files.map(({ path: name }) => name));
  for (const component of own.components.values()) {
    for (const image of await dataDiskImages(component, files)) {
      if (present.has(image)) problems.push(dataDisk(where, image));
    }
  }
  return problems;
}

function ownMachines(tree: InstanceTree): InstanceTree {
  const own = [...tree.components].filter(([, component]) => {
    const request = component.kind === "machine" ? imageRequestOf(component) : undefined;
    return request?.source.version === null;
  });
  return { ...tree, components: new Map(own) };
}

/** Images of the disks that `datadisks` lists, as paths in the commit. */
async function dataDiskImages(component: Component, files: CommitFiles): Promise<readonly string[]> {
  const request = imageRequestOf(component);
  if (request === undefined || request.dataDevices.length === 0) return [];
  const content = await files
    .readFile(request.file, { maxBytes: MAX_VM_DESCRIPTION_BYTES })
    .catch(() => undefined);
  const { description } = parseVmDescription(content?.toString("utf8") ?? "", request.file);
  const folder = path.posix.dirname(request.file);
  return (description?.disks ?? []).flatMap(({ device, source }) =>
    source !== undefined && request.dataDevices.includes(device) ? [path.posix.join(folder, source)] : [],
  );
}

function toProblem(where: string, { hint, ...diagnostic }: Diagnostic, checked: CheckedRoot): Problem {
  return { where, message: renderDiagnostic(diagnostic, ownTexts(checked)), hint };
}

function dataDisk(where: string, image: string): Problem {
  return {
    where,
    message: `${image} is the image of a data disk (datadisks lists it): data disks are never stored`,
    hint: `git rm --cached ${image}, add it to .gitignore, commit and tag again`,
  };
}

function notPlain(where: string, { path: file, kind }: ListedFile): Problem {
  return {
    where,
    message: `${file} is a ${kind}, not a file: nobody could read it`,
    hint: "put the CVL file itself there",
  };
}

function noCvl(where: string): Problem {
  return {
    where,
    message: "it has no CVL file: a version is an appliance",
    hint: "tags for other things have other names than v1, v2, …",
  };
}

function notChecked(where: string, file: string, reason: string): Problem {
  return { where, message: `${file} was not checked to the end: ${reason}` };
}
