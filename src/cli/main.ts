/** `cui`: finds the verb, loads it, runs it, prints errors, sets the exit status (0 done, 1 refused or failed, 2 wrong usage). */
import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { nearestName } from "../cvl/nearest.ts";
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { asFileError } from "../file-errors.ts";
import type { CliContext } from "./context.ts";
import { VERBS } from "./verbs.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one command line (without `node cui`) and resolves to its exit status. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  try {
    return await runVerb(args, context);
  } catch (error) {
    return reportError(error, context);
  }
}

async function runVerb(args: readonly string[], context: CliContext): Promise<number> {
  if (args[0] === "--on") return (await import("./on-manager.ts")).runOnManager(args.slice(1), context);
  const verb = VERBS.find((entry) => entry.name === args[0]);
  if (verb === undefined && args[0] !== undefined && !args[0].startsWith("-") && args[0] !== "help") {
    return reportUnknownVerb(args[0], context);
  }
  const program = createProgram(context);
  let status = 0;
  const exitWith = (code: number): void => void (status = code);
  for (const entry of VERBS) {
    const command = addCommand(program, entry.name, entry.summary);
    if (entry === verb) (await entry.load()).configure(command, { ...context, exitWith });
  }
  await program.parseAsync([...args], { from: "user" });
  return status;
}

function createProgram(context: CliContext): Command {
  return new Command("cui")
    .description("Publish, derive, preview, run and update networks of virtual appliances.")
    .version(packageJson.version)
    .usage("[--on user@manager] <command> [arguments]")
    .enablePositionalOptions()
    .option("--on <user@manager>", "run the command on that machine over ssh")
    .configureOutput({
      writeOut: (text) => {
        context.print(text.trimEnd());
      },
      writeErr: (text) => {
        context.warn(text.trimEnd());
      },
    })
    .showHelpAfterError("  hint: cui <command> --help shows the form and an example")
    .exitOverride()
    .addHelpText("after", "\nExample:\n  cui check office.cvl && cui start office.cvl\n");
}

function addCommand(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary).copyInheritedSettings(program);
}

function reportUnknownVerb(name: string, context: CliContext): number {
  const nearest = nearestName(
    name,
    VERBS.map((verb) => verb.name),
  );
  context.warn(`error: there is no command "${visible(name)}"`);
  const hint = nearest === undefined ? "" : `did you mean ${nearest}? `;
  context.warn(`  hint: ${hint}cui --help lists the commands`);
  return EXIT_USAGE;
}

function reportError(thrown: unknown, context: CliContext): number {
  const error = asFileError(thrown) ?? thrown;
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
