/** `cui fmt [--check] [file…]`: one way to write CVL. */
import path from "node:path";
import type { Command } from "commander";
import { format } from "../../cvl/format/format.ts";
import { CollectiveError } from "../../errors.ts";
import { rewriteFile } from "../../user-file.ts";
import type { CliContext } from "../context.ts";
import { gitOf } from "../git-of.ts";
import { listCvlFiles } from "../cvl-files.ts";
import { count, printDiagnostics, readCvl } from "../cvl-program.ts";

interface FmtOptions {
  readonly check?: boolean;
}

export function configure(command: Command, context: CliContext): void {
  command
    .argument("[file...]", "CVL files; without any, all below the folder that git does not ignore")
    .option("--check", "change nothing; fail when a file is not formatted")
    .addHelpText("after", "\nExamples:\n  cui fmt office.cvl\n  cui fmt --check\n")
    .action(async (files: string[], options: FmtOptions) => {
      await formatFiles(files, options.check === true, context);
    });
}

async function formatFiles(files: readonly string[], isCheck: boolean, context: CliContext): Promise<void> {
  const wanted = files.length > 0 ? files : await listCvlFiles(gitOf(context));
  const failed: string[] = [];
  let changed = 0;
  for (const file of wanted) {
    const outcome = await formatFile(file, isCheck, context);
    if (outcome === "damaged") failed.push(file);
    if (outcome === "changed") changed += 1;
  }
  if (failed.length > 0) {
    throw new CollectiveError(
      "INVALID_INPUT",
      `${count(failed.length, "file")} with errors left as they are`,
    );
  }
  if (isCheck && changed > 0) {
    throw new CollectiveError("INVALID_INPUT", `${count(changed, "file")} not formatted`, {
      hint: "run `cui fmt` without --check",
    });
  }
  context.print(`${count(wanted.length, "file")}, ${changed} changed`);
}

async function formatFile(
  file: string,
  isCheck: boolean,
  context: CliContext,
): Promise<"damaged" | "changed" | "same"> {
  const { root, diagnostics: unreadable } = await readCvl(file, context);
  const { text, diagnostics } = format(root.text, file);
  const all = [...unreadable, ...diagnostics];
  printDiagnostics(all, () => root.text, context);
  if (all.length > 0) return "damaged";
  if (text === root.text) return "same";
  context.print(isCheck ? `${file} is not formatted` : file);
  if (!isCheck) await rewriteFile(path.resolve(context.cwd, file), text);
  return "changed";
}
