/** `cui`: finds the verb, loads it, runs it, prints errors, sets the exit status (0 done, 1 refused or failed, 2 wrong usage). */
import { Command, CommanderError } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { nearestName } from "../cvl/nearest.ts";
import { visible } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import { createAnswer, failureOf, keepDiagnostics, renderFailure, type Answer } from "./answer.ts";
import type { CliContext, VerbContext } from "./context.ts";
import { VERBS } from "./verbs.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs one command line (without `node cui`) and resolves to its exit status. */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const answer = createAnswer(args);
  try {
    return await runVerb(args, context, answer);
  } catch (error) {
    return reportError(error, { args, context, answer });
  }
}

async function runVerb(args: readonly string[], context: CliContext, answer: Answer): Promise<number> {
  if (args[0] === "--on") return (await import("./on-manager.ts")).runOnManager(args.slice(1), context);
  const verb = VERBS.find((entry) => entry.name === args[0]);
  if (verb === undefined && args[0] !== undefined && !args[0].startsWith("-") && args[0] !== "help") {
    throw unknownVerb(args[0]);
  }
  const program = createProgram(context);
  program.hook("preAction", (_program, action) => {
    answer.isJson = action.opts()["json"] === true;
  });
  let status = 0;
  const exitWith = (code: number): void => void (status = code);
  for (const entry of VERBS) {
    const command = addCommand(program, entry.name, entry.summary);
    if (entry === verb) (await entry.load()).configure(command, watched({ ...context, exitWith }, answer));
  }
  await program.parseAsync([...args], { from: "user" });
  return status;
}

/** The context, watched for what of the answer is out already. */
function watched(context: VerbContext, answer: Answer): VerbContext {
  return {
    ...context,
    print: (text) => {
      answer.isGiven = true;
      context.print(text);
    },
    onDiagnostics: (diagnostics, textOf) => {
      keepDiagnostics(answer, diagnostics, textOf);
    },
  };
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
      outputError: () => undefined, // it is reported where all errors are
    })
    .exitOverride()
    .addHelpText("after", "\nExample:\n  cui check office.cvl && cui start office.cvl\n");
}

function addCommand(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary).copyInheritedSettings(program);
}

function unknownVerb(name: string): CollectiveError {
  const nearest = nearestName(
    name,
    VERBS.map((verb) => verb.name),
  );
  const hint = nearest === undefined ? "" : `did you mean ${nearest}? `;
  return new CollectiveError("USAGE", `there is no command "${visible(name)}"`, {
    hint: `${hint}cui --help lists the commands`,
  });
}

function reportError(
  error: unknown,
  command: { readonly args: readonly string[]; readonly context: CliContext; readonly answer: Answer },
): number {
  const { args, context, answer } = command;
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const failure = failureOf(error, VERBS.find(({ name }) => name === args[0])?.name);
  context.warn(`error ${failure.code}: ${failure.message}`);
  if (failure.hint !== undefined) context.warn(`  hint: ${failure.hint}`);
  if (answer.isJson && !answer.isGiven) context.print(renderFailure(failure, answer.diagnostics));
  return failure.code === "USAGE" ? EXIT_USAGE : EXIT_FAILED;
}
