/** `cui check [file…]`: every mistake of every file. */
import type { Command } from "commander";
import { existsSync } from "node:fs";
import path from "node:path";
import { checkAppliance } from "../../network/check-appliance.ts";
import { INVENTORY_FILE } from "../../site/site.ts";
import { type Diagnostic, placeDiagnostic, type TextOf } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
import { listCvlFiles } from "../cvl-files.ts";
import { parse } from "../../cvl/parse/parser.ts";
import { count, countDiagnostics, loadProgram, printDiagnostics, type ProgramFile } from "../cvl-program.ts";

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

async function checkFiles(files: readonly string[], isJson: boolean, context: CliContext): Promise<void> {
  const wanted = files.length > 0 ? files : await listCvlFiles(gitOf(context));
  const all: Diagnostic[] = [];
  const json: object[] = [];
  const seen = new Set<string>();
  for (const file of wanted) {
    const { diagnostics, textOf } = await checkFile(file, context);
    const fresh = diagnostics.filter((diagnostic) => isFresh(diagnostic, seen));
    for (const diagnostic of fresh) all.push(diagnostic);
    if (isJson) for (const diagnostic of fresh) json.push(placeDiagnostic(diagnostic, textOf));
    else printDiagnostics(fresh, textOf, context);
  }
  if (isJson) context.print(JSON.stringify(json, undefined, 2));
  const summary = `${count(wanted.length, "file")} checked, ${countDiagnostics(all)}`;
  if (all.some(({ severity }) => severity === "error")) throw new CollectiveError("INVALID_INPUT", summary);
  if (!isJson) context.print(summary);
}

async function checkFile(
  file: string,
  context: CliContext,
): Promise<{ readonly diagnostics: readonly Diagnostic[]; readonly textOf: TextOf }> {
  let loaded = await loadProgram(file, undefined, context);
  const first = findFirstObject(loaded, file);
  if (first !== undefined) loaded = await loadProgram(file, first, context);
  const { program, diagnostics, textOf } = loaded;
  if (program === undefined) return { diagnostics, textOf };
  const isSite = existsSync(path.join(path.dirname(path.resolve(context.cwd, file)), INVENTORY_FILE));
  return { diagnostics: [...diagnostics, ...checkAppliance(program, { isSite })], textOf };
}

/** A file may hold several objects without a main one: it can be checked, only not started. */
function findFirstObject({ diagnostics, textOf }: ProgramFile, file: string): string | undefined {
  const [diagnostic, second] = diagnostics.filter(({ severity }) => severity === "error");
  if (diagnostic?.code !== "CVL_ROOT_OBJECT" || second !== undefined) return undefined;
  return parse(textOf(file) ?? "", file).file.objects[0]?.name.text;
}

/** Files that import the same file all report its mistakes; they are shown once. */
function isFresh({ code, span, message }: Diagnostic, seen: Set<string>): boolean {
  const key = JSON.stringify([code, span, message]);
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}
