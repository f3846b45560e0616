/** The process around an action: event, token, outputs, exit status, cancelling. This file is also the action. */
import { spawn } from "node:child_process";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { runAction } from "../../actions/run-action.ts";
import { CollectiveError } from "../../src/errors.ts";
import { parseOutputs } from "./action-process.ts";

const TOKEN = "ghs_0123456789abcdefghij";

type Behaviour = "outputs" | "no" | "refuses" | "breaks" | "waits" | "deaf" | "badName";

if (process.env["INPUT_BEHAVIOUR"] !== undefined) await actionMain();
else defineTests();

async function actionMain(): Promise<void> {
  await runAction({
    read: (inputs) => inputs.required("behaviour") as Behaviour,
    run: async (behaviour, job) => {
      job.print(`token ${job.env["GITHUB_TOKEN"] ?? "none"}, event ${JSON.stringify(job.event)}`);
      const outputs = { first: "a\nsecond=evil\nend-00\nb", second: "", third: `x ${TOKEN}` };
      if (behaviour === "no") return { outputs: { answer: "no" }, isFailed: true };
      if (behaviour === "badName") return { outputs: { "a\nb": "" } };
      if (behaviour === "breaks") throw new Error(`broken ${TOKEN}\n::set-output::x`);
      if (behaviour === "refuses") {
        throw new CollectiveError("INVALID_INPUT", `a%b ${TOKEN}\nc`, { hint: "do better" });
      }
      if (behaviour === "waits" || behaviour === "deaf") {
        job.print("ready");
        const signal = behaviour === "waits" ? job.signal : undefined;
        await sleep(30_000, undefined, signal === undefined ? {} : { signal }).catch(() => {
          job.signal?.throwIfAborted();
        });
      }
      return { outputs };
    },
  });
}

interface Ended {
  readonly status: number | null;
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
}

function start(
  folder: string,
  env: Readonly<Record<string, string>>,
): { child: ReturnType<typeof spawn>; ended: Promise<Ended> } {
  const output = path.join(folder, `output-${Math.random()}`);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    env: { PATH: process.env["PATH"], GITHUB_OUTPUT: output, "INPUT_GITHUB-TOKEN": TOKEN, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => (log += String(piece)));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (status) => {
      resolve({ status, log, outputs: parseOutputs(output) });
    }),
  );
  return { child, ended };
}

function defineTests(): void {
  test("outputs cannot begin another output, and hold no token", async (t) => {
    const folder = t.testdir({ "event.json": '{"ref":"refs/tags/v1"}' });
    const event = path.join(folder, "event.json");
    const { status, log, outputs } = await start(folder, {
      INPUT_BEHAVIOUR: "outputs",
      GITHUB_EVENT_PATH: event,
    }).ended;
    t.equal(status, 0);
    t.strictSame(outputs, { first: "a\nsecond=evil\nend-00\nb", second: "", third: "x [secret]" });
    t.equal(log, 'token [secret], event {"ref":"refs/tags/v1"}\n');
  });

  test("a job's answer and its errors are exit status and one command", async (t) => {
    const folder = t.testdir({ "event.json": "{" });
    const no = await start(folder, { INPUT_BEHAVIOUR: "no" }).ended;
    t.match(no, { status: 1, outputs: { answer: "no" } });
    const refuses = await start(folder, { INPUT_BEHAVIOUR: "refuses" }).ended;
    t.equal(refuses.status, 1);
    t.match(refuses.log, "\n::error title=INVALID_INPUT::a%25b [secret]%0Ac%0Ahint: do better\n");
    const breaks = await start(folder, { INPUT_BEHAVIOUR: "breaks" }).ended;
    t.match(breaks, {
      status: 1,
      log: /::error title=internal error::Error: broken \[secret\]%0A::set-output::x%0A/,
    });
    t.notMatch(breaks.log, /^::set-output/m);
    const badName = await start(folder, { INPUT_BEHAVIOUR: "badName" }).ended;
    t.match(badName, { status: 1, outputs: {}, log: /no name of an output/ });
    const event = path.join(folder, "event.json");
    const noEvent = await start(folder, { INPUT_BEHAVIOUR: "no", GITHUB_EVENT_PATH: event }).ended;
    t.match(noEvent, { status: 1, log: /^::error title=INVALID_INPUT::GITHUB_EVENT_PATH/ });
    const control = await start(folder, { INPUT_BEHAVIOUR: "no\u001b[2J" }).ended;
    t.match(control, {
      status: 1,
      log: /^::error title=USAGE::the input behaviour expects a text without control characters/,
    });
    t.notMatch(control.log, "\u001b");
  });

  test("a cancelled job is told, and ended when it does not listen", async (t) => {
    const folder = t.testdir({});
    for (const [behaviour, signals] of [
      ["waits", ["SIGINT"]],
      ["deaf", ["SIGINT", "SIGTERM"]],
    ] as const) {
      const { child, ended } = start(folder, { INPUT_BEHAVIOUR: behaviour });
      t.teardown(() => child.kill("SIGKILL"));
      await new Promise<void>((resolve) => {
        child.stdout?.on("data", (piece: Buffer) => {
          if (String(piece).includes("ready")) resolve();
        });
      });
      for (const signal of signals) {
        child.kill(signal);
        await sleep(200);
      }
      const { status, log } = await ended;
      if (behaviour === "waits") t.match(log, /::error title=JOB_CANCELLED::the job was cancelled/);
      t.equal(status, behaviour === "waits" ? 1 : 130);
    }
  });
}
