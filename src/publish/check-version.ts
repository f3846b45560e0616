/** Whether a commit may be a version of its appliance: all its mistakes at once. What a publish, and whoever checks one, asks. */
import type { Diagnostic, DiagnosticCode, TextOf } from "../diagnostics.ts";
import type { Oid } from "../disk/object-store.ts";
import { CollectiveError, unlessCode, type ErrorCode } from "../errors.ts";
import { bootFiles } from "../appliance/bytes-to-fetch.ts";
import { readDiskIndex } from "../appliance/read-disk-index.ts";
import type { CommitFiles } from "../git/tree.ts";
import { MAX_POINTER_BYTES, parseLfsPointer } from "../lfs/pointer.ts";
import type { MachineImage } from "../appliance/machine-image.ts";
import type { Mirror, WantedObject } from "../appliance/mirror.ts";
import type { Mirrors } from "../appliance/mirrors.ts";
import { versionGaps } from "../appliance/versions.ts";
import { diskIndexPath } from "../appliance/vm-description.ts";
import {
  describeVersion,
  textsOf,
  type DescribedFile,
  type VersionSource,
} from "../preview/describe-version.ts";

export interface CheckVersionOptions extends VersionSource {
  /** The number it has, or is to have. */
  readonly version: number;
  /** Objects that were found whole before, with an earlier version; they are not fetched again. */
  readonly knownObjects?: ReadonlySet<Oid>;
}

export interface CheckedVersion {
  /** Without an error: it may be one. */
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  readonly files: readonly DescribedFile[];
}

/** Fetches the objects: each is there whole when there is no error. @throws CollectiveError as openMirror and Mirror.fetch. */
export async function checkVersion(options: CheckVersionOptions): Promise<CheckedVersion> {
  const { mirrors, url, commit, version, knownObjects = new Set() } = options;
  const mirror = await mirrors.get(url);
  const files = await describeVersion(options);
  const required = await requiredObjects(options, files);
  const diagnostics = [
    ...(await checkNumber(mirror, version)),
    ...(files.length === 0 ? [mistake("VERSION_WITHOUT_CVL", "there is no CVL file at its top")] : []),
    ...(await findLinks(mirror.files(commit))),
    ...files.flatMap(({ described }) => described.diagnostics),
    ...required.diagnostics,
  ];
  for (const image of ownImages(options, files)) {
    diagnostics.push(...(await findDiskImages(mirror.files(commit), image)));
  }
  const wanted = required.objects.filter(({ oid }) => !knownObjects.has(oid));
  diagnostics.push(...(await checkObjects(mirror, commit, wanted)));
  return { diagnostics: unique(diagnostics), textOf: textsOf(files), files };
}

/** Every Git LFS object a version needs of its own repository; packs without a pointer are mistakes. */
export async function requiredObjects(
  source: VersionSource,
  described: readonly DescribedFile[],
): Promise<{ readonly objects: readonly WantedObject[]; readonly diagnostics: readonly Diagnostic[] }> {
  const files = (await source.mirrors.get(source.url)).files(source.commit);
  const objects = new Map<Oid, WantedObject>();
  const diagnostics: Diagnostic[] = [];
  for (const image of ownImages(source, described)) {
    const packs = await listPacks({ image, files, mirrors: source.mirrors });
    diagnostics.push(...packs.diagnostics);
    for (const object of [...packs.objects, ...bootFiles(image)]) objects.set(object.oid, object);
  }
  return { objects: [...objects.values()], diagnostics: unique(diagnostics) };
}

/** Machines of imported appliances are their publishers' business. */
function ownImages({ commit }: VersionSource, described: readonly DescribedFile[]): MachineImage[] {
  const images = described.flatMap((file) => [...file.described.images.values()]);
  return images.filter(({ source }) => source.commit === commit && source.version === null);
}

function mistake(code: DiagnosticCode, message: string, hint?: string): Diagnostic {
  return { code, severity: "error", message, span: undefined, ...(hint === undefined ? {} : { hint }) };
}

/** Versions count 1, 2, 3 …: those below must be there. */
async function checkNumber(mirror: Mirror, version: number): Promise<Diagnostic[]> {
  const below = (await mirror.versions()).filter((entry) => entry.version < version);
  const gaps = versionGaps([...below, { version }]);
  if (gaps.length === 0) return [];
  const next = (below.at(-1)?.version ?? 0) + 1;
  const names = gaps.map((gap) => `v${gap}`).join(", ");
  return [
    mistake(
      "VERSION_GAP",
      `v${version} is not the next version: there is no ${names}`,
      `the next is v${next}`,
    ),
  ];
}

/** A CVL file that is a link can be imported by nobody. */
async function findLinks(files: CommitFiles): Promise<Diagnostic[]> {
  const links = (await files.listFolder("")).filter(
    ({ name, kind }) => name.endsWith(".cvl") && kind !== "file",
  );
  return links.map(({ name, kind }) => mistake("IMPORT_FILE_REFUSED", `${name} is a ${kind}, not a file`));
}

/** Images lie in index and packs; the files themselves, above all a user's data, have no place in a version. */
async function findDiskImages(files: CommitFiles, image: MachineImage): Promise<Diagnostic[]> {
  const diagnostics: Diagnostic[] = [];
  const program = new Set(image.programDisks.map(({ device }) => device));
  const prefix = image.descriptionFile.slice(0, image.descriptionFile.lastIndexOf("/") + 1);
  for (const { device, source } of image.description.disks) {
    if (source === undefined) continue;
    const kind = program.has(device) ? "program" : "data";
    const hint = "take it out of git: `git rm --cached`, and name it in .gitignore";
    if (await exists(files, prefix + source)) {
      diagnostics.push(
        mistake("VERSION_DISK_IMAGE", `${source}, the image of a ${kind} disk, is in git`, hint),
      );
    }
    const index = prefix + diskIndexPath(source);
    const isShared = image.programDisks.some(({ indexPath }) => indexPath === index);
    if (kind === "data" && !isShared && (await exists(files, index))) {
      diagnostics.push(mistake("VERSION_DISK_IMAGE", `${index} holds the data disk ${device}`, hint));
    }
  }
  return diagnostics;
}

const NO_PLAIN_FILE: readonly ErrorCode[] = ["REPOSITORY_FILE_MISSING", "REPOSITORY_FILE_REFUSED"];

async function exists(files: CommitFiles, file: string): Promise<boolean> {
  const slash = file.lastIndexOf("/");
  const folder = await unlessCode(NO_PLAIN_FILE, files.listFolder(slash === -1 ? "" : file.slice(0, slash)));
  return folder?.some(({ name }) => name === file.slice(slash + 1)) ?? false;
}

interface PackOptions {
  readonly image: MachineImage;
  readonly files: CommitFiles;
  readonly mirrors: Mirrors;
}

/** Every pack an index names has its pointer, with the same object and size. */
async function listPacks({
  image,
  files,
  mirrors,
}: PackOptions): Promise<{ objects: WantedObject[]; diagnostics: Diagnostic[] }> {
  const objects: WantedObject[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const disk of image.programDisks) {
    const folder = disk.indexPath.slice(0, disk.indexPath.lastIndexOf("/"));
    for (const { oid, sizeBytes } of (await readDiskIndex(image, disk, { mirrors })).packs) {
      const file = `${folder}/packs/${oid}.pack`;
      const content = await unlessCode(
        [...NO_PLAIN_FILE, "REPOSITORY_FILE_TOO_LARGE"],
        files.readFile(file, { maxBytes: MAX_POINTER_BYTES }),
      );
      const pointer = content === undefined ? undefined : parseLfsPointer(content);
      if (pointer?.oid === oid && pointer.sizeBytes === sizeBytes) objects.push({ oid, path: file });
      else {
        const message = `${disk.indexPath} needs ${file}, which is ${content === undefined ? "not there" : "no pointer to that object"}`;
        diagnostics.push(
          mistake("VERSION_PACK_MISSING", message, "`cui disk add` writes index and packs together"),
        );
      }
    }
  }
  return { objects, diagnostics };
}

async function checkObjects(
  mirror: Mirror,
  commit: string,
  wanted: readonly WantedObject[],
): Promise<Diagnostic[]> {
  try {
    await mirror.ensureObjects(commit, wanted);
    return [];
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    const message = `a Git LFS object of the version cannot be had: ${error.message}`;
    const hint = "send it with `git lfs push --all`, then run this job again: the tag can stay";
    return [mistake("VERSION_OBJECT_MISSING", message, hint)];
  }
}

function unique(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...new Map(diagnostics.map((diagnostic) => [JSON.stringify(diagnostic), diagnostic])).values()];
}
