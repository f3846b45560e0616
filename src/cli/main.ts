/** `cui`: finds the verb, loads it, runs it, prints errors, sets the exit status (0 done, 1 refused or failed, 2 wrong usage). */
import { Command, CommanderError } from "commander";
import { CollectiveError } from "../errors.ts";
import type { CliContext } from "./context.ts";
import { VERBS } from "./verbs.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one command line (without `node cui`) and resolves to its exit status. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const program = createProgram(context);
  const verb = VERBS.find((entry) => entry.name === args[0]);
  for (const entry of VERBS) {
    const command = addCommand(program, entry.name, entry.summary);
    if (entry === verb) (await entry.load()).configure(command, context);
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    return reportError(error, context);
  }
}

function createProgram(context: CliContext): Command {
  return new Command("cui")
    .description("Publish, derive, preview, run and update networks of virtual appliances.")
    .version("0.1.0")
    .configureOutput({
      writeOut: (text) => {
        context.print(text.trimEnd());
      },
      writeErr: (text) => {
        context.warn(text.trimEnd());
      },
    })
    .exitOverride()
    .addHelpText("after", "\nExample:\n  cui check office.cvl && cui start office.cvl\n");
}

function addCommand(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary).copyInheritedSettings(program);
}

function reportError(error: unknown, context: CliContext): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof CollectiveError) {
    context.warn(`error ${error.code}: ${error.message}`);
    if (error.hint !== undefined) context.warn(`  hint: ${error.hint}`);
    return error.code === "USAGE" ? EXIT_USAGE : EXIT_FAILED;
  }
  context.warn(`internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  context.warn("  hint: this is a defect of cui; please report it with the lines above");
  return EXIT_FAILED;
}
