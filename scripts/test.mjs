// npm test [-- part of a path …]: installs what is missing, builds the CLI and the tests, runs them with tap, ends with
// `N passed, N failed`.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { install, debianPackages, missingPackages, testPackages } from "./prerequisites.mjs";

const filters = process.argv.slice(2);
const npmProblem = install([]);
if (npmProblem !== undefined) throw new Error(npmProblem);
const packages = [...debianPackages, ...testPackages];
const problem = install(packages);
if (problem !== undefined) {
  const missing = missingPackages(packages).map(({ name }) => name);
  console.log(`${problem}\nTests that need ${missing.join(", ")} are skipped or fail.`);
}

const { buildCli, buildTests } = await import("./build.mjs");
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

const report = path.join("build", `test-${process.pid}.tap`);
const reporter = process.stdout.isTTY ? "base" : "terse";
const tap = spawn("node_modules/.bin/tap", [`--reporter=${reporter}`, `--output-file=${report}`, ...files], {
  stdio: ["ignore", "inherit", "inherit"],
  // A test's folder whose repository is gone must not be taken for a folder of the project's own.
  env: { ...process.env, GIT_CEILING_DIRECTORIES: path.resolve(".tap/fixtures") },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => tap.kill(signal));
const status = await new Promise((resolve) =>
  tap.on("exit", (code, signal) => resolve(signal === null ? code : 1)),
);

const { passed, failed, skipped } = countAssertions(await readFile(report, "utf8").catch(() => ""));
await rm(report, { force: true });
const failures = status !== 0 && failed === 0 ? 1 : failed;
console.log(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failures === 0 && passed > 0 ? 0 : 1;

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
