// The quickstart's surroundings: its temporary folder, running programs, the steps with their times, cleaning up.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { startGuard } from "../guard.ts";
import { shareUsersCache } from "../users-cache.ts";

/** The project's folder. */
export const root = path.dirname(path.dirname(import.meta.dirname));
const GUARDED = "CUI_QUICKSTART";
const cuiProgram = path.join(root, "dist/cui.js");

/** One run of the quickstart; every program runs with its caches and state in the run's folder. */
export interface Session {
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  /** The programs that run now. */
  readonly children: Set<ChildProcess>;
  readonly timings: StepTime[];
  hasLab: boolean;
  /** A path in the run's folder. */
  at(...parts: readonly string[]): string;
  /** Ends what runs and removes the folder. */
  close(): Promise<void>;
}

/** How long one step took. */
export interface StepTime {
  readonly title: string;
  readonly seconds: number;
}

/** Where a program runs, by default in the run's folder, and whether its output is shown when it succeeds too. */
export interface ProgramOptions {
  readonly cwd?: string;
  readonly show?: boolean;
}

/** Makes the run's folder, which a watchdog removes however this process ends. */
export async function openSession(): Promise<Session> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "cui-quickstart-"));
  const cache = path.join(folder, "cache");
  const environment = {
    ...process.env,
    XDG_CACHE_HOME: cache,
    CUI_STATE: path.join(folder, "state.git"),
    GIT_CONFIG_GLOBAL: "/dev/null",
    CI: "true",
    [GUARDED]: folder,
  };
  // Killed, this process leaves the lab, which ends by itself, and a `cui` that may be in the middle of something.
  const guard = startGuard({ variable: GUARDED, folder, graceMs: 10_000 });
  await shareUsersCache(cache);
  const session: Session = {
    folder,
    environment,
    children: new Set<ChildProcess>(),
    timings: [],
    hasLab: false,
    at: (...parts) => path.join(folder, ...parts),
    async close() {
      for (const child of session.children) child.kill("SIGTERM");
      if (session.hasLab) await cui(session, ["lab", "down", "--yes", "--dir", session.at("lab")]);
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
      await guard.end();
    },
  };
  return session;
}

/** Runs one step of the quickstart and says how long it took. */
export async function step<Result>(
  session: Pick<Session, "timings">,
  title: string,
  action: () => Result | Promise<Result>,
): Promise<Result> {
  console.log(`\n── ${title}`);
  const startedAt = performance.now();
  const result = await action();
  const seconds = (performance.now() - startedAt) / 1000;
  session.timings.push({ title, seconds });
  console.log(`   done in ${seconds.toFixed(1)} s`);
  return result;
}

/** Runs `cui`, shows the command line, and with `show` what it prints; resolves to its standard output. */
export function cui(session: Session, args: readonly string[], options?: ProgramOptions): Promise<string> {
  const shown = args.map((arg) => arg.replaceAll(`${session.folder}/`, "").replace(session.folder, "."));
  console.log(`   $ cui ${shown.join(" ")}`);
  return program(session, process.execPath, [cuiProgram, ...args], options);
}

/** Runs a program to its end; its output is shown when it fails. Resolves to its standard output. */
export function program(
  session: Session,
  file: string,
  args: readonly string[],
  { cwd = session.folder, show = false }: ProgramOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: session.environment, stdio: ["ignore", "pipe", "pipe"] });
    session.children.add(child);
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      session.children.delete(child);
      if (show || code !== 0) process.stdout.write(indent(output));
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            `${path.basename(file)} ${args.join(" ")} ended with ${code ?? signal}\n${indent(errors)}`,
          ),
        );
    });
  });
}

/** Puts each line under the title of its step. */
export function indent(text: string): string {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => `     ${line}\n`)
    .join("");
}

/** The lab ends with this process, however that ends; `cui lab down` ends it before. */
export async function startLab(session: Session): Promise<void> {
  session.hasLab = true;
  await cui(
    session,
    ["lab", "up", "--hosts", "2", "--dir", session.at("lab"), "--owner", String(process.pid)],
    { show: true },
  );
}
