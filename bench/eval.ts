/**
 * Evaluates N components of one base (10 parameters, 2 overridden, 2 references each) to JSON, whole processes, cold, beside
 * jsonnet and nix-instantiate on the same shape in the same run: `npm run bench:eval [-- 100 1000 10000 100000]`.
 * Prints the median of the rounds in seconds, peak memory in MiB, and the ratio to jsonnet. Needs a built dist/cui.js.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { CollectiveError } from "../src/errors.ts";
import { run } from "../src/io.ts";

const ROUNDS = 5;
/** Beyond this the peers take minutes: they are left out there. */
const MOST_FOR_PEERS = 100_000;

/** Starts a program with its output thrown away; prints its wall time and its children's peak resident size. */
const TIMER = `
import resource, subprocess, sys, time
start = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
`;

interface Evaluator {
  readonly name: string;
  readonly suffix: string;
  readonly source: (count: number) => string;
  readonly command: (file: string) => readonly [string, ...string[]];
}

const parameters = Array.from({ length: 8 }, (_, index) => `p${index}`);

const EVALUATORS: readonly Evaluator[] = [
  {
    name: "cui eval",
    suffix: "cvl",
    source: cvl,
    command: (file) => [
      process.execPath,
      path.resolve("dist/cui.js"),
      "eval",
      file,
      "--json",
      "--object",
      "Big",
    ],
  },
  { name: "jsonnet", suffix: "jsonnet", source: jsonnet, command: (file) => ["jsonnet", file] },
  {
    name: "nix-instantiate",
    suffix: "nix",
    source: nix,
    command: (file) => ["nix-instantiate", "--eval", "--strict", "--json", "--readonly-mode", file],
  },
];

const sizes = process.argv.slice(2).map(Number);
const folder = await mkdtemp(path.join(tmpdir(), "eval-bench-"));
try {
  for (const count of sizes.length > 0 ? sizes : [100, 1000, 10_000, 100_000]) await compare(count);
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Rounds alternate between the evaluators, so that what else the machine does meets all of them. */
async function compare(count: number): Promise<void> {
  const taken = new Map<string, { seconds: number[]; memoryMib: number }>();
  const files = new Map<string, string>();
  for (const { name, suffix, source } of EVALUATORS) {
    const file = path.join(folder, `big${count}.${suffix}`);
    await writeFile(file, source(count));
    files.set(name, file);
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { name, command } of EVALUATORS) {
      if (name !== "cui eval" && count > MOST_FOR_PEERS) continue;
      const measured = await measure(command(files.get(name) ?? ""));
      if (measured === undefined) continue;
      const entry = taken.get(name) ?? { seconds: [], memoryMib: 0 };
      entry.seconds.push(measured.seconds);
      entry.memoryMib = Math.max(entry.memoryMib, measured.memoryMib);
      taken.set(name, entry);
    }
  }
  const peer = taken.get("jsonnet");
  for (const [name, { seconds, memoryMib }] of taken) {
    const ratio =
      peer === undefined ? "" : `  ${(median(seconds) / median(peer.seconds)).toFixed(2)} × jsonnet`;
    const time = `${median(seconds).toFixed(3).padStart(8)} s ${String(Math.round(memoryMib)).padStart(6)} MiB`;
    console.log(`${String(count).padStart(7)}  ${name.padEnd(16)} ${time}${ratio}`);
  }
  for (const { name } of EVALUATORS)
    if (!taken.has(name)) console.log(`${String(count).padStart(7)}  ${name}: not installed`);
}

/** Seconds and peak memory of one process as its parent sees them; undefined when the program is not installed. */
async function measure(
  command: readonly [string, ...string[]],
): Promise<{ seconds: number; memoryMib: number } | undefined> {
  try {
    const output = await run({
      file: "python3",
      args: ["-c", TIMER, ...command],
      timeoutMs: 300_000,
    });
    const [seconds, kibibytes] = output.trim().split(" ").map(Number);
    if (seconds === undefined || kibibytes === undefined) return undefined;
    return { seconds, memoryMib: kibibytes / 1024 };
  } catch (error) {
    if (error instanceof CollectiveError && String(error.data["stderr"]).includes("FileNotFoundError"))
      return undefined;
    throw error;
  }
}

function cvl(count: number): string {
  const lines = ['CVL = "0.8";', "Base extends VMAppliance {", `  var ${parameters.join(", ")}, p8, p9;`];
  for (const name of parameters) lines.push(`  ${name} = "${name}";`);
  lines.push("  p8 = p0;", "  p9 = p1, p2;", '  vm = "base.vm.yaml";', "}", "Big extends VANAppliance {");
  for (let at = 0; at < count; at += 1)
    lines.push(`  Base c${at};`, `  c${at}.p0 = "x${at}";`, `  c${at}.p1 = "y${at}";`);
  return [...lines, "}", ""].join("\n");
}

function jsonnet(count: number): string {
  const base = parameters.map((name) => `${name}: ["${name}"]`).join(", ");
  const lines = [`local Base = { ${base}, p8: self.p0, p9: self.p1 + self.p2 };`, "{"];
  for (let at = 0; at < count; at += 1) lines.push(`  c${at}: Base + { p0: ["x${at}"], p1: ["y${at}"] },`);
  return [...lines, "}", ""].join("\n");
}

function nix(count: number): string {
  const base = parameters.map((name) => `${name} = [ "${name}" ];`).join(" ");
  const lines = [
    "let",
    `  base = self: { ${base} p8 = self.p0; p9 = self.p1 ++ self.p2; };`,
    "  derive = changes: let self = base self // changes; in self;",
    "in {",
  ];
  for (let at = 0; at < count; at += 1)
    lines.push(`  c${at} = derive { p0 = [ "x${at}" ]; p1 = [ "y${at}" ]; };`);
  return [...lines, "}", ""].join("\n");
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
