/** One `cui` of a sequence: run, interrupted where the step says so, and judged by how it ended and what it printed. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { CommandStep } from "./sequence.ts";
import type { NetworkName, World } from "./world.ts";
import type { Outcome } from "../e2e/programs.ts";

/** A quiet machine needs a tenth of it. */
const LIMIT_MS = 240_000;
const STOP_SECONDS = "20";

export interface CommandResult extends Outcome {
  readonly command: string;
  readonly ms: number;
  /** What is wrong with it whatever happened before. */
  readonly problems: readonly string[];
}

/** The site that a network belongs to. */
export function siteOf(world: World, network: NetworkName, sites: 1 | 2): { cwd: string; state: string } {
  return sites === 2 && network === "Two"
    ? { cwd: world.otherSite, state: world.otherState }
    : { cwd: world.site, state: world.state };
}

export async function runStep(world: World, step: CommandStep, sites: 1 | 2): Promise<CommandResult[]> {
  const results = [runOne(world, step, sites)];
  if (step.twin !== null) results.push(runOne(world, step.twin, sites));
  return Promise.all(results);
}

function runOne(world: World, step: CommandStep, sites: 1 | 2): Promise<CommandResult> {
  const { cwd, state } = siteOf(world, step.network, sites);
  const isCopied = step.fromCopy && cwd === world.site && existsSync(world.copiedSite);
  return runCui(world, {
    args: argumentsOf(step),
    cwd: isCopied ? world.copiedSite : cwd,
    state,
    interrupt: step.interrupt,
  });
}

function argumentsOf({ verb, network, latest }: CommandStep): string[] {
  const file = `${network}.cvl`;
  switch (verb) {
    case "status":
      return ["status", "--json"];
    case "plan":
    case "start":
      return [verb, file];
    case "update":
      return ["update", file, "--yes", ...(latest ? ["--latest"] : [])];
    case "stop":
      return ["stop", file, "--timeout", STOP_SECONDS];
    case "remove":
      return ["remove", file, "--stop", "--yes"];
  }
}

export function runCui(
  world: World,
  options: {
    readonly args: readonly string[];
    readonly cwd: string;
    readonly state: string;
    readonly interrupt?: CommandStep["interrupt"];
  },
): Promise<CommandResult> {
  const { args, cwd, state, interrupt } = options;
  const { cuiProgram, environment } = world.office;
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cuiProgram, ...args], {
      cwd,
      env: { ...process.env, ...environment, CUI_STATE: state },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [stdout, stderr, hangs] = ["", "", false];
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    child.on("error", reject);
    const timers = [
      setTimeout(() => {
        hangs = true;
        child.kill("SIGKILL");
      }, LIMIT_MS),
    ];
    if (interrupt != null) timers.push(setTimeout(() => child.kill(interrupt.signal), interrupt.afterMs));
    child.on("close", (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      const command = `cui ${args.join(" ")}`;
      const ms = Math.round(performance.now() - startedAt);
      const outcome = { code, signal, stdout, stderr };
      const problems = hangs ? [`${command} hangs: ${stderr}`] : judge(command, outcome, interrupt?.signal);
      resolve({ ...outcome, command, ms, problems });
    });
  });
}

const DEFECTS = [/defect of cui/i, /internal error/i, /^\s+at .+:\d+:\d+\)?$/m, /unhandled|uncaught/i];
const SIGNAL_CODES: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGINT: 130, SIGTERM: 143 };

function judge(command: string, outcome: Outcome, sent: NodeJS.Signals | undefined): string[] {
  const { code, signal, stdout, stderr } = outcome;
  const problems: string[] = [];
  const wasSent = sent !== undefined && (signal === sent || code === SIGNAL_CODES[sent]);
  if (!wasSent && !(code !== null && [0, 1, 2].includes(code)))
    problems.push(`${command} ended with ${code ?? signal}: ${stderr}`);
  if (DEFECTS.some((pattern) => pattern.test(stdout + stderr)))
    problems.push(`${command} printed a defect: ${stderr}`);
  if (code === 1 && !/[A-Z]+_[A-Z_]+/.test(stdout + stderr))
    problems.push(`${command} failed without a code: ${stdout}${stderr}`);
  if (code === 2) problems.push(`${command} was taken for wrong usage: ${stderr}`);
  return problems;
}
