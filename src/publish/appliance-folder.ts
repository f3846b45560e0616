/** What the working folder of a CVL file holds: its machines' descriptions, disk images, kernels; all of it checked. */
import path from "node:path";
import { evaluate } from "../cvl/evaluate/evaluate.ts";
import type { Component, InstanceTree } from "../cvl/tree.ts";
import { hasErrors, makeDiagnostic, type Diagnostic, type TextOf } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { openImageTree } from "../appliance/version-files.ts";
import { imageRequestOf } from "../appliance/resolve-machine-images.ts";
import { loadWith } from "../appliance/load.ts";
import type { LoadedAppliance } from "../appliance/loaded-appliance.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { diskIndexPath } from "../appliance/disk-name.ts";
import { maxVmDescriptionBytes, parseVmDescription } from "../appliance/vm-description.ts";

export interface ApplianceFolderOptions {
  /** The CVL file, relative to `cwd`. */
  readonly cvl: string;
  readonly cwd: string;
  readonly object?: string | undefined;
  /** What relative URLs will be relative to: the repository it is published in. */
  readonly baseUrl?: string | undefined;
}

export interface ApplianceFolder {
  /** Absolute. */
  readonly folder: string;
  readonly loaded: LoadedAppliance;
  /** Undefined when diagnostics has errors. */
  readonly tree: InstanceTree | undefined;
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** Descriptions of its machines, by their paths in the folder. */
  readonly descriptions: readonly string[];
  /** Images of program disks, by their paths in the folder. */
  readonly programDisks: readonly string[];
  /** Images of data disks: never stored. */
  readonly dataDisks: readonly string[];
  /** Kernels and initrds. */
  readonly bootFiles: readonly string[];
}

/** Loads, evaluates and reads what `vm` names in this folder; machines of imported appliances are their publishers' business. */
export async function readApplianceFolder(
  mirrors: Mirrors,
  { cvl, cwd, object, baseUrl }: ApplianceFolderOptions,
): Promise<ApplianceFolder> {
  const loaded = await loadWith(mirrors, {
    file: cvl,
    cwd,
    versions: "locked",
    writeLock: false,
    ...(object === undefined ? {} : { object }),
    ...(baseUrl === undefined ? {} : { baseUrl }),
  });
  const folder = path.dirname(path.resolve(cwd, cvl));
  const diagnostics: Diagnostic[] = [...loaded.diagnostics];
  const found = {
    programDisks: new Set<string>(),
    dataDisks: new Set<string>(),
    bootFiles: new Set<string>(),
    descriptions: new Set<string>(),
  };
  let tree: InstanceTree | undefined;
  if (loaded.program !== undefined) {
    const evaluated = evaluate(loaded.program);
    diagnostics.push(...evaluated.diagnostics);
    tree = evaluated.tree;
    for (const component of tree.components.values()) {
      diagnostics.push(...(await readMachine({ component, mirrors, loaded, found })));
    }
  }
  diagnostics.push(...sharedIndexes([...found.programDisks]));
  const failed = hasErrors(diagnostics);
  return {
    folder,
    loaded,
    tree: failed ? undefined : tree,
    diagnostics,
    textOf: loaded.textOf,
    programDisks: [...found.programDisks],
    dataDisks: [...found.dataDisks].filter((image) => !found.programDisks.has(image)),
    bootFiles: [...found.bootFiles],
    descriptions: [...found.descriptions],
  };
}

/** Disks of several machines in one folder must not end up in one index. */
function sharedIndexes(sources: readonly string[]): Diagnostic[] {
  const bySource = new Map<string, string>();
  return sources.flatMap((source): Diagnostic[] => {
    const indexPath = diskIndexPath(source);
    const other = bySource.get(indexPath);
    bySource.set(indexPath, source);
    if (other === undefined) return [];
    const message = `${other} and ${source} would both be kept in ${indexPath}`;
    const hint = "give the disk images different names";
    return [{ code: "VM_DESCRIPTION_INVALID", severity: "error", message, hint, span: undefined }];
  });
}

interface MachineOptions {
  readonly component: Component;
  readonly mirrors: Mirrors;
  readonly loaded: LoadedAppliance;
  readonly found: Record<"programDisks" | "dataDisks" | "bootFiles" | "descriptions", Set<string>>;
}

async function readMachine({
  component,
  mirrors,
  loaded,
  found,
}: MachineOptions): Promise<readonly Diagnostic[]> {
  const request = imageRequestOf(component);
  if (request === undefined || request.source.version !== null) return [];
  const tree = await openImageTree(request.source, mirrors);
  const content = await tree
    .readFile(request.file, { maxBytes: maxVmDescriptionBytes(request.file) })
    .catch((error: unknown) => {
      if (error instanceof CollectiveError && error.code.startsWith("REPOSITORY_FILE_")) return error;
      throw error;
    });
  if (content instanceof CollectiveError) {
    const isMissing = content.code === "REPOSITORY_FILE_MISSING";
    const message = isMissing
      ? `there is no VM description ${request.file} beside the CVL file`
      : content.message;
    return [makeDiagnostic("VM_DESCRIPTION_MISSING", message, request.span, { hint: content.hint })];
  }
  found.descriptions.add(request.file);
  loaded.addText(request.file, content.toString("utf8"));
  const { description, diagnostics } = parseVmDescription(content.toString("utf8"), request.file);
  for (const { device, source } of description?.disks ?? []) {
    if (source === undefined) continue;
    (request.dataDevices.includes(device) ? found.dataDisks : found.programDisks).add(source);
  }
  for (const file of [description?.kernel, description?.initrd])
    if (file !== undefined) found.bootFiles.add(file);
  return diagnostics;
}
