/**
 * What makes a version valid: one list of rules for `cui publish`, for every hook and for the action that releases. Callers
 * choose which rules they can afford at that moment; what one of them refuses, none accepts.
 */
import type { MachineImage } from "../appliance/machine-image.ts";
import { diskIndexPath } from "../appliance/disk-name.ts";
import { maxVmDescriptionBytes, parseVmDescription } from "../appliance/vm-description.ts";
import { MAX_WITHDRAWN_BYTES, parseWithdrawn, WITHDRAWN_FILE } from "../appliance/versions.ts";
import { makeDiagnostic, type Diagnostic, type DiagnosticCode } from "../diagnostics.ts";
import { decodeHeader } from "../disk/index-header.ts";
import { CollectiveError } from "../errors.ts";
import type { ListedFile } from "../git/commit-listing.ts";
import type { VersionCandidate } from "./version-candidate.ts";
import { findGap } from "./version-number.ts";
import { looksLikeDiskImage, MIN_IMAGE_BYTES, namedLikeDiskImage } from "./disk-image-blob.ts";
import { PACKS_FOLDER } from "./write-program-disks.ts";

type Rule = (candidate: VersionCandidate) => Promise<readonly Diagnostic[]>;

/** From the cheapest to the dearest: tags, names, small files, then what needs the language, imports and objects. */
const RULES = {
  /** It follows the version before it. */
  number: checkNumber,
  /** `withdrawn.yaml` can be read. */
  withdrawn: checkWithdrawn,
  /** There is a CVL file at its top, and every CVL file is a file. */
  cvl: checkCvlFiles,
  /** Descriptions of machines are well formed, whoever names them. */
  descriptions: checkDescriptions,
  /** Each index is one, and each pack it names is there as a Git LFS pointer. */
  packs: checkPacks,
  /** Each CVL file loads, links and evaluates. */
  evaluates: checkEvaluation,
  /** Machines have their descriptions, disks and kernels, and lie together as a network. */
  machines: checkMachines,
  /** No image of a disk lies in git, and nothing of a data disk. */
  images: checkImages,
  /** Every Git LFS object can be had. */
  objects: checkObjects,
} as const satisfies Readonly<Record<string, Rule>>;

export type VersionRule = keyof typeof RULES;

/** Every rule: what a version must be in the end. */
export const ALL_RULES = Object.keys(RULES) as readonly VersionRule[];

/** Each mistake once, in the order of the rules. */
export async function checkVersion(
  candidate: VersionCandidate,
  rules: readonly VersionRule[],
): Promise<readonly Diagnostic[]> {
  const found = new Map<string, Diagnostic>();
  for (const name of ALL_RULES) {
    if (!rules.includes(name)) continue;
    for (const diagnostic of await RULES[name](candidate)) found.set(JSON.stringify(diagnostic), diagnostic);
  }
  return [...found.values()];
}

function checkNumber({ version, numbers }: VersionCandidate): Promise<readonly Diagnostic[]> {
  const gap = version === undefined ? undefined : findGap(version, numbers);
  return Promise.resolve(gap === undefined ? [] : [gap]);
}

/** Readers ignore a list they cannot read: then what was withdrawn would be taken again. */
async function checkWithdrawn(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  if (!candidate.isChecked(WITHDRAWN_FILE)) return [];
  return checkText(candidate, { file: WITHDRAWN_FILE, maxBytes: MAX_WITHDRAWN_BYTES }, (text, file) =>
    parseWithdrawn(text, file).diagnostics.map((diagnostic) => ({
      ...diagnostic,
      severity: "error",
      hint: diagnostic.hint ?? "correct the file: as it is, no version would count as withdrawn",
    })),
  );
}

/** A CVL file that is a link can be imported by nobody. */
async function checkCvlFiles(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  const files = (await candidate.listing()).filter(({ path }) => path.endsWith(".cvl"));
  const links = files.filter(({ kind }) => kind !== "file");
  return [
    ...links.map(({ path, kind }) =>
      mistake("IMPORT_FILE_REFUSED", `${path} is a ${kind}, not a file`, "put the CVL file itself there"),
    ),
    ...(files.some(({ path }) => !path.includes("/"))
      ? []
      : [
          mistake(
            "VERSION_WITHOUT_CVL",
            "there is no CVL file at its top: a version is an appliance",
            "tags for other things have other names than v1, v2, …",
          ),
        ]),
  ];
}

async function checkDescriptions(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  const diagnostics: Diagnostic[] = [];
  for (const { path: file, kind } of await candidate.listing()) {
    if (kind !== "file" || !/\.(vm\.yaml|vmx)$/.test(file) || !candidate.isChecked(file)) continue;
    const limit = { file, maxBytes: maxVmDescriptionBytes(file) };
    diagnostics.push(
      ...(await checkText(candidate, limit, (text) => parseVmDescription(text, file).diagnostics)),
    );
  }
  return diagnostics;
}

/** A file that is not there is no mistake here. */
async function checkText(
  candidate: VersionCandidate,
  { file, maxBytes }: { readonly file: string; readonly maxBytes: number },
  parse: (text: string, file: string) => readonly Diagnostic[],
): Promise<readonly Diagnostic[]> {
  try {
    const text = (await candidate.files.readFile(file, { maxBytes })).toString("utf8");
    candidate.addText(file, text);
    return parse(text, file);
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    return error.code === "REPOSITORY_FILE_MISSING"
      ? []
      : [mistake("IMPORT_FILE_REFUSED", error.message, error.hint)];
  }
}

/** What is larger and no disk by its name is not read: repositories take no such blob. */
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;
const INDEX_HEADER = /^((?:.*\/)?)disks\/[^/]+\.index\/header$/;
const MAX_HEADER_BYTES = 4 * 1024 * 1024;

async function checkPacks(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  const listing = await candidate.listing();
  const headers = listing.filter(({ path }) => INDEX_HEADER.test(path));
  if (headers.length === 0) return [];
  const pointers = new Map((await candidate.pointers()).map((pointer) => [pointer.path, pointer]));
  const present = new Set(listing.map(({ path }) => path));
  const diagnostics: Diagnostic[] = [];
  for (const header of headers) {
    const index = header.path.slice(0, -"/header".length);
    const above = INDEX_HEADER.exec(header.path)?.[1] ?? "";
    try {
      for (const { oid, sizeBytes } of await packsOf(candidate, header)) {
        const file = `${above}${PACKS_FOLDER}/${oid}.pack`;
        const pointer = pointers.get(file);
        if (pointer?.oid === oid && pointer.sizeBytes === sizeBytes) continue;
        const why = present.has(file) ? "no pointer to that object" : "not there";
        diagnostics.push(
          mistake(
            "VERSION_PACK_MISSING",
            `${index} needs ${file}, which is ${why}`,
            "`cui disk add` writes index and packs together: commit both; packs go through git-lfs",
          ),
        );
      }
    } catch (error) {
      if (!(error instanceof CollectiveError)) throw error;
      diagnostics.push(mistake("VM_DISK_MISSING", `${index}: ${error.message}`, error.hint));
    }
  }
  return diagnostics;
}

async function packsOf({ objects }: VersionCandidate, { oid, sizeBytes }: ListedFile) {
  const blob = sizeBytes > MAX_HEADER_BYTES ? undefined : await objects.contents(oid);
  return decodeHeader(blob?.content ?? Buffer.alloc(0)).packs;
}

async function checkEvaluation(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  return (await candidate.roots()).flatMap(({ diagnostics }) => diagnostics);
}

async function checkMachines(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  return (await candidate.networks()).flatMap(({ described }) => described.diagnostics);
}

/** Images lie in index and packs; the files themselves, above all a user's data, have no place in a version. */
async function checkImages(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  const listing = await candidate.listing();
  const present = new Set(listing.map(({ path }) => path));
  const isPresent = (file: string): boolean => present.has(file) || present.has(`${file}/header`);
  const networks = await candidate.networks();
  const own = networks
    .flatMap(({ described }) => [...described.images.values()])
    .filter(({ source }) => source.commit === candidate.commit && source.version === null);
  const misplaced = own.flatMap((image) => misplacedImages(image, isPresent));
  const others = await imageFiles(candidate, listing);
  return [
    ...misplaced,
    ...others
      .filter((file) => !misplaced.some(({ message }) => message.startsWith(`${file}, `)))
      .map((file) => mistake("VERSION_DISK_IMAGE", `${file}, which is a disk image, is in git`, OUT_OF_GIT)),
  ];
}

const OUT_OF_GIT = "take it out of git: `git rm --cached`, and name it in .gitignore";

/** Whoever names them, and under whatever name. */
async function imageFiles(
  { objects }: VersionCandidate,
  listing: readonly ListedFile[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { path, kind, oid, sizeBytes } of listing) {
    if (kind !== "file") continue;
    if (namedLikeDiskImage(path, sizeBytes)) found.push(path);
    else if (sizeBytes >= MIN_IMAGE_BYTES && sizeBytes <= MAX_IMAGE_BYTES) {
      const blob = await objects.contents(oid);
      if (blob !== undefined && looksLikeDiskImage(blob.content)) found.push(path);
    }
  }
  return found;
}

function misplacedImages(image: MachineImage, isPresent: (file: string) => boolean): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const program = new Set(image.programDisks.map(({ device }) => device));
  const prefix = image.descriptionFile.slice(0, image.descriptionFile.lastIndexOf("/") + 1);
  const hint = OUT_OF_GIT;
  for (const { device, source } of image.description.disks) {
    if (source === undefined) continue;
    const kind = program.has(device) ? "program" : "data";
    if (isPresent(prefix + source))
      diagnostics.push(
        mistake("VERSION_DISK_IMAGE", `${prefix}${source}, the image of a ${kind} disk, is in git`, hint),
      );
    const index = prefix + diskIndexPath(source);
    const isShared = image.programDisks.some(({ indexPath }) => indexPath === index);
    if (kind === "data" && !isShared && isPresent(index))
      diagnostics.push(mistake("VERSION_DISK_IMAGE", `${index} holds the data disk ${device}`, hint));
  }
  return diagnostics;
}

async function checkObjects(candidate: VersionCandidate): Promise<readonly Diagnostic[]> {
  return candidate.findMissing(await candidate.pointers());
}

function mistake(code: DiagnosticCode, message: string, hint?: string): Diagnostic {
  return makeDiagnostic(code, message, undefined, { hint });
}
