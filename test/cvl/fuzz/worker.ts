/**
 * The loop: texts that make new parts of the code run are kept and changed on; then pieces of them are said again and again, up to
 * 1 MiB. Tells its owner each text before it works on it, so that one without end, or without bound, is known.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { amplified } from "../amplified.ts";
import { writeFile } from "../reference/program.ts";
import { Random, randomProgram } from "../reference/random-program.ts";
import { checkText } from "./check-text.ts";
import { Coverage } from "./coverage.ts";
import { amplify, mutate } from "./mutate.ts";

export interface FuzzOptions {
  readonly seed: number;
  /** Of the loop over small texts, and of that over large ones. */
  readonly seconds: number;
  /** Of a large text. */
  readonly size: number;
}

export type FuzzMessage =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "failed"; readonly text: string; readonly error: string }
  | { readonly kind: "large"; readonly cpuSeconds: number; readonly text: string }
  | { readonly kind: "done"; readonly small: number; readonly kept: number; readonly large: number };

const { seed, seconds, size } = workerData as FuzzOptions;
const random = new Random(seed);
const say = (message: FuzzMessage) => parentPort?.postMessage(message);

const corpus = [...goldenTexts(), ...programTexts(), ...[...amplified(400)].map(({ text }) => text)];
const small = await loopOverSmall();
const large = await loopOverLarge();
say({ kind: "done", small, kept: corpus.length, large });

function goldenTexts(): string[] {
  return readdirSync("test/golden/cvl", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".cvl"))
    .map((name) => readFileSync(path.join("test/golden/cvl", name), "utf8").slice(0, 2000));
}

function programTexts(): string[] {
  return Array.from({ length: 20 }, (_, at) => writeFile(randomProgram(seed + at).program.root));
}

async function loopOverSmall(): Promise<number> {
  const coverage = new Coverage();
  await coverage.start();
  const codes = new Set<string>();
  const seeds = corpus.splice(0);
  let count = 0;
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until || seeds.length > 0) {
    const text = seeds.pop() ?? mutate(random, random.pick(corpus), corpus);
    count += 1;
    const found = await check(text);
    if (found === undefined) continue;
    const isNew = (await coverage.takeNew()) > 0 || !codes.has(found);
    codes.add(found);
    if (isNew || corpus.length === 0) corpus.push(text);
  }
  await coverage.stop();
  return count;
}

async function loopOverLarge(): Promise<number> {
  let count = 0;
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const text = amplify(random, random.pick(corpus), size);
    count += 1;
    const before = process.threadCpuUsage();
    await check(text, true);
    const { user, system } = process.threadCpuUsage(before);
    say({ kind: "large", cpuSeconds: (user + system) / 1e6, text });
  }
  return count;
}

async function check(text: string, isLarge = false): Promise<string | undefined> {
  say({ kind: "text", text });
  try {
    return await checkText(text, { isLarge });
  } catch (error) {
    say({
      kind: "failed",
      text,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return undefined;
  }
}
