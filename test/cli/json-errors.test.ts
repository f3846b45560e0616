/** What was asked for with `--json` is answered with one JSON text, whatever goes wrong; people read standard error. */
import path from "node:path";
import { test, type Test } from "tap";
import type { CliContext } from "../../src/cli/context.ts";
import { runCli } from "../../src/cli/main.ts";

interface Answered {
  readonly status: number;
  readonly printed: string;
  readonly warned: string;
}

async function cui(
  cwd: string,
  args: readonly string[],
  context: Partial<CliContext> = {},
): Promise<Answered> {
  const printed: string[] = [];
  const warned: string[] = [];
  const status = await runCli(args, {
    ...{ cwd, env: { CUI_STATE: path.join(cwd, "state.git"), XDG_CACHE_HOME: cwd }, isTerminal: false },
    ...context,
    print: (text) => printed.push(text),
    warn: (text) => warned.push(text),
  });
  return { status, printed: printed.join("\n"), warned: warned.join("\n") };
}

interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
  readonly diagnostics: readonly object[];
}

const BROKEN = "A extends VMAppliance {\n  vm = 5;\n  x = 1;\n}\n";

async function answer(
  t: Test,
  args: readonly string[],
  folder: Record<string, string> = {},
): Promise<ErrorAnswer & Answered> {
  const found = await cui(t.testdir(folder), args);
  t.not(found.status, 0, args.join(" "));
  return { ...found, ...(JSON.parse(found.printed) as ErrorAnswer) };
}

const USAGE: readonly (readonly [args: readonly string[], message: RegExp, hint?: RegExp])[] = [
  [["plan", "--json"], /missing required argument 'cvl'/, /cui plan --help shows the form/],
  [["plan", "a.cvl", "--jsn", "--json"], /unknown option '--jsn'/, /Did you mean --json\?/],
  [["plan", "a", "b", "c", "--json"], /too many arguments/],
  [["stop", "a.cvl", "--json", "--timeout"], /argument missing/],
  [["stop", "a.cvl", "--json", "--timeout", "x"], /--timeout expects whole seconds/],
  [["disk", "--json"], /cui disk expects a command|unknown option/],
  [["disk", "show", "x", "--json", "zero"], /expected a version/],
  [["plann", "--json"], /there is no command "plann"/, /did you mean plan/],
  [["--json"], /unknown option '--json'/],
  [["--on", "--json"], /--on expects user@manager/],
];

for (const [args, message, hint = /./] of USAGE) {
  test(`wrong usage: ${args.join(" ")}`, async (t) => {
    const { status, warned, error, diagnostics } = await answer(t, args);
    t.equal(status, 2);
    t.match(error, { code: "USAGE", message, hint });
    t.same(diagnostics, []);
    t.match(warned, /^error USAGE: /m, "people are told as before");
  });
}

test("a verb without a command of its own is told which there are", async (t) => {
  const { status, printed, warned } = await cui(t.testdir({}), ["disk"]);
  t.match({ status, printed }, { status: 2, printed: "" });
  t.match(warned, /Commands:[^]*verify[^]*error USAGE: cui disk expects a command/);
});

test("the mistakes of a file come with their places", async (t) => {
  const { error, diagnostics } = await answer(t, ["eval", "a.cvl", "--json"], { "a.cvl": BROKEN });
  t.match(error, { code: "INVALID_INPUT", message: /a\.cvl has \d error/ });
  t.match(diagnostics[0], { code: /^CVL_/, severity: "error", file: "a.cvl", line: 2, column: 8 });
});

test("those of utility.yaml and of what a plan is made from as well, and the message is their first line", async (t) => {
  const inventory = await answer(t, ["status", "--json"], { "utility.yaml": "format: 1\nhosts: 3\n" });
  t.same(
    [inventory.error.code, inventory.error.message],
    ["UTILITY_INVENTORY_INVALID", "utility.yaml has 1 mistake"],
  );
  t.match(inventory.diagnostics, [{ code: "INVENTORY_INVALID", file: "utility.yaml", line: 2, column: 8 }]);
  const refused = await answer(t, ["plan", "a.cvl", "--json"], {
    "utility.yaml": "format: 1\n",
    "a.cvl": BROKEN,
  });
  t.equal(refused.error.code, "UTILITY_REFUSED");
  t.match(refused.diagnostics[0], { file: "a.cvl", line: 2 });
  const bump = await answer(t, ["bump", "--json"], {
    "A.cvl": "A extends VMAppliance {}\n",
    "cvl.lock": "format: 3\n",
  });
  t.match(bump.diagnostics, [{ code: "LOCK_INVALID", file: "cvl.lock", line: 1 }]);
});

test("what the file system refuses", async (t) => {
  const { error } = await answer(t, ["eval", "missing.cvl", "--json"]);
  t.match(error, {
    code: "INVALID_INPUT",
    message: /missing\.cvl cannot be read: no such file or directory$/,
    hint: /^check the path/,
  });
});

test("a result that says itself what is wrong is the only JSON text", async (t) => {
  const { status, printed, warned } = await cui(t.testdir({ "a.cvl": BROKEN }), ["check", "a.cvl", "--json"]);
  t.equal(status, 1);
  t.match(JSON.parse(printed), [{ code: /^CVL_/, file: "a.cvl", line: 2, column: 8 }]);
  t.match(warned, /INVALID_INPUT/);
});

test("without --json standard output stays empty, and a program's own --json is none of ours", async (t) => {
  t.match(await cui(t.testdir({}), ["eval", "missing.cvl"]), { status: 1, printed: "" });
  t.match(await cui(t.testdir({}), ["eval", "--", "--json"]), { status: 1, printed: "" });
  t.match(await cui(t.testdir({}), ["lab", "exec", "h1", "--", "cui", "status", "--json"]), {
    status: 1,
    printed: "",
  });
});

test("a defect has a code", async (t) => {
  const env = new Proxy({}, { get: () => { throw new TypeError("no such thing"); } }); // prettier-ignore
  const { status, printed, warned } = await cui(t.testdir({}), ["status", "--json"], { env });
  t.equal(status, 1);
  t.match(JSON.parse(printed), {
    error: { code: "INTERNAL_ERROR", message: "TypeError: no such thing", hint: /defect/ },
  });
  t.match(warned, /at .*status/, "with its stack for those who mend it");
});
