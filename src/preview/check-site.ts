/** Every mistake of the files of a checkout: CVL with all it imports and the images it names, locks, inventories, VM descriptions. */
import { lstat, readFile } from "node:fs/promises";
import path from "node:path";
import pLimit from "p-limit";
import { format } from "../cvl/format/format.ts";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { firstObjectName } from "../cvl/parse/first-object.ts";
import {
  hasErrors,
  type Diagnostic,
  type DiagnosticCode,
  type Severity,
  type TextOf,
} from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { Environment, Git } from "../git/git.ts";
import { loadWith } from "../appliance/load.ts";
import type { LoadedAppliance } from "../appliance/loaded-appliance.ts";
import { LOCK_FILE, parseLock } from "../appliance/lock.ts";
import { withMirrors, type Mirrors } from "../appliance/mirrors.ts";
import { WITHDRAWN_FILE, parseWithdrawn } from "../appliance/versions.ts";
import { parseVmDescription } from "../appliance/vm-description.ts";
import { checkAppliance } from "../network/check-appliance.ts";
import type { NetworkDescription } from "../network/description.ts";
import { checkImages } from "../site/check-images.ts";
import type { Inventory } from "../site/inventory.ts";
import { MAX_INVENTORY_BYTES, parseInventory } from "../site/read-inventory.ts";
import { PREVIEW_LIMITS, withinLimits, type Budget, type PreviewLimits } from "./preview-limits.ts";
import { INVENTORY_FILE } from "../site/site.ts";

export interface CheckOptions {
  /** Called in a folder of a checkout. */
  readonly git: Git;
  /** URL prefixes imports may come from; undefined allows all. */
  readonly allow?: readonly string[] | undefined;
  readonly refusePaths?: boolean;
  /** A file that `cui fmt` would write otherwise. */
  readonly format: Severity | "off";
  readonly fetchEnv?: Environment | undefined;
  readonly cache?: string | undefined;
  readonly limits?: Partial<PreviewLimits>;
  readonly signal?: AbortSignal | undefined;
}

export interface CheckedFiles {
  readonly files: readonly string[];
  /** Each once, in the order of the files. */
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** Of the root files without a mistake that lie beside an inventory without one. */
  readonly networks: readonly CheckedNetwork[];
}

export interface CheckedNetwork {
  readonly file: string;
  readonly network: NetworkDescription;
  readonly inventory: Inventory;
}

const MAX_AT_ONCE = 8;

/** Checks what git tracks below the folder. @throws CollectiveError PREVIEW_TOO_LARGE, PREVIEW_TIMED_OUT. */
export async function checkSite(options: CheckOptions): Promise<CheckedFiles> {
  const limits = { ...PREVIEW_LIMITS, ...options.limits };
  return withinLimits(limits, (budget) => checkWithin(options, budget), options.signal);
}

async function checkWithin(options: CheckOptions, budget: Budget): Promise<CheckedFiles> {
  const files = await listFiles(options.git);
  budget.requireRoots(files.filter(isCvl).length);
  const results = await withMirrors(
    options.git.with(options.fetchEnv ?? {}).until(budget.signal),
    (mirrors) => {
      const limit = pLimit(MAX_AT_ONCE);
      const all = { ...options, budget, mirrors, files: new Set(files), inventories: new Map() };
      return Promise.all(files.map((file) => limit(checkFile, file, all)));
    },
    { cache: options.cache },
  );
  const seen = new Map<string, Diagnostic>();
  for (const { diagnostics } of results) {
    for (const diagnostic of diagnostics) {
      const { code, message, span } = diagnostic;
      seen.set(JSON.stringify([code, message, span]), diagnostic);
    }
  }
  const textOf: TextOf = (name) => {
    for (const result of results) {
      const text = result.textOf(name);
      if (text !== undefined) return text;
    }
    return undefined;
  };
  const networks = results.flatMap(({ network }) => network ?? []);
  return { files, diagnostics: [...seen.values()], textOf, networks };
}

/** What `git` tracks and this checks, by name; a symlink among them is a mistake. */
async function listFiles(git: Git): Promise<string[]> {
  const output = await git.run({ args: ["ls-files", "-z", "--cached", "--deduplicate"] });
  return output.split("\0").filter((file) => checkerOf(file) !== undefined);
}

function isCvl(file: string): boolean {
  return file.endsWith(".cvl");
}

interface FileOptions extends CheckOptions {
  readonly budget: Budget;
  readonly mirrors: Mirrors;
  /** Every file that is checked. */
  readonly files: ReadonlySet<string>;
  /** By file. */
  readonly inventories: Map<string, Promise<Inventory | undefined>>;
}

type Checked = Pick<CheckedFiles, "diagnostics" | "textOf"> & { readonly network?: CheckedNetwork };
type Checker = (file: string, text: string) => { readonly diagnostics: readonly Diagnostic[] };

function checkerOf(file: string): Checker | "cvl" | undefined {
  if (isCvl(file)) return "cvl";
  const name = path.posix.basename(file);
  if (name === INVENTORY_FILE) return (shown, text) => parseInventory(text, shown);
  if (name === LOCK_FILE) return (shown, text) => parseLock(text, shown);
  if (name === WITHDRAWN_FILE) return (shown, text) => parseWithdrawn(text, shown);
  if (/\.(vm\.yaml|vmx)$/.test(name)) return (shown, text) => parseVmDescription(text, shown);
  return undefined;
}

async function checkFile(file: string, options: FileOptions): Promise<Checked> {
  const { budget } = options;
  const { folder } = options.git;
  budget.requireTime();
  const absolute = path.join(folder, file);
  const info = await lstat(absolute).catch(() => undefined);
  if (info === undefined) return { diagnostics: [], textOf: () => undefined };
  const maxBytes = Math.min(budget.bytesLeft(), MAX_FILE_CHARACTERS);
  if (!info.isFile()) return refused(file, "is no plain file");
  if (info.size > maxBytes) return refused(file, `has ${info.size} bytes, and at most ${maxBytes} are read`);
  budget.spendBytes(info.size);
  const checker = checkerOf(file);
  if (checker === "cvl") return checkCvl(file, options);
  const text = await readFile(absolute, "utf8");
  const textOf: TextOf = (name) => (name === file ? text : undefined);
  return { diagnostics: checker?.(file, text).diagnostics ?? [], textOf };
}

function refused(file: string, problem: string): Checked {
  const span = { file, start: 0, end: 0 };
  const message = `${file} ${problem}`;
  const diagnostic: Diagnostic = { code: "FILE_REFUSED", severity: "error", message, span };
  return { diagnostics: [diagnostic], textOf: (name) => (name === file ? "" : undefined) };
}

async function checkCvl(file: string, options: FileOptions): Promise<Checked> {
  try {
    let loaded = await loadFile(file, undefined, options);
    const first = firstObjectName(loaded, file);
    if (first !== undefined) loaded = await loadFile(file, first, options);
    const { program, textOf } = loaded;
    const isSite = options.files.has(inventoryBeside(file));
    const inValues = program === undefined ? [] : checkAppliance(program, { isSite });
    const found = [...loaded.diagnostics, ...inValues];
    if (program === undefined || hasErrors(loaded.diagnostics)) return { diagnostics: found, textOf };
    const unformatted = hasErrors(found) ? [] : checkFormat(file, textOf(file) ?? "", options.format);
    const known = { diagnostics: [...found, ...unformatted], textOf };
    const inventory = isSite ? await readInventory(inventoryBeside(file), options) : undefined;
    // Without a main object nothing can be planned, and with mistakes in the inventory nothing is known of the site.
    if (first !== undefined || (isSite && inventory === undefined)) return known;
    const { network, diagnostics } = await checkImages(options.mirrors, program, { ...loaded, inventory });
    const all = { diagnostics: [...known.diagnostics, ...diagnostics], textOf };
    return network === undefined || inventory === undefined
      ? all
      : { ...all, network: { file, network, inventory } };
  } catch (error) {
    if (!(error instanceof CollectiveError) || !error.code.startsWith("REPOSITORY_")) throw error;
    return refused(file, `cannot be checked: ${error.message}`);
  }
}

function inventoryBeside(file: string): string {
  return path.posix.join(path.posix.dirname(file), INVENTORY_FILE);
}

/** Undefined when it has mistakes; they are told where it is checked itself. Each is read once. */
function readInventory(file: string, { git, inventories }: FileOptions): Promise<Inventory | undefined> {
  const known = inventories.get(file) ?? parseInventoryFile(path.join(git.folder, file));
  inventories.set(file, known);
  return known;
}

async function parseInventoryFile(file: string): Promise<Inventory | undefined> {
  const info = await lstat(file).catch(() => undefined);
  if (info?.isFile() !== true || info.size > 4 * MAX_INVENTORY_BYTES) return undefined;
  return parseInventory(await readFile(file, "utf8"), INVENTORY_FILE).inventory;
}

function loadFile(file: string, object: string | undefined, options: FileOptions): Promise<LoadedAppliance> {
  const { git, allow, refusePaths, mirrors } = options;
  return loadWith(mirrors, {
    file,
    cwd: git.folder,
    versions: "locked",
    writeLock: false,
    ...(object === undefined ? {} : { object }),
    ...(allow === undefined ? {} : { allow }),
    ...(refusePaths === undefined ? {} : { refusePaths }),
  });
}

/** At the first line that would be another one. */
function checkFormat(file: string, text: string, severity: CheckOptions["format"]): Diagnostic[] {
  if (severity === "off") return [];
  const { text: formatted, diagnostics } = format(text, file);
  if (formatted === text || diagnostics.length > 0) return [];
  const wanted = formatted.split("\n");
  let start = 0;
  for (const [index, line] of text.split("\n").entries()) {
    if (line !== wanted[index]) break;
    start += line.length + 1;
  }
  const code: DiagnosticCode = "CVL_FORMAT";
  const message = "the file is not written as `cui fmt` writes it";
  return [{ code, severity, message, span: { file, start, end: start }, hint: "run `cui fmt`" }];
}
