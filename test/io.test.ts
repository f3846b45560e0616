/** Running programs and replacing files; and what all errors have in common: a row in the documentation, and a test. */
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { run, runInherited, startBackground, startProgram, writeFileAtomically } from "../src/io.ts";

t.test("each code of an error has a row in docs/errors.md, a place that reports it and a test", (t) => {
  const codesOf = (file: string): string[] =>
    [...readFileSync(file, "utf8").matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map((match) => match[1] ?? "");
  const codes = [...codesOf("src/errors.ts"), ...codesOf("src/diagnostics.ts")];
  t.ok(codes.length > 150, `${codes.length} codes`);
  const rows = [...readFileSync("docs/errors.md", "utf8").matchAll(/^\| `([A-Z_]+)` /gm)].map(
    (match) => match[1] ?? "",
  );
  t.same(rows.toSorted(), [...new Set(codes)].toSorted(), "the rows are the codes, each once");
  const unions = ["src/errors.ts", "src/diagnostics.ts"];
  const sources = textOf("src", (file) => file.endsWith(".ts") && !unions.includes(file)) + textOf("actions");
  const tests = textOf("test", (file) => /\.(ts|txt)$/.test(file));
  const isNamed = (code: string, text: string): boolean => new RegExp(`\\b${code}\\b`).test(text);
  // The parser's own messages have one code, whatever was expected.
  t.same(
    codes.filter((code) => code !== "CVL_SYNTAX" && !isNamed(code, sources)),
    [],
    "codes that nothing reports",
  );
  t.same(
    codes.filter((code) => !isNamed(code, tests)),
    [],
    "codes that no test provokes",
  );
  t.end();
});

t.test("a program that is missing, takes too long, fails or is ended", async (t) => {
  await t.rejects(run({ file: "cui-no-such-program", args: [] }), {
    code: "PROCESS_MISSING",
    message: "the program cui-no-such-program is not installed",
    hint: "install cui-no-such-program and try again",
  });
  const startedAt = performance.now();
  await t.rejects(run({ file: "sleep", args: ["60"], timeoutMs: 50 }), { code: "PROCESS_TIMED_OUT" });
  t.ok(performance.now() - startedAt < 20_000);
  const failing = { file: "sh", args: ["-c", "echo first >&2; echo last >&2; exit 3"] };
  await t.rejects(run(failing), {
    code: "PROCESS_FAILED",
    message: "sh failed (exit code 3): last",
    data: { exitCode: 3 },
  });
  t.equal(await run({ ...failing, allowedExitCodes: [3], parse: (_, code) => code }), 3);
  await t.rejects(run({ file: "sh", args: ["-c", "kill -TERM $$"] }), { message: /ended by SIGTERM/ });
});

t.test("an argument stays one argument, whatever is in it", async (t) => {
  const strange = "a b;$(touch x)`id`\n'\"--help";
  t.equal(await run({ file: "printf", args: ["%s", strange] }), strange);
});

t.test("programs that are talked to, that have the terminal, that outlive their caller", async (t) => {
  const program = startProgram({ file: "cat", args: [] });
  program.stdin.end("spoken");
  const heard = await new Promise((resolve) =>
    program.stdout.once("data", (data) => {
      resolve(String(data));
    }),
  );
  t.equal(heard, "spoken");
  t.equal(await program.ended, undefined);
  t.match(await startProgram({ file: "cui-no-such-program", args: [] }).ended, { code: "PROCESS_MISSING" });
  t.match(await startProgram({ file: "false", args: [] }).ended, { code: "PROCESS_FAILED" });
  t.equal(await runInherited({ file: "sh", args: ["-c", "exit 7"] }), 7);
  t.equal(await runInherited({ file: "sh", args: ["-c", "kill -TERM $$"] }), 143);
  await t.rejects(runInherited({ file: "cui-no-such-program", args: [] }), { code: "PROCESS_MISSING" });

  const logFile = path.join(t.testdir(), "log");
  const background = { args: [], logFile, stdin: "pipe" } as const;
  const cat = await startBackground({ ...background, file: "cat" });
  cat.stdin?.end("logged");
  t.equal(await cat.ended, 0);
  t.equal(readFileSync(logFile, "utf8"), "logged");
  await t.rejects(startBackground({ ...background, file: "cui-no-such-program" }), {
    code: "PROCESS_MISSING",
  });
});

t.test("a file is replaced as a whole, and nothing else is left", async (t) => {
  const folder = t.testdir({ file: "old" });
  const file = path.join(folder, "file");
  await writeFileAtomically(file, "new", { mode: 0o600 });
  t.equal(readFileSync(file, "utf8"), "new");
  t.equal(statSync(file).mode & 0o777, 0o600);
  mkdirSync(path.join(folder, "taken"));
  await t.rejects(writeFileAtomically(path.join(folder, "taken"), "text"));
  t.same(readdirSync(folder).sort(), ["file", "taken"]);
});

function textOf(folder: string, isWanted: (file: string) => boolean = () => true): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => isWanted(file) && !file.includes("/dist/"))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
}
