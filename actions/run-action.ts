/**
 * The process around a job of GitHub Actions: inputs and event in, outputs and exit status out.
 * @see GitHub Docs, "Metadata syntax", `inputs` (the runner hands them over as INPUT_<NAME>), and "Workflow commands".
 */
import { randomUUID } from "node:crypto";
import { appendFile, readFile } from "node:fs/promises";
import { CollectiveError } from "../src/errors.ts";
import { forgeFromEnvironment } from "../src/forge/client.ts";
import type { JobContext, JobResult } from "../src/forge/jobs/job.ts";
import { createInputReader, type InputReader } from "./inputs.ts";

export interface Action<Inputs> {
  /** Reads every input into one typed value. @throws CollectiveError USAGE. */
  readonly read: (inputs: InputReader) => Inputs;
  readonly run: (inputs: Inputs, job: JobContext) => Promise<JobResult>;
}

/** Runs an action in this process and sets its exit status. */
export async function runAction<Inputs>(action: Action<Inputs>): Promise<void> {
  const { env } = process;
  try {
    const job: JobContext = {
      workspace: env["GITHUB_WORKSPACE"] ?? process.cwd(),
      env,
      event: await readEvent(env["GITHUB_EVENT_PATH"]),
      forge: () => forgeFromEnvironment(env),
      print: (line) => void process.stdout.write(`${line}\n`),
    };
    const result = await action.run(action.read(createInputReader(env)), job);
    await writeOutputs(env["GITHUB_OUTPUT"], result.outputs);
    if (result.isFailed === true) process.exitCode = 1;
  } catch (error) {
    process.stdout.write(`${describe(error)}\n`);
    process.exitCode = 1;
  }
}

async function readEvent(file: string | undefined): Promise<unknown> {
  return file === undefined || file === "" ? {} : JSON.parse(await readFile(file, "utf8"));
}

/** A delimiter nobody can guess, so that no value can begin another output. */
async function writeOutputs(file: string | undefined, outputs: JobResult["outputs"]): Promise<void> {
  if (file === undefined || file === "") return;
  const lines = Object.entries(outputs).map(([name, value]) => {
    const delimiter = `end-${randomUUID()}`;
    return `${name}<<${delimiter}\n${value}\n${delimiter}\n`;
  });
  await appendFile(file, lines.join(""));
}

function describe(error: unknown): string {
  if (!(error instanceof CollectiveError)) {
    return `::error title=internal error::${escape(error instanceof Error ? (error.stack ?? error.message) : String(error))}`;
  }
  const hint = error.hint === undefined ? "" : `\nhint: ${error.hint}`;
  return `::error title=${error.code}::${escape(`${error.message}${hint}`)}`;
}

function escape(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}
