/**
 * Both parsers, the formatter and the evaluator under texts that change at random and are kept where they reach something new.
 * Ten seconds; `npm run fuzz -- <seconds>` goes on for longer. The printed seed (CUI_SEED) begins alike, but how far a loop comes
 * depends on the machine: a text that failed is kept as a file under `.tap/fuzz`, and the message names it.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import t from "tap";
import type { FuzzMessage, FuzzOptions } from "./fuzz/worker.ts";

t.setTimeout(0);

const seconds = Number(process.env["CUI_FUZZ_SECONDS"] ?? 5);
const isLong = process.env["CUI_FUZZ_SECONDS"] !== undefined;
const seed = Number(process.env["CUI_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** Of the processor, for a text of `size` characters. What is asked for is 10 s on a quiet machine for 1 MiB. */
const MOST_CPU_SECONDS = isLong ? 10 : 60;
const SILENT_MS = 10 * 60_000;
const HEAP_MIB = 1024;
const KEPT = ".tap/fuzz";
let kept = 0;
const options: FuzzOptions = { seed, seconds, size: isLong ? 1024 * 1024 : 256 * 1024 };

t.test(`${2 * seconds} s of fuzzing, seed ${seed}`, async (t) => {
  const suffix = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const worker = new Worker(new URL(`./fuzz/worker.${suffix}`, import.meta.url), {
    workerData: options,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  const failures: string[] = [];
  let last = "";
  let slowest = { cpuSeconds: 0, text: "" };
  const done = await new Promise<FuzzMessage | undefined>((resolve) => {
    let watch = setTimeout(() => undefined, 0);
    worker.on("message", (message: FuzzMessage) => {
      clearTimeout(watch);
      watch = setTimeout(() => {
        failures.push(`no answer in ${SILENT_MS / 1000} s for ${keep(last)}`);
        void worker.terminate();
        resolve(undefined);
      }, SILENT_MS);
      if (message.kind === "text") last = message.text;
      if (message.kind === "failed") failures.push(`${message.error}\n${keep(message.text)}`);
      if (message.kind === "large" && message.cpuSeconds > slowest.cpuSeconds) slowest = message;
      if (message.kind === "done") resolve(message);
      if (failures.length > 5) resolve(undefined);
    });
    worker.on("error", (error: Error) => {
      failures.push(`${error.message} with ${keep(last)}`);
      resolve(undefined);
    });
    worker.on("exit", () => {
      clearTimeout(watch);
      resolve(undefined);
    });
  });
  await worker.terminate();
  t.same(failures, []);
  if (slowest.cpuSeconds >= MOST_CPU_SECONDS)
    t.fail(`${slowest.cpuSeconds.toFixed(1)} s for ${keep(slowest.text)}`);
  if (done?.kind !== "done") {
    t.fail("the fuzzer did not come to its end");
    return;
  }
  t.comment(
    `${done.small} small texts, ${done.kept} kept, ${done.large} large, ${slowest.cpuSeconds.toFixed(1)} s the slowest`,
  );
  t.ok(done.small > 100 && done.kept > 100 && done.large > 0, "the loop goes round");
});

/** Keeps a text, and shows its beginning. */
function keep(text: string): string {
  mkdirSync(KEPT, { recursive: true });
  const file = path.join(KEPT, `${seed}-${(kept += 1)}.cvl`);
  writeFileSync(file, text);
  return `${file}, ${text.length} characters: ${JSON.stringify(text.slice(0, 300))}`;
}
