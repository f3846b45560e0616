/** The runner of `npm test`, on real test files in processes of their own. */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import t, { type Test } from "tap";
import { isChosen, longestFirst } from "../../scripts/test/choose.ts";
import { machineChanges, readMachine } from "../../scripts/test/machine.ts";
import { readRecord, writeRecord } from "../../scripts/test/record.ts";
import { countTests, fileLines, runReport } from "../../scripts/test/report.ts";
import { failedTests, type FileResult } from "../../scripts/test/results.ts";
import { runFile, type RunFileOptions } from "../../scripts/test/run-file.ts";
import { isFit, makeRunFolder } from "../../scripts/test/run-folder.ts";

const FAR_MS = 600_000;

async function runText(
  t: Test,
  text: string,
  limits: Pick<RunFileOptions, "timeoutMs" | "graceMs"> = { timeoutMs: FAR_MS },
): Promise<FileResult> {
  const folder = existsSync(t.testdirName) ? t.testdirName : t.testdir({});
  const compiled = path.join(folder, `${randomUUID()}.test.mjs`);
  writeFileSync(compiled, text);
  return runFile({ file: "test/written.test.ts", compiled, env: process.env, ...limits });
}

/** The only failed test of a file: its names, and what is said of it. */
function failureOf(result: FileResult): { names: readonly string[]; message: string | undefined } {
  const [failed, ...others] = failedTests(result);
  if (failed === undefined || others.length > 0) throw new Error(JSON.stringify(result));
  return { names: failed.names, message: failed.failure?.message };
}

t.test("each test counts once, with the place and the difference of its first failure", async (t) => {
  const result = await runText(
    t,
    `import t from "tap";
t.test("passes", async (t) => { t.ok(1); t.ok(2); });
t.test("outer", async (t) => {
  await t.test("differs", async (t) => { t.same(["a", "b"], ["a", "c"]); t.equal(1, 2); });
  await t.test("throws", async () => { throw new Error("boom"); });
  await t.test("is left out", { skip: "not here" }, async () => undefined);
});
t.test("a plan that is not kept", (t) => { t.plan(2); t.ok(1); t.end(); });
t.ok(true, "outside any test");
console.error("said on the way");
`,
  );
  const seen = result.tests.map(({ names, state }) => `${state} ${names.join(" › ")}`);
  t.same(seen, [
    "passed passes",
    "failed outer › differs",
    "failed outer › throws",
    "skipped outer › is left out",
    "failed a plan that is not kept",
    "passed ",
  ]);
  const [differs, throws] = failedTests(result).map(({ failure }) => failure);
  t.match(differs?.at, /\.test\.mjs:4$/);
  t.same(differs?.difference, ['-  "c",', '+  "b",']);
  t.match(throws, { message: "boom", at: /\.test\.mjs:5$/ });
  t.match(result.assertions, { failed: 4 });
  t.match(result.output, /said on the way/);
  t.match(
    fileLines(result),
    /^FAILED +\d+\.\d s {2}test\/written\.test\.ts \(3 of 6 failed\)\n.*\.test\.mjs:4 /,
  );
});

t.test("a program that failed is shown with its exit code and what it said last", async (t) => {
  const result = await runText(
    t,
    `import t from "tap"; import { execFile } from "node:child_process"; import { promisify } from "node:util";
t.test("runs it", async () => { await promisify(execFile)("sh", ["-c", "echo begun >&2; echo no disk >&2; exit 3"]); });
`,
  );
  const [failed] = failedTests(result);
  t.match(failed?.failure?.difference.join("\n"), /code: 3[^]*stderr: no disk/);
});

const ENDINGS: readonly (readonly [string, string, string, RegExp])[] = [
  ["does not load", `import "./nowhere.mjs";`, "", /exit code 1/],
  ["ends too early", `import t from "tap"; t.ok(1); process.exit(3);`, "", /exit code 3/],
  ["kills itself", `process.kill(process.pid, "SIGKILL");`, "", /ended by SIGKILL/],
  ["has no tests", `console.log("nothing to see");`, "", /no tests/],
];
for (const [what, text, name, message] of ENDINGS) {
  t.test(`a file that ${what} has failed`, async (t) => {
    const result = await runText(t, text);
    t.match(failureOf(result), { names: name === "" ? [] : [name], message });
    t.equal(countTests({ results: [result], left: [] }).failed, 1);
  });
}

t.test("a file that does not end is ended, and the unfinished test is named", async (t) => {
  const hangs = `import t from "tap"; t.test("waits", () => new Promise(() => setInterval(() => 0, 1000)));`;
  const blocks = `import t from "tap"; t.test("blocks", () => { for (;;); });`;
  // tap takes ten seconds more to end a file that waits; the other one it cannot end.
  const [unfinished, killed] = await Promise.all([
    runText(t, hangs, { timeoutMs: 2000, graceMs: 150_000 }),
    runText(t, blocks, { timeoutMs: 1000, graceMs: 1000 }),
  ]);
  t.match(failedTests(unfinished)[0], { names: ["waits"], failure: { message: /timeout/ } });
  t.match(failedTests(killed).at(-1), { names: [], failure: { message: "it did not end after 1 s" } });
});

t.test("a process that a file leaves behind does not keep the runner waiting", async (t) => {
  const leaves = `import { spawn } from "node:child_process"; import t from "tap";
t.ok(1); const left = spawn("sleep", ["60"], { stdio: "inherit", detached: true });
left.unref(); console.log("# left " + left.pid); console.log("left=" + left.pid);`;
  const result = await runText(t, leaves);
  const pid = Number(/left=(\d+)/.exec(result.output)?.[1]);
  t.equal(process.kill(pid, "SIGKILL"), true, "it is still there");
  t.same(failedTests(result), []);
});

t.test("the report ends with the failed tests and one line of counts", (t) => {
  const failure = { message: "numbers", at: "test/a.test.ts:3", difference: ["-2", "+1"] };
  const results: FileResult[] = [
    {
      ...{ file: "test/a.test.ts", ms: 61_000, output: "", assertions: { passed: 5, failed: 1 } },
      tests: [
        { names: ["slow", "inner"], state: "passed", ms: 5000 },
        { names: ["bad"], state: "failed", ms: 2, failure },
        { names: ["absent"], state: "skipped", ms: undefined },
      ],
    },
  ];
  const lines = runReport({ results, left: ["process 7: sleep"], ms: 61_000 }).split("\n");
  t.same(lines.slice(1), [
    "The slowest tests:",
    "   5.0 s  test/a.test.ts › slow › inner",
    "",
    "Failed:",
    "  test/a.test.ts:3  bad › numbers",
    "      -2",
    "      +1",
    "  left behind: process 7: sleep",
    "",
    "6 assertions (1 failed) in 1 file, 1 min 1 s",
    "1 passed, 2 failed, 1 skipped",
  ]);
  const fine = results.map((result) => ({ ...result, tests: result.tests.slice(0, 1) }));
  t.match(runReport({ results: fine, left: [], ms: 1000 }), /\n1 passed, 0 failed$/);
  t.end();
});

t.test("the next run knows what failed and what takes long", (t) => {
  const file = path.join(t.testdir({}), "deep/record.json");
  const result = (name: string, ms: number, state: "passed" | "failed"): FileResult => ({
    ...{ file: name, ms, output: "", assertions: { passed: 0, failed: 0 } },
    tests: [{ names: ["x"], state, ms }],
  });
  t.same(readRecord(file).failed, []);
  writeRecord([result("test/a.ts", 10, "failed"), result("test/b.ts", 30, "failed")], file);
  writeRecord([result("test/b.ts", 20, "passed"), result("test/c.ts", 99, "passed")], file);
  const record = readRecord(file);
  t.same(record.failed, ["test/a.ts"], "what did not run again is still failed");
  const named = ["a", "b", "c"].map((name) => ({ file: `test/${name}.ts`, compiled: "" }));
  t.same(
    longestFirst(named, record).map((each) => each.file),
    ["test/c.ts", "test/b.ts", "test/a.ts"],
  );
  writeFileSync(file, readFileSync(file, "utf8").replace('"format": 1', '"format": 2'));
  t.same(readRecord(file).ms, {}, "a record of another format is none");
  t.end();
});

t.test("what of the machine changed is told, and what is mounted in the run's folders", (t) => {
  const now = readMachine();
  t.ok(now.includes("/dev/null is a device"));
  t.ok(now.includes("interface lo"));
  t.same(machineChanges(now, [t.testdirName]), []);
  const before = now.filter((line) => line !== "interface lo");
  t.same(machineChanges(before, [t.testdirName]), ["interface lo"]);
  t.ok(machineChanges(now, ["/dev"]).includes("mount /dev/pts"));
  t.end();
});

t.test("slow files run when they are asked for, by name or as such", (t) => {
  const files = ["test/io.test.ts", "test/e2e/office.slow.test.ts", "test/e2e/slow.test.ts"];
  const chosen = (speed: "fast" | "slow" | "any", ...parts: string[]) =>
    files.filter((file) => isChosen(file, { parts, speed })).map((file) => path.basename(file));
  t.same(chosen("fast"), ["io.test.ts", "slow.test.ts"]);
  t.same(chosen("slow"), ["office.slow.test.ts"]);
  t.same(chosen("any", "e2e/", "nowhere"), ["office.slow.test.ts", "slow.test.ts"]);
  t.same(chosen("slow", "io"), []);
  t.end();
});

t.test("a run's files lie in memory only where there is room and memory for them", (t) => {
  const none = { roomBytes: 0, memoryBytes: 0 };
  const much = 2 ** 60;
  t.equal(isFit("/dev/shm", { ...none, roomBytes: much }), false);
  t.equal(isFit("/dev/shm", { ...none, memoryBytes: much }), false);
  t.equal(isFit(t.testdir({}), none), false, "a folder on which nothing is mounted");
  t.equal(isFit("/sys", none), false, "nothing can be written there");
  t.equal(isFit("/nowhere", none), false);
  const before = process.env["TMPDIR"];
  t.teardown(() => {
    if (before === undefined) Reflect.deleteProperty(process.env, "TMPDIR");
    else process.env["TMPDIR"] = before;
  });
  const chosen = (process.env["TMPDIR"] = t.testdir({}));
  t.equal(path.dirname(makeRunFolder()), chosen, "whoever sets TMPDIR chooses");
  t.end();
});
