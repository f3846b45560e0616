// npm test [-- part of a path …]: installs what is missing, builds the CLI and the tests, runs them with tap, ends with
// `N passed, N failed`.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { install, debianPackages, missingPackages, testPackages } from "./prerequisites.mjs";
import { awaitProcesses, RUN_VARIABLE, watchNpm } from "./test-guard.mjs";

const filters = process.argv.slice(2);
const npmProblem = install([]);
if (npmProblem !== undefined) throw new Error(npmProblem);
const packages = [...debianPackages, ...testPackages];
const problem = install(packages);
if (problem !== undefined) {
  const missing = missingPackages(packages).map(({ name }) => name);
  console.log(`${problem}\nTests that need ${missing.join(", ")} are skipped or fail.`);
}

const { buildCli, buildTests } = await import("./build.ts");
await buildCli();
await buildTests();
const files = (await readdir("build/test", { recursive: true }))
  .filter((file) => file.endsWith(".test.js"))
  .map((file) => path.join("build/test", file))
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${filters.join(", ")}`);
  process.exit(1);
}

// The first run after an installation would still use tap's own plugins, among them a TypeScript loader for every process.
if (!existsSync(".tap/plugins")) {
  spawnSync("node_modules/.bin/tap", ["build"], { stdio: ["ignore", "ignore", "inherit"] });
}

// Everything the tests make lies in one folder; the guard removes it and ends what is left, however this process ends.
const folder = await mkdtemp(path.join(os.tmpdir(), "ct-"));
const fixtures = path.resolve(".tap/fixtures");
const report = path.resolve("build", `test-${process.pid}.tap`);
const guard = spawn(process.execPath, ["scripts/test-guard.mjs", folder, fixtures, report], {
  stdio: ["pipe", "inherit", "inherit"],
  detached: true,
});
const guarded = new Promise((resolve) => guard.on("exit", resolve));

const reporter = process.stdout.isTTY ? "base" : "terse";
const tap = spawn("node_modules/.bin/tap", [`--reporter=${reporter}`, `--output-file=${report}`, ...files], {
  stdio: ["ignore", "inherit", "inherit"],
  // A test's folder whose repository is gone must not be taken for a folder of the project's own.
  env: {
    ...process.env,
    GIT_CEILING_DIRECTORIES: fixtures,
    TMPDIR: folder,
    [RUN_VARIABLE]: folder,
    // tap's own loader would keep compiled code in the run's folder.
    DISABLE_V8_COMPILE_CACHE: "1",
  },
});
for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }))
  process.on(signal, () => void interrupt(signal, 128 + number));
const isNpmThere = watchNpm();
setInterval(() => {
  if (!isNpmThere()) void interrupt("npm has ended", 1);
}, 500).unref();
let isInterrupted = false;
const status = await new Promise((resolve) =>
  tap.on("exit", (code, signal) => {
    if (!isInterrupted) resolve(signal === null ? code : 1);
  }),
);

const { passed, failed, skipped } = countAssertions(await readFile(report, "utf8").catch(() => ""));
const left = await whatIsLeft();
for (const thing of left) console.log(`left behind: ${thing}`);
await endGuard();
const failures = (status !== 0 && failed === 0 ? 1 : failed) + left.length;
console.log(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failures === 0 && passed > 0 ? 0 : 1);

/** Processes and files that the tests should have ended and removed. */
async function whatIsLeft() {
  const processes = await awaitProcesses(folder);
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command.slice(0, 200)}`),
    ...(await readdir(folder)).map((name) => path.join(folder, name)),
  ];
}

async function endGuard() {
  guard.stdin.end();
  await guarded;
}

async function interrupt(why, code) {
  isInterrupted = true;
  console.error(`\n${why}: ending the tests`);
  await endGuard();
  process.exit(code);
}

/** Counts the leaves of a TAP report: `ok` lines that close no subtest. */
function countAssertions(tapText) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const deeper = [];
  for (const line of tapText.split("\n")) {
    const match = /^( *)(not ok|ok) \d+(.*)$/.exec(line);
    if (match === null) continue;
    const indent = match[1].length;
    const closesSubtest = (deeper.at(-1) ?? -1) > indent;
    while (deeper.length > 0 && deeper.at(-1) > indent) deeper.pop();
    if (deeper.at(-1) !== indent) deeper.push(indent);
    if (/# SKIP/i.test(match[3])) skipped += 1;
    else if (match[2] === "not ok" && !/# TODO/i.test(match[3])) failed += closesSubtest ? 0 : 1;
    else if (!closesSubtest) passed += 1;
  }
  return { passed, failed, skipped };
}
