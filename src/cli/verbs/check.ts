/** `cui check [file…]`: every mistake of every file, also what `cui plan` says before it asks a host. */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import path from "node:path";
import { checkAppliance } from "../../network/check-appliance.ts";
import { rootObjectName } from "../../cvl/link/link.ts";
import type { LinkedProgram } from "../../cvl/link/program.ts";
import type { Inventory } from "../../site/inventory.ts";
import { MAX_INVENTORY_BYTES, parseInventory } from "../../site/read-inventory.ts";
import { INVENTORY_FILE } from "../../site/site.ts";
import {
  hasErrors,
  placeDiagnostic,
  type Diagnostic,
  type PlacedDiagnostic,
  type TextOf,
} from "../../diagnostics.ts";
import { CollectiveError, type ErrorCode } from "../../errors.ts";
import { readRegularFile } from "../../regular-file.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
import { listCvlFiles } from "../cvl-files.ts";
import { firstObjectName } from "../../cvl/parse/first-object.ts";
import { count, countDiagnostics, loadProgram, printDiagnostics } from "../cvl-program.ts";

interface CheckOptions {
  readonly json?: boolean;
}

export function configure(command: Command, context: CliContext): void {
  command
    .argument("[file...]", "CVL files; without any, all below the folder that git does not ignore")
    .option("--json", "print the diagnostics as JSON")
    .addHelpText("after", "\nExamples:\n  cui check\n  cui check office.cvl --json\n")
    .action(async (files: string[], options: CheckOptions) => {
      await checkFiles(files, options.json === true, context);
    });
}

interface Checked {
  readonly diagnostics: readonly Diagnostic[];
  readonly textOf: TextOf;
  /** What the site lacks for it. */
  readonly lacks?: CollectiveError | undefined;
}

type Answered = Omit<PlacedDiagnostic, "code"> & { readonly code: PlacedDiagnostic["code"] | ErrorCode };

async function checkFiles(files: readonly string[], isJson: boolean, context: CliContext): Promise<void> {
  const wanted = files.length > 0 ? files : await listCvlFiles(gitOf(context));
  const all: Pick<Diagnostic, "severity">[] = [];
  const json: Answered[] = [];
  const seen = new Set<string>();
  const sites = createSites(context);
  const tell = ({ diagnostics, textOf, lacks }: Checked, file: string): void => {
    const fresh = diagnostics.filter((diagnostic) => isFresh(diagnostic, seen));
    const lacking = lacks === undefined ? [] : [lackingAnswer(lacks, file)];
    all.push(...fresh, ...lacking);
    json.push(...fresh.map((diagnostic) => placeDiagnostic(diagnostic, textOf)), ...lacking);
    if (isJson) return;
    printDiagnostics(fresh, textOf, context);
    for (const { code, message, hint } of lacking)
      context.warn(`${file}: error ${code}: ${message}${hint === undefined ? "" : `\n  hint: ${hint}`}`);
  };
  for (const file of wanted) {
    const site = await sites(file);
    if (site !== undefined) tell(site.checked, file);
    tell(await checkFile(file, site, context), file);
  }
  if (isJson) context.print(JSON.stringify(json, undefined, 2));
  const summary = `${count(wanted.length, "file")} checked, ${countDiagnostics(all)}`;
  if (all.some(({ severity }) => severity === "error")) throw new CollectiveError("INVALID_INPUT", summary);
  if (!isJson) context.print(summary);
}

function lackingAnswer({ code, message, hint }: CollectiveError, file: string): Answered {
  return { code, severity: "error", message, file, ...(hint === undefined ? {} : { hint }) };
}

interface CheckedSite {
  /** Undefined when it has mistakes. */
  readonly inventory: Inventory | undefined;
  readonly checked: Checked;
}

/** Finds the inventory beside a file; each is read once. */
function createSites(context: CliContext): (file: string) => Promise<CheckedSite | undefined> {
  const known = new Map<string, Promise<CheckedSite | undefined>>();
  return (file) => {
    const inventoryFile = path.join(path.dirname(path.resolve(context.cwd, file)), INVENTORY_FILE);
    const found = known.get(inventoryFile) ?? readSite(inventoryFile, context);
    known.set(inventoryFile, found);
    return found;
  };
}

async function readSite(file: string, context: CliContext): Promise<CheckedSite | undefined> {
  if (!existsSync(file)) return undefined;
  const text = String(await readRegularFile(file, { maxBytes: 4 * MAX_INVENTORY_BYTES }));
  const { inventory, diagnostics } = parseInventory(text, path.relative(context.cwd, file));
  return { inventory, checked: { diagnostics, textOf: () => text } };
}

async function checkFile(file: string, site: CheckedSite | undefined, context: CliContext): Promise<Checked> {
  const allow = site?.inventory?.allow;
  let loaded = await loadProgram(file, undefined, context, allow);
  const first = firstObjectName(loaded, file);
  if (first !== undefined) loaded = await loadProgram(file, first, context, allow);
  const { program, diagnostics, textOf } = loaded;
  if (program === undefined) return { diagnostics, textOf };
  const known = [...diagnostics, ...checkAppliance(program, { isSite: site !== undefined })];
  const isWhole = rootObjectName(program.root.file, [...program.objects.keys()]) !== undefined;
  // Without the inventory nothing can be said of the site; what is found twice is shown once.
  if (hasErrors(diagnostics) || !isWhole || (site !== undefined && site.inventory === undefined))
    return { diagnostics: known, textOf };
  return checkAsPlanned(program, { known, textOf, inventory: site?.inventory, context });
}

async function checkAsPlanned(
  program: LinkedProgram,
  options: {
    readonly known: readonly Diagnostic[];
    readonly textOf: TextOf;
    readonly inventory: Inventory | undefined;
    readonly context: CliContext;
  },
): Promise<Checked> {
  const { known, inventory, context } = options;
  const { withMirrors } = await import("../../appliance/mirrors.ts");
  const { checkImages } = await import("../../site/check-images.ts");
  const texts = new Map<string, string>();
  const addText = (name: string, text: string): void => void texts.set(name, text);
  const { network, diagnostics } = await withMirrors(gitOf(context), (mirrors) =>
    checkImages(mirrors, program, { inventory, addText }),
  );
  const textOf: TextOf = (name) => texts.get(name) ?? options.textOf(name);
  const all = { diagnostics: [...known, ...diagnostics], textOf };
  if (network === undefined || inventory === undefined) return all;
  const { checkAllocation } = await import("../../manager/change/check-allocation.ts");
  return { ...all, lacks: checkAllocation(network, inventory) };
}

/** Files that import the same file all report its mistakes; they are shown once. */
function isFresh({ code, span, message }: Diagnostic, seen: Set<string>): boolean {
  const key = JSON.stringify([code, span, message]);
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}
