/**
 * Git's own program, as this project calls it, beside isomorphic-git and simple-git, a kind of call at a time: `npm run bench:git
 * [-- <rounds> [<part of a title>]]`. The ways take turns in every round. Prints for each the median and the fastest wall time,
 * the mean processor time of this process and of its children, and the ratios to the first way. Everything is made in a folder that is removed.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "../src/io.ts";
import { measureFixtures } from "./git-libraries/fixtures.ts";
import { measureClone } from "./git-libraries/history.ts";
import { measurePorcelain } from "./git-libraries/porcelain.ts";
import { measureState } from "./git-libraries/state.ts";

// The user's own filters and helpers are not measured.
process.env["GIT_CONFIG_GLOBAL"] = "/dev/null";
process.env["GIT_CONFIG_NOSYSTEM"] = "1";

const [rounds = "21", only = ""] = process.argv.slice(2);

/** A way to do the same: its name, and one call of it. */
export type Way = readonly [name: string, work: (round: number) => Promise<unknown>];
export type Compare = (title: string, ways: readonly Way[]) => Promise<void>;

const folder = await mkdtemp(path.join(tmpdir(), "git-bench-"));
try {
  if ("load".includes(only)) await measureLoading();
  await measureState(folder, compare);
  await measureClone(folder, compare);
  await measurePorcelain(folder, compare);
  await measureFixtures(folder, compare);
} finally {
  await rm(folder, { recursive: true, force: true });
}

interface Figures {
  readonly wall: number[];
  own: number;
  children: number;
}

/** Rounds take turns, so that all meet the same machine; a first one warms up and is not counted. */
async function compare(title: string, ways: readonly Way[]): Promise<void> {
  if (!title.includes(only)) return;
  const figures = ways.map((): Figures => ({ wall: [], own: 0, children: 0 }));
  for (let round = 0; round <= Number(rounds); round += 1) {
    for (const [index, [, work]] of ways.entries()) {
      const [own, children, startedAt] = [process.cpuUsage(), childrenMs(), performance.now()];
      await work(round);
      const wall = performance.now() - startedAt;
      const used = process.cpuUsage(own);
      const figure = figures[index];
      if (round === 0 || figure === undefined) continue;
      figure.wall.push(wall);
      figure.own += (used.user + used.system) / 1000;
      figure.children += childrenMs() - children;
    }
  }
  console.log(title);
  for (const [index, figure] of figures.entries())
    report(ways[index]?.[0] ?? "", figure, figures[0] ?? figure);
}

function report(name: string, figure: Figures, first: Figures): void {
  const rounds = figure.wall.length;
  const median = medianOf(figure.wall);
  const fastest = Math.min(...figure.wall);
  const ratio = (value: number, of: number): string => `(${(value / of).toFixed(2)})`;
  const processor = (figure.own + figure.children) / rounds;
  console.log(
    [
      `  ${name.padEnd(34)}`,
      `median ${median.toFixed(1)} ms ${ratio(median, medianOf(first.wall))},`,
      `fastest ${fastest.toFixed(1)} ms ${ratio(fastest, Math.min(...first.wall))},`,
      `processor ${processor.toFixed(1)} ms ${ratio(processor, (first.own + first.children) / rounds)}:`,
      `own ${(figure.own / rounds).toFixed(1)}, children ${(figure.children / rounds).toFixed(1)}`,
    ].join(" "),
  );
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Processor time of the children that ended, theirs included; in ticks of 10 ms. @see proc(5), /proc/pid/stat, 16 and 17 */
function childrenMs(): number {
  const text = readFileSync("/proc/self/stat", "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/** In a process of its own each time: what a command pays that uses the library. */
async function measureLoading(): Promise<void> {
  const names = ["", "isomorphic-git", "simple-git"];
  const seen = names.map((): { ms: number[]; mebibytes: number[] } => ({ ms: [], mebibytes: [] }));
  for (let round = 0; round < Number(rounds); round += 1) {
    for (const [index, name] of names.entries()) {
      const load = name === "" ? "" : `await import(${JSON.stringify(name)});`;
      const script = `const at = performance.now(); ${load} console.log(JSON.stringify([performance.now() - at, process.memoryUsage().rss / 1048576]))`;
      const output = await run({ file: process.execPath, args: ["--input-type=module", "--eval", script] });
      const [ms = 0, mebibytes = 0] = JSON.parse(output) as number[];
      seen[index]?.ms.push(ms);
      seen[index]?.mebibytes.push(mebibytes);
    }
  }
  for (const [index, name] of names.entries()) {
    const { ms, mebibytes } = seen[index] ?? { ms: [], mebibytes: [] };
    console.log(
      `load ${name === "" ? "nothing" : name}: ${medianOf(ms).toFixed(0)} ms, ${medianOf(mebibytes).toFixed(0)} MiB resident`,
    );
  }
}
