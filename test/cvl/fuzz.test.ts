/**
 * Both parsers, the formatter and the evaluator under texts that change at random and are kept where they reach something new.
 * Half a minute from a seed that is printed (CUI_SEED repeats it); `npm run fuzz -- <seconds>` goes on for longer.
 */
import { Worker } from "node:worker_threads";
import t from "tap";
import type { FuzzMessage, FuzzOptions } from "./fuzz/worker.ts";

t.setTimeout(0);

const seconds = Number(process.env["CUI_FUZZ_SECONDS"] ?? 12);
const isLong = process.env["CUI_FUZZ_SECONDS"] !== undefined;
const seed = Number(process.env["CUI_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** Of the processor, for a text of `size` characters. What is asked for is 10 s on a quiet machine for 1 MiB. */
const MOST_CPU_SECONDS = isLong ? 10 : 60;
const SILENT_MS = 10 * 60_000;
const HEAP_MIB = 1024;
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
        failures.push(`no answer in ${SILENT_MS / 1000} s for ${show(last)}`);
        void worker.terminate();
        resolve(undefined);
      }, SILENT_MS);
      if (message.kind === "text") last = message.text;
      if (message.kind === "failed") failures.push(`${message.error}\n${show(message.text)}`);
      if (message.kind === "large" && message.cpuSeconds > slowest.cpuSeconds) slowest = message;
      if (message.kind === "done") resolve(message);
      if (failures.length > 5) resolve(undefined);
    });
    worker.on("error", (error: Error) => {
      failures.push(`${error.message} with ${show(last)}`);
      resolve(undefined);
    });
    worker.on("exit", () => {
      clearTimeout(watch);
      resolve(undefined);
    });
  });
  await worker.terminate();
  t.same(failures, []);
  t.ok(slowest.cpuSeconds < MOST_CPU_SECONDS, `${slowest.cpuSeconds.toFixed(1)} s for ${show(slowest.text)}`);
  if (done?.kind !== "done") return;
  t.comment(
    `${done.small} small texts, ${done.kept} kept, ${done.large} large, ${slowest.cpuSeconds.toFixed(1)} s the slowest`,
  );
  t.ok(done.small > 100 && done.kept > 100 && done.large > 0, "the loop goes round");
});

/** The beginning of a text; the seed has the rest. */
function show(text: string): string {
  return `${text.length} characters: ${JSON.stringify(text.slice(0, 3000))}`;
}
