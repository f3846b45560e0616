/** Builds the CLI and the tests, runs each test file in a process of its own and reports; begun by ../test.ts. */
import { readdir } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import { buildCli, buildTests } from "../build.ts";
import { processesOf, startGuard } from "../guard.ts";
import { findTestFiles, longestFirst, type TestFile } from "./choose.ts";
import { machineChanges, readMachine } from "./machine.ts";
import { readRecord, writeRecord } from "./record.ts";
import { countTests, fileLines, runReport } from "./report.ts";
import { makeRunFolder } from "./run-folder.ts";
import { runFile } from "./run-file.ts";
import { watchNpm } from "./watch-npm.ts";

const JOBS = Math.min(2, os.availableParallelism());
/** Of one file: more than ten times what the slowest needs on a quiet machine with two cores, about two minutes. */
const TIMEOUT_MS = Number(process.env["CUI_TEST_TIMEOUT_MINUTES"] ?? 30) * 60_000;
/** What ends with its owner, labs above all, needs a moment. */
const GRACE_MS = 60_000;

const startedAt = performance.now();
const { files, left: leftOut } = await chooseFiles(process.argv.slice(2));
const machine = readMachine();

// Everything the tests make lies in one folder; the guard removes it and ends what is left, however this process ends.
const folder = makeRunFolder();
const fixtures = path.resolve(".tap/fixtures");
const run = { variable: "CUI_TEST_RUN", folder };
const guard = startGuard({ ...run, others: [fixtures] });
for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }))
  process.once(signal, () => void interrupt(signal, 128 + number));
const isNpmThere = watchNpm();
const npmWatch = setInterval(() => {
  if (isNpmThere()) return;
  clearInterval(npmWatch);
  void interrupt("npm has ended", 1);
}, 500).unref();

const limit = pLimit(JOBS);
const results = await limit.map(files, async (file) => {
  const result = await runFile({ ...file, env: testEnvironment(), timeoutMs: TIMEOUT_MS });
  console.log(fileLines(result));
  return result;
});
writeRecord(results);
const left = await whatIsLeft();
await guard.end();
if (leftOut > 0) console.log(`\n${leftOut} slow files were left out: npm run test:slow runs them.`);
console.log(runReport({ results, left, ms: performance.now() - startedAt }));
const { passed, failed } = countTests({ results, left });
process.exit(failed === 0 && passed > 0 ? 0 : 1);

/** Slow files run when they are asked for: by `--slow`, a part of their path, `--again` or an exhaustive run. */
async function chooseFiles(args: readonly string[]): Promise<{ files: TestFile[]; left: number }> {
  const record = readRecord();
  const isAgain = args.includes("--again");
  const isSlow = args.includes("--slow");
  const parts = args.filter((arg) => arg !== "--again" && arg !== "--slow");
  const unknown = parts.find((part) => part.startsWith("-"));
  if (unknown !== undefined)
    stop(`${unknown} is no option; usage: npm test -- [--again | --slow] [part of a path …]`, 2);
  if (isAgain && record.failed.length === 0) stop("nothing failed in the last run", 0);
  await buildCli();
  await buildTests();
  const isPlain = !isAgain && parts.length === 0 && process.env["CUI_EXHAUSTIVE"] !== "1";
  const speed = isSlow ? "slow" : isPlain ? "fast" : "any";
  const found = await findTestFiles({ parts, speed });
  const chosen = isAgain ? found.filter(({ file }) => record.failed.includes(file)) : found;
  if (chosen.length === 0) stop(`no test file matches ${args.join(" ")}`, 2);
  const left = speed === "fast" ? (await findTestFiles({ parts, speed: "slow" })).length : 0;
  return { files: longestFirst(chosen, record), left };
}

function stop(message: string, code: number): never {
  console.error(message);
  process.exit(code);
}

function testEnvironment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // A test's folder whose repository is gone must not be taken for a folder of the project's own.
    GIT_CEILING_DIRECTORIES: [fixtures, folder].join(path.delimiter),
    TMPDIR: folder,
    [run.variable]: folder,
    // Compiled once for all the processes of all tests.
    NODE_COMPILE_CACHE: path.resolve("build/compiled"),
  };
}

/** What the tests should have ended, removed and put back; it may take them a moment. */
async function whatIsLeft(): Promise<string[]> {
  const deadline = Date.now() + GRACE_MS;
  for (;;) {
    const left = [
      ...processesOf(run).map(({ pid, command }) => `process ${pid}: ${command.slice(0, 200)}`),
      ...(await readdir(folder).catch(() => [])).map((name) => path.join(folder, name)),
      ...machineChanges(machine, [folder, fixtures]),
    ];
    if (left.length === 0 || Date.now() > deadline) return left;
    await sleep(200);
  }
}

async function interrupt(why: string, code: number): Promise<void> {
  console.error(`\n${why}: ending the tests`);
  await guard.end();
  process.exit(code);
}
