/** Before a commit: disk images that changed become index and packs, and those are staged. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { writeFileAtomically } from "../io.ts";
import { newestReachable, storeDisks, type StoreDisksOptions } from "../publish/add-disks.ts";
import { readApplianceFolder, type ApplianceFolder } from "../publish/appliance-folder.ts";
import { gitFolderOf } from "../git/folder.ts";
import { LOCK_FILE } from "../appliance/lock.ts";
import { withMirrors, type Mirrors } from "../appliance/mirrors.ts";
import { PACKS_FOLDER } from "../publish/write-program-disks.ts";
import { diskIndexPath } from "../appliance/disk-name.ts";
import { maxVmDescriptionBytes, parseVmDescription } from "../appliance/vm-description.ts";
import { inFilesOf, refusal, warning, type HookDiagnostic } from "./hook-diagnostic.ts";
import type { Stage } from "./stage.ts";

/** An import that is not at hand may take this long. */
const FETCH_MS = 30_000;
const SHARED_FILES = [".gitattributes", ".gitignore"];

export interface StageDisksOptions {
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
  /** What was done, a line each. */
  readonly onDone?: (line: string) => void;
}

/**
 * Looks at the time stamps of the images that VM descriptions name; only when one is not the image whose index is staged are the
 * appliances loaded and the disks stored, as `cui disk add` does.
 */
export async function stageDisks(
  stage: Stage,
  { cache, onDone }: StageDisksOptions,
): Promise<readonly HookDiagnostic[]> {
  const { images, texts } = await readTexts(stage.top);
  if (images.length === 0) return [];
  const memory = path.join(await gitFolderOf(stage.git), "cui-disks.json");
  const last = await readMemory(memory);
  const state = { format: 1 as const, texts, dataDisks: last?.dataDisks ?? [] };
  if (last !== undefined && same(last, { ...state, ...(await lookAt(stage, images, last.dataDisks)) }))
    return [];
  return withMirrors(
    stage.git,
    async (mirrors) => {
      const appliances = await readAppliances(stage.top, mirrors);
      const mistakes = appliances.flatMap(mistakesOf);
      if (mistakes.length > 0) return mistakes;
      const merged = mergeAppliances(stage.top, appliances);
      if (!merged.programDisks.some((image) => images.includes(image))) return [];
      if (stage.isPartial) return [notStageable(merged.programDisks)];
      const { dataDisks } = merged;
      // Stamps from before: what changes while it is read is read again next time.
      const { stamps } = await lookAt(stage, images, dataDisks);
      const shared = await cleanFiles(stage);
      const previous = await newestReachable(stage.git, mirrors);
      const added = await storeDisks({ appliance: merged, previous }).finally(() => previous?.close());
      const warnings = await stageStored(stage, shared);
      for (const { source, addedBytes, isUnchanged } of added) {
        if (!isUnchanged) onDone?.(`${source}: ${mebibytes(addedBytes)} of new chunks, staged`);
      }
      const { staged } = await lookAt(stage, [], dataDisks);
      await writeFileAtomically(memory, JSON.stringify({ ...state, dataDisks, stamps, staged }));
      return warnings;
    },
    { cache, fetchTimeoutMs: () => FETCH_MS },
  );
}

/** What was stored last: an image that is as it was then need not be read again. */
interface Memory {
  readonly format: 1;
  /** Of the texts that say which images there are. */
  readonly texts: string;
  readonly dataDisks: readonly string[];
  /** Of each program disk's image: path, size, times, inode. */
  readonly stamps: readonly (readonly string[])[];
  /** Index entries below `disks`: a checkout of another version changes them. */
  readonly staged: readonly string[];
}

async function readMemory(file: string): Promise<Memory | undefined> {
  try {
    const memory = JSON.parse(await readFile(file, "utf8")) as Partial<Memory> | null;
    return memory?.format === 1 && Array.isArray(memory.dataDisks) ? (memory as Memory) : undefined;
  } catch {
    return undefined; // none yet, or damaged: the disks are read again
  }
}

function same(last: Memory, now: Memory): boolean {
  return (
    JSON.stringify([last.texts, last.stamps, last.staged]) ===
    JSON.stringify([now.texts, now.stamps, now.staged])
  );
}

async function lookAt(
  stage: Stage,
  images: readonly string[],
  dataDisks: readonly string[],
): Promise<Pick<Memory, "stamps" | "staged">> {
  const programs = images.filter((image) => !dataDisks.includes(image));
  const stamps = await Promise.all(programs.map((image) => imageStamp(stage.top, image)));
  const staged = await stage.run({ args: ["ls-files", "--stage", "-z", "--", "disks"] });
  return {
    stamps: stamps.flatMap((stamp) => (stamp === undefined ? [] : [stamp])),
    staged: staged.split("\0"),
  };
}

/** The images at hand that VM descriptions at the top name, sorted, and a digest of what decides which of them are data disks. */
async function readTexts(
  top: string,
): Promise<{ readonly images: readonly string[]; readonly texts: string }> {
  const images = new Set<string>();
  const hash = createHash("sha256");
  for (const name of (await readdir(top)).sort()) {
    const isDescription = /\.(vm\.yaml|vmx)$/i.test(name);
    if (!isDescription && !name.endsWith(".cvl") && name !== LOCK_FILE) continue;
    const found = await stat(path.join(top, name)).catch(() => undefined);
    if (found?.isFile() !== true || found.size > MAX_FILE_CHARACTERS) continue;
    const text = await readFile(path.join(top, name), "utf8");
    hash.update(`${name}\0${text}\0`);
    if (!isDescription || text.length > maxVmDescriptionBytes(name)) continue;
    const { description } = parseVmDescription(text, name);
    for (const { source } of description?.disks ?? []) if (source !== undefined) images.add(source);
  }
  const present = await Promise.all(
    [...images].map(async (image) => ((await imageStamp(top, image)) === undefined ? [] : [image])),
  );
  return { images: present.flat().sort(), texts: hash.digest("hex") };
}

async function imageStamp(top: string, image: string): Promise<readonly string[] | undefined> {
  const found = await stat(path.join(top, image), { bigint: true }).catch(() => undefined);
  if (found?.isFile() !== true) return undefined;
  return [image, ...[found.size, found.mtimeNs, found.ctimeNs, found.ino].map(String)];
}

async function readAppliances(top: string, mirrors: Mirrors): Promise<readonly ApplianceFolder[]> {
  const files = (await readdir(top)).filter((name) => name.endsWith(".cvl")).sort();
  const appliances: ApplianceFolder[] = [];
  for (const cvl of files) appliances.push(await readApplianceFolder(mirrors, { cvl, cwd: top }));
  return appliances;
}

/** Of the work tree: what is staged was checked before. A file of several objects has no disks of its own. */
function mistakesOf({ diagnostics, textOf }: ApplianceFolder): readonly HookDiagnostic[] {
  const errors = diagnostics.filter(
    ({ severity, code }) => severity === "error" && code !== "CVL_ROOT_OBJECT",
  );
  return inFilesOf("the disks of the work tree", errors, textOf);
}

function mergeAppliances(
  top: string,
  appliances: readonly ApplianceFolder[],
): StoreDisksOptions["appliance"] {
  const all = (of: (appliance: ApplianceFolder) => readonly string[]): string[] => [
    ...new Set(appliances.flatMap(of)),
  ];
  const programDisks = all((appliance) => appliance.programDisks);
  return {
    folder: top,
    programDisks,
    dataDisks: all((appliance) => appliance.dataDisks).filter((image) => !programDisks.includes(image)),
    bootFiles: all((appliance) => appliance.bootFiles),
  };
}

/**
 * Those of the files shared with the user that may be staged as a whole: they hold nothing unstaged, or git does not know them
 * yet (a commit that was killed leaves such).
 */
async function cleanFiles(stage: Stage): Promise<readonly string[]> {
  const clean = await Promise.all(
    SHARED_FILES.map(async (file) => {
      const entry = await stage.entry(file);
      return entry === undefined || (await stage.isClean(entry)) ? [file] : [];
    }),
  );
  return clean.flat();
}

/** Index folders and packs alone, not what else may lie in `disks`. */
async function stageStored(stage: Stage, shared: readonly string[]): Promise<readonly HookDiagnostic[]> {
  await mkdir(path.join(stage.top, PACKS_FOLDER), { recursive: true });
  const inIndex = (await stage.run({ args: ["ls-files", "-z", "--", "disks"] })).split("\0");
  const inTree = (await readdir(path.join(stage.top, "disks"))).map((name) => `disks/${name}/`);
  const folders = [...inIndex, ...inTree].flatMap(
    (file) => /^disks\/(?:packs|[^/]+\.index)(?=\/)/.exec(file)?.[0] ?? [],
  );
  const present = await Promise.all(
    SHARED_FILES.map(async (file) =>
      (await stat(path.join(stage.top, file)).catch(() => undefined)) === undefined ? [] : [file],
    ),
  );
  const paths = [...new Set(folders), ...present.flat().filter((file) => shared.includes(file))];
  await stage.run({ args: ["add", "--all", "--force", "--sparse", "--", ...paths], lfsFilters: true });
  return present
    .flat()
    .filter((file) => !shared.includes(file))
    .map(leftAlone);
}

function leftAlone(file: string): HookDiagnostic {
  return warning(
    file,
    "COMMIT_PARTIAL",
    "it has changes of yours that are not staged, so the lines for the disks are not staged either",
    `git add ${file} belongs to the next commit`,
  );
}

function notStageable(images: readonly string[]): HookDiagnostic {
  return refusal(
    images.map(diskIndexPath).join(", "),
    "COMMIT_PARTIAL",
    "the disk image changed, and git commits named files from a copy of the index that a hook cannot change",
    "commit without naming files (git add them, then git commit), or take --no-verify",
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
}
