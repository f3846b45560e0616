/**
 * The process around a job of GitHub Actions: inputs and event in, outputs and exit status out.
 * @see GitHub Docs, "Metadata syntax", `inputs` (the runner hands them over as INPUT_<NAME>), and "Workflow commands".
 */
import { randomUUID } from "node:crypto";
import { appendFile, readFile } from "node:fs/promises";
import { CollectiveError } from "../src/errors.ts";
import { asFileError } from "../src/file-errors.ts";
import { openGit } from "../src/git/git.ts";
import type { Forge } from "../src/forge/forge.ts";
import type { JobContext, JobResult } from "../src/forge/jobs/job.ts";
import { createInputReader, workspaceOf, type InputReader } from "./inputs.ts";
import { createRedactor, type Redactor } from "./redact.ts";

export interface Action<Inputs> {
  /** Reads every input into one typed value. @throws CollectiveError USAGE. */
  readonly read: (inputs: InputReader) => Inputs;
  readonly run: (inputs: Inputs, job: JobContext) => Promise<JobResult>;
}

/**
 * Runs an action in this process and sets its exit status. The job's forge has the token of the input `github-token`, else
 * GITHUB_TOKEN; no token reaches the log or an output. SIGINT, a cancelled job's first signal, aborts the job's signal.
 */
export async function runAction<Inputs>(action: Action<Inputs>): Promise<void> {
  const inputs = createInputReader(process.env);
  const redact = createRedactor(process.env);
  const cancelled = abortOnSignal();
  try {
    const result = await action.run(action.read(inputs), await createJob(inputs, redact, cancelled));
    await writeOutputs(process.env["GITHUB_OUTPUT"], result.outputs, redact);
    if (result.isFailed === true) process.exitCode = 1;
  } catch (error) {
    process.stdout.write(`${redact(describe(error))}\n`);
    process.exitCode = 1;
  }
}

async function createJob(inputs: InputReader, redact: Redactor, signal: AbortSignal): Promise<JobContext> {
  const token = inputs.text("github-token");
  const env = token === undefined ? process.env : { ...process.env, GITHUB_TOKEN: token };
  const { forgeFromEnvironment } = await import("../src/forge/client.ts");
  let forge: Forge | undefined;
  return {
    git: openGit({ folder: workspaceOf(env), env }),
    env,
    event: await readEvent(env["GITHUB_EVENT_PATH"]),
    forge: () => (forge ??= forgeFromEnvironment(env)),
    print: (line) => void process.stdout.write(`${redact(line)}\n`),
    signal,
  };
}

/** The runner sends SIGINT, 7.5 seconds later SIGTERM, and then kills: the second signal ends a job that does not listen. */
function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new CollectiveError("JOB_CANCELLED", "the job was cancelled"));
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return controller.signal;
}

async function readEvent(file: string | undefined): Promise<unknown> {
  if (file === undefined || file === "") return {};
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw new CollectiveError("INVALID_INPUT", "GITHUB_EVENT_PATH names no file with the event as JSON", {
      cause: error,
    });
  }
}

/** A delimiter nobody can guess, so that no value can begin another output. */
async function writeOutputs(
  file: string | undefined,
  outputs: JobResult["outputs"],
  redact: Redactor,
): Promise<void> {
  if (file === undefined || file === "") return;
  const lines = Object.entries(outputs).map(([name, value]) => {
    if (!/^[A-Za-z_][\w-]*$/.test(name)) throw new TypeError(`no name of an output: ${JSON.stringify(name)}`);
    const delimiter = `end-${randomUUID()}`;
    return `${name}<<${delimiter}\n${redact(value)}\n${delimiter}\n`;
  });
  await appendFile(file, lines.join(""));
}

function describe(thrown: unknown): string {
  const error = asFileError(thrown) ?? thrown;
  if (!(error instanceof CollectiveError)) {
    return `::error title=internal error::${escape(error instanceof Error ? (error.stack ?? error.message) : String(error))}`;
  }
  const hint = error.hint === undefined ? "" : `\nhint: ${error.hint}`;
  return `::error title=${error.code}::${escape(`${error.message}${hint}`)}`;
}

function escape(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}
