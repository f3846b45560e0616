/** Resolves every machine's `vm` in the repository and version of the file whose assignment won. */
import { createHash } from "node:crypto";
import { decodeMap } from "../cvl/map-text.ts";
import type { Component, ComponentPath, InstanceTree, Parameter, Place } from "../cvl/tree.ts";
import type { Diagnostic, Span } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { readIndexSummary } from "./read-disk-index.ts";
import { openImageTree, type ImageTree } from "./version-files.ts";
import type { LoadedAppliance } from "./loaded-appliance.ts";
import type { BootFile, MachineImage, ProgramDisk, VmDescription } from "./machine-image.ts";
import type { Mirrors } from "./mirrors.ts";
import { withoutLeadingDot } from "../git/path.ts";
import { diskIndexPath } from "./disk-name.ts";
import { maxVmDescriptionBytes, parseVmDescription } from "./vm-description.ts";

export interface ResolvedImages {
  /** Machines whose `vm` is known and readable. */
  readonly images: ReadonlyMap<ComponentPath, MachineImage>;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * A machine whose `vm` is unset or not a plain string has no image here; that is the network layer's error. Texts of VM
 * descriptions with mistakes are added to `loaded` so that its `textOf` finds them.
 */
export async function resolveImages(
  mirrors: Mirrors,
  loaded: Pick<LoadedAppliance, "addText">,
  tree: InstanceTree,
): Promise<ResolvedImages> {
  const images = new Map<ComponentPath, MachineImage>();
  const diagnostics = new Map<string, Diagnostic>();
  const byRequest = new Map<string, Promise<MachineImage | readonly Diagnostic[]>>();
  for (const component of tree.components.values()) {
    const request = component.kind === "machine" ? imageRequestOf(component) : undefined;
    if (request === undefined) continue;
    const key = JSON.stringify([request.source, request.file, request.dataDevices]);
    const known = byRequest.get(key) ?? readImage({ mirrors, loaded, request });
    byRequest.set(key, known);
    const result = await known;
    if ("digest" in result) images.set(component.path, result);
    else for (const diagnostic of result) diagnostics.set(JSON.stringify(diagnostic), diagnostic);
  }
  return { images, diagnostics: [...diagnostics.values()] };
}

export interface ImageRequest {
  readonly source: MachineImage["source"];
  readonly file: string;
  /** Devices that `datadisks` lists, sorted. */
  readonly dataDevices: readonly string[];
  readonly span: Span;
}

export function imageRequestOf(component: Component): ImageRequest | undefined {
  const vm = component.parameters.get("vm");
  const file = vm?.elements[0];
  const assigned = vm?.assigned;
  if (vm?.elements.length !== 1 || typeof file !== "string" || assigned == null) return undefined;
  return {
    source: assigned.file.source,
    file: besideFile(assigned, withoutLeadingDot(file)),
    dataDevices: dataDevicesOf(component.parameters.get("datadisks")),
    span: { file: assigned.file.displayName, start: assigned.start, end: assigned.end },
  };
}

/** In a commit around a folder the file that assigns `vm` may lie below the top; `vm` is relative to its folder. */
function besideFile(assigned: Place, file: string): string {
  const { file: written, source } = assigned.file;
  const slash = written.lastIndexOf("/");
  return source.version === null && slash !== -1 ? `${written.slice(0, slash)}/${file}` : file;
}

/** Mistakes in `datadisks` are the network layer's to report. */
function dataDevicesOf(parameter: Parameter | undefined): readonly string[] {
  const elements = parameter?.elements ?? [];
  return elements
    .flatMap((element) => (typeof element === "string" ? (decodeMap(element)?.get("device") ?? []) : []))
    .sort();
}

interface ReadOptions {
  readonly mirrors: Mirrors;
  readonly loaded: Pick<LoadedAppliance, "addText">;
  readonly request: ImageRequest;
}

async function readImage({
  mirrors,
  loaded,
  request,
}: ReadOptions): Promise<MachineImage | readonly Diagnostic[]> {
  let tree: ImageTree | undefined;
  try {
    tree = await openImageTree(request.source, mirrors);
    const content = await tree.readFile(request.file, { maxBytes: maxVmDescriptionBytes(request.file) });
    const name = shownName(request, tree);
    const text = content.toString("utf8");
    loaded.addText(name, text);
    const { description, diagnostics } = parseVmDescription(text, name);
    if (description === undefined) return diagnostics;
    return await assembleImage({ tree, request, description, cache: mirrors.cache });
  } catch (error) {
    return [describeFailure(error, request)];
  } finally {
    await tree?.close();
  }
}

/** In a folder as the file that names it is shown: from where the command runs. */
function shownName({ source, file, span }: ImageRequest, tree: ImageTree): string {
  if (source.version !== null) return `${tree.where}:${file}`;
  return source.commit === null ? span.file.replace(/[^/]*$/, "") + file : file;
}

interface AssembleOptions {
  readonly tree: ImageTree;
  readonly request: ImageRequest;
  readonly description: VmDescription;
  readonly cache: string;
}

async function assembleImage({ tree, request, description, cache }: AssembleOptions): Promise<MachineImage> {
  const folder = request.file.slice(0, request.file.lastIndexOf("/") + 1);
  const prefix = request.source.version === null ? folder : "";
  const bootFile = async (file: string | undefined): Promise<BootFile | undefined> =>
    file === undefined ? undefined : { path: prefix + file, ...(await tree.readPointer(prefix + file)) };
  const programDisks: ProgramDisk[] = [];
  for (const { device, bus, source } of description.disks) {
    if (source === undefined || request.dataDevices.includes(device)) continue;
    const indexPath = prefix + diskIndexPath(source);
    const summary = await readIndexSummary(tree, indexPath, cache).catch((error: unknown) => {
      throw isMissing(error) ? diskUnpublished(source, indexPath, tree.where) : error;
    });
    programDisks.push({ device, bus, indexPath, ...summary });
  }
  const image = {
    source: request.source,
    descriptionFile: request.file,
    description,
    programDisks,
    kernel: await bootFile(description.kernel),
    initrd: await bootFile(description.initrd),
  };
  return { ...image, digest: digestOf(image) };
}

/** Over what makes a machine's program: not over where it was found, nor over the names of disk files. */
function digestOf({ description, programDisks, kernel, initrd }: Omit<MachineImage, "digest">): string {
  const disks = programDisks.map(({ device, bus, indexDigest }) => [device, bus, indexDigest]);
  const machine = { ...description, kernel: undefined, initrd: undefined, disks: undefined };
  const buses = description.disks.map(({ device, bus }) => [device, bus]);
  const content = [1, machine, buses, disks, kernel?.oid ?? null, initrd?.oid ?? null];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

function isMissing(error: unknown): boolean {
  return error instanceof CollectiveError && error.code === "REPOSITORY_FILE_MISSING";
}

function diskUnpublished(source: string, indexPath: string, where: string): CollectiveError {
  return new CollectiveError(
    "REPOSITORY_DISK_MISSING",
    `${where} has no ${indexPath} for the disk ${source}`,
    {
      data: { source, indexPath },
      hint: "`cui disk add` makes it from the disk image; `cui publish` runs that too",
    },
  );
}

/** What a repository lacks is told at the assignment of `vm`; what is not about the repository is thrown. */
function describeFailure(error: unknown, request: ImageRequest): Diagnostic {
  if (!(error instanceof CollectiveError) || /^PROCESS_/.test(error.code)) throw error;
  const isDisk = error.code === "REPOSITORY_DISK_MISSING" || error.code.startsWith("DISK_");
  return {
    code: isDisk ? "VM_DISK_MISSING" : "VM_DESCRIPTION_MISSING",
    severity: "error",
    message: error.message,
    span: request.span,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
}
