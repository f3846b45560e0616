/**
 * Every verb of the program's own list, given what is wrong: it refuses in time, in a line with a code, and in JSON where that was
 * asked for. A verb that is added is tried as well. A sample by default, from a seed that is printed (CUI_SEED repeats it).
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command, type Option } from "commander";
import pLimit from "p-limit";
import t from "tap";
import type { VerbContext } from "../../src/cli/context.ts";
import { VERBS } from "../../src/cli/verbs.ts";
import { run } from "../../src/io.ts";

const CUI = path.resolve("dist/cui.js");
const AT_ONCE = 4;
/** The longest that a refusal may take; on a quiet machine none takes a second. */
const HANGS_MS = 20_000;

/** What works, or asks the machine, without a wrong word: such a verb is tried with wrong words alone. */
const WORKS_ALONE = new Set([
  ...["check", "fmt", "host check", "host connect", "host serve", "hook post-receive", "hook pre-receive"],
  ...[
    "hook install",
    "lab up",
    "lab down",
    "lab status",
    "serve",
    "bump",
    "disk add",
    "disk verify",
    "disk show",
  ],
  ...[
    "protect",
    "status",
    "vlan list",
    "address list",
    "host list",
    "serve token list",
    "lock",
    "hook pre-commit",
    "hook pre-push",
  ],
]);
/** Whatever folder they get, they would serve, fill or clear it. */
const TAKES_ANY_FOLDER = new Set(["serve", "runner", "create", "init", "hook install"]);

interface Leaf {
  readonly words: readonly string[];
  readonly name: string;
  readonly command: Command;
}

const nowhere = new Proxy({}, { get: () => () => undefined }) as VerbContext;

async function listLeaves(): Promise<Leaf[]> {
  const leaves: Leaf[] = [];
  const walk = (command: Command, words: readonly string[]): void => {
    const own = command.commands.filter((child) => child.name() !== "help");
    for (const child of own) walk(child, [...words, child.name()]);
    if (own.length === 0 || command.registeredArguments.length > 0)
      leaves.push({ words, name: words.join(" "), command });
  };
  for (const entry of VERBS) {
    const command = new Command(entry.name);
    (await entry.load()).configure(command, nowhere);
    walk(command, [entry.name]);
  }
  return leaves;
}

interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
  readonly hung: boolean;
}

const folder = await mkdtemp(path.join(tmpdir(), "cui-verbs-"));
const at = (name: string): string => path.join(folder, name);
await mkdir(at("home"));
await mkdir(at("site"));
await mkdir(at("folder"));
await writeFile(at("folder/precious"), "precious");
await writeFile(at("empty"), "");
await writeFile(at("other.cvl"), Buffer.from([0, 255, 254, 10, 123]));
await run({ file: "mkfifo", args: [at("pipe")] });
await writeFile(at("site/utility.yaml"), 'format: 1\nsite: "0123456789ab"\nvlans: [5]\n');
await writeFile(at("site/web.vm.yaml"), "format: 1\nmemory: 64\n");
await writeFile(at("site/Web.cvl"), 'Web extends VMAppliance { vm = "web.vm.yaml"; }\n');
await mkdir(at("damaged.git"));
await writeFile(at("damaged.git/HEAD"), "damaged");

const ODD = {
  "a missing file": at("missing/file"),
  "a folder": at("folder"),
  "an empty file": at("empty"),
  "a file of bytes": at("other.cvl"),
  "a pipe nobody writes": at("pipe"),
  "/dev/null": "/dev/null",
  "/dev/zero": "/dev/zero",
};

let count = 0;

/** Standard input is closed for one run, and open without an end for the next. */
async function cui(
  args: readonly string[],
  { state = at("state.git"), cwd = at("site") } = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [CUI, ...args], {
    cwd,
    env: {
      ...{
        PATH: process.env["PATH"],
        HOME: at("home"),
        XDG_CACHE_HOME: at("cache"),
        CUI_STATE: state,
        CI: "1",
      },
      ...{ GIT_CONFIG_GLOBAL: "/dev/null", GIT_TERMINAL_PROMPT: "0" },
    },
    stdio: [count++ % 2 === 0 ? "ignore" : "pipe", "pipe", "pipe"],
  });
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill("SIGKILL");
  }, HANGS_MS);
  const texts: [string, string] = ["", ""];
  for (const [index, stream] of [child.stdout, child.stderr].entries())
    stream?.setEncoding("utf8").on("data", (text: string) => (texts[index] = (texts[index] ?? "") + text));
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  child.stdin?.destroy();
  return { status, out: texts[0], err: texts[1], hung };
}

/** What is wrong with how it ended; undefined when nothing is. */
function problemOf(
  { status, out, err, hung }: Ended,
  { isJson, isRefused }: { isJson: boolean; isRefused: boolean },
): string | undefined {
  if (hung) return "it did not end";
  if (status === null || ![0, 1, 2].includes(status)) return `it ended with ${String(status)}`;
  if (/^ {4}at /m.test(err + out)) return "it shows a stack";
  if (/defect of cui|INTERNAL_ERROR/.test(err + out)) return "it calls itself defective";
  if (isRefused && status === 0) return "it is content";
  if (status !== 0 && !/error [A-Z][A-Z_]+: /.test(err)) return "it names no code";
  if (status !== 0 && isJson) {
    try {
      JSON.parse(out);
    } catch {
      return "standard output is no JSON text";
    }
  }
  return undefined;
}

interface Trial {
  readonly title: string;
  readonly args: readonly string[];
  readonly isJson: boolean;
  readonly isRefused: boolean;
  readonly state?: string;
  readonly cwd?: string;
  /** One of many of its kind. */
  readonly isOdd?: boolean;
}

/** A word for an argument that is not the one that is wrong. */
function wordFor(name: string): string {
  if (name === "version") return "1";
  if (name === "cvl") return "Web.cvl";
  if (name === "template") return "web";
  return name === "range" || name === "tags" ? "300" : at("missing/word");
}

function trialsOf({ words, name, command }: Leaf): Trial[] {
  const given = command.registeredArguments;
  const required = given.filter((argument) => argument.required);
  const hasJson = command.options.some((option) => option.long === "--json");
  const isVariadic = given.some((argument) => argument.variadic);
  const json = hasJson ? ["--json"] : [];
  const once = name === "runner" ? ["--once"] : []; // else it tries again for ever
  const ask = (title: string, args: readonly string[], more: Partial<Trial> = {}): Trial => ({
    title: `${name}: ${title}`,
    args: [...words, ...json, ...once, ...args],
    ...{ isJson: hasJson, isRefused: true },
    ...more,
  });
  const filled = required.map((argument) => wordFor(argument.name()));
  const trials = [ask("an option nobody knows", ["--no-such-option", ...filled])];
  if (!isVariadic)
    trials.push(
      ask(
        "too many arguments",
        Array.from({ length: given.length + 1 }, () => "x"),
      ),
    );
  if (!WORKS_ALONE.has(name)) trials.push(ask("no argument", [], { isRefused: required.length > 0 }));
  for (const [what, odd] of Object.entries(ODD)) {
    if (given.length === 0 || name.startsWith("hook ")) break;
    if (what === "a folder" && TAKES_ANY_FOLDER.has(name)) continue;
    if (what === "a missing file" && ["create", "init", "runner"].includes(name)) continue;
    const rest = name.startsWith("lab ") ? ["--dir", at("missing/lab")] : [];
    trials.push(ask(what, [...rest, odd, ...filled.slice(1)], { isRefused: false, isOdd: true }));
  }
  // git gives a hook its standard input, which is read to its end.
  for (const option of name.startsWith("hook ") ? [] : command.options.filter(takesFile)) {
    for (const [what, odd] of Object.entries(ODD)) {
      if (what === "a missing file" || (what === "a folder" && /folder/.test(option.flags))) continue;
      trials.push(
        ask(`${option.long ?? ""} ${what}`, [option.long ?? "", odd, ...filled], {
          ...{ isRefused: false, isOdd: true },
        }),
      );
    }
  }
  const stateful = ["plan", "start", "update", "stop", "remove", "status", "console", "host remove"];
  if (stateful.includes(name)) {
    for (const state of [at("damaged.git"), at("empty"), "/dev/null"])
      trials.push(ask(`state ${path.basename(state)}`, filled, { state }));
  }
  return trials;
}

/** Those that would start something that does not end, or change this machine, are left to their own tests. */
function takesFile({ flags, long }: Option): boolean {
  return /<(file|folder|path)>/.test(flags) && long !== "--directory" && long !== "--secrets-directory";
}

const leaves = await listLeaves();
const atOnce = pLimit(AT_ONCE);

t.test("each verb is listed, with what lies below it", (t) => {
  const names = leaves.map(({ name }) => name);
  for (const { name } of VERBS)
    t.ok(
      names.some((leaf) => leaf === name || leaf.startsWith(`${name} `)),
      name,
    );
  t.end();
});

/** Of the odd files every third, another one for each seed; all of them in `npm run test:exhaustive`. */
const EVERY = process.env["CUI_EXHAUSTIVE"] === "1" ? 1 : 3;
const seed = Number(process.env["CUI_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const trials = leaves
  .flatMap(trialsOf)
  .filter(({ title }) => !/^host serve: --(run|lib)|^lab (up|down)/.test(title))
  .filter(({ isOdd }, index) => isOdd !== true || (index + seed) % EVERY === 0);

t.test(`wrong words, ${trials.length} of them, seed ${seed}`, async (t) => {
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const problems: string[] = [];
  const tryOne = async (trial: Trial): Promise<void> => {
    const ended = await cui(trial.args, trial);
    const problem = problemOf(ended, trial);
    if (problem === undefined) return;
    problems.push(`${trial.title}: ${problem}\n${ended.out.slice(-300)}\n${ended.err.slice(-700)}`);
  };
  await Promise.all(trials.map((trial) => atOnce(() => tryOne(trial))));
  t.same(problems, []);
  t.ok((await stat("/dev/null")).isCharacterDevice());
  t.ok((await stat(at("pipe"))).isFIFO());
  t.equal((await stat(at("folder/precious"))).size, "precious".length);
  t.equal((await stat(at("other.cvl"))).size, 5);
});
