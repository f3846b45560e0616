import { test } from "tap";
import { runGraph, type Step } from "../../../src/manager/apply/run-graph.ts";
import { createTimeline } from "../../../src/manager/change/timeline.ts";

interface Timed extends Step {
  readonly ms?: number;
  readonly fails?: boolean;
}

async function play(steps: readonly Timed[], limit = 10) {
  const events: string[] = [];
  let running = 0;
  let most = 0;
  const outcomes = await runGraph({
    steps,
    limit,
    run: async (step) => {
      events.push(`+${step.id}`);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, step.ms ?? 0));
      running -= 1;
      events.push(`-${step.id}`);
      if (step.fails === true) throw new Error(`${step.id} broke`);
    },
  });
  return {
    events,
    most,
    outcomes: Object.fromEntries([...outcomes].map(([id, outcome]) => [id, outcome.state])),
  };
}

test("a step begins the moment what it needs is done, not when a level is", async (t) => {
  const { events } = await play([
    { id: "slow", after: [], ms: 120 },
    { id: "quick", after: [], ms: 5 },
    { id: "next", after: ["quick"], ms: 5 },
    { id: "last", after: ["next", "slow"] },
  ]);
  t.ok(events.indexOf("-next") < events.indexOf("-slow"), events.join(" "));
  t.equal(events.at(-1), "-last");
});

test("of several providers the first one done is enough", async (t) => {
  const { events } = await play([
    { id: "a", after: [], ms: 100 },
    { id: "b", after: [], ms: 5 },
    { id: "user", after: [], afterAny: [["a", "b"]] },
  ]);
  t.ok(events.indexOf("-user") < events.indexOf("-a"), events.join(" "));
});

test("a failure takes its dependents along and nobody else", async (t) => {
  const { outcomes } = await play([
    { id: "a", after: [], fails: true },
    { id: "b", after: ["a"] },
    { id: "c", after: ["b"] },
    { id: "d", after: [] },
    { id: "e", after: ["d"], afterAny: [["a", "d"]] },
    { id: "f", after: [], afterAny: [["a", "b"]] },
  ]);
  t.same(outcomes, { a: "failed", b: "skipped", c: "skipped", d: "done", e: "done", f: "skipped" });
});

test("what is not part of the graph counts as done; a circle is said", async (t) => {
  t.same((await play([{ id: "a", after: ["elsewhere"], afterAny: [[], ["elsewhere"]] }])).outcomes, {
    a: "done",
  });
  await t.rejects(
    play([
      { id: "a", after: ["b"] },
      { id: "b", after: ["a"] },
    ]),
    /wait for each other: a, b/,
  );
});

test("no more than the limit run at once", async (t) => {
  const steps = Array.from({ length: 12 }, (_, index) => ({ id: `s${index}`, after: [], ms: 3 }));
  t.equal((await play(steps, 3)).most, 3);
});

test("the manager's own share is the time no guest was waited for", async (t) => {
  let now = 0;
  const timeline = createTimeline(0, () => now);
  const at = (ms: number) => async () => {
    await Promise.resolve();
    now = ms;
  };
  await timeline.measure("plan", at(100));
  const first = timeline.waitForGuest("boot a", at(300));
  await first;
  now = 200;
  await timeline.waitForGuest("boot b", at(500));
  now = 550;
  const { totalMs, ownMs, timings } = timeline.summary();
  t.equal(totalMs, 550);
  t.equal(ownMs, 150, "550 less 100..500, counted once");
  t.same(
    timings.map((timing) => [timing.name, timing.fromMs, timing.toMs, timing.isGuest]),
    [
      ["plan", 0, 100, false],
      ["boot a", 100, 300, true],
      ["boot b", 200, 500, true],
    ],
  );
});
