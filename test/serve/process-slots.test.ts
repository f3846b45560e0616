/** Who gets the next place of a server, and who loses one. */
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Pace } from "../../src/serve/peers.ts";
import { processSlots, type Client, type SlotOptions } from "../../src/serve/process-slots.ts";
import { until } from "../git/git-fixture.ts";

/** Clients by name, `a1` of the address `a`; each goes on until it is let go of. */
function makeSlots(options: SlotOptions) {
  const slots = processSlots(options);
  const order: string[] = [];
  const ended: string[] = [];
  const refused: string[] = [];
  const held = new Map<string, () => void>();
  const hold = (name: string, pace: Partial<Pace> = {}, left = new AbortController()): void => {
    const peer: Client["peer"] = {
      address: name.slice(0, 1),
      pace: () => ({ isAwaited: false, bytesPerSecond: 0, ...pace }),
      end: () => void ended.push(name),
    };
    const work = (): Promise<void> => {
      order.push(name);
      return new Promise((resolve) => held.set(name, resolve));
    };
    slots.run(work, { peer, left: left.signal }).catch((error: unknown) => {
      refused.push(`${name}: ${String(error)}`);
    });
  };
  return { slots, order, ended, refused, hold, release: (name: string) => held.get(name)?.() };
}

t.test("places go to the address that has fewest", async (t) => {
  const { order, hold, release, refused } = makeSlots({ running: 3, waiting: 8, isShared: true });
  for (const name of ["a1", "a2", "a3", "a4", "a5"]) hold(name);
  await sleep(1);
  t.same(order, ["a1", "a2"], "one address leaves a place");
  hold("b1");
  hold("b2");
  await sleep(1);
  t.same(order, ["a1", "a2", "b1"]);
  release("a2");
  await until(() => order.length === 4);
  t.same(order.at(-1), "a3", "both have one: the one that came first");
  release("b1");
  await until(() => order.length === 5);
  t.same(order.at(-1), "b2");
  t.same(refused, []);

  const four = makeSlots({ running: 4, waiting: 8, isShared: true });
  for (const name of ["a1", "a2", "a3", "a4", "b1", "b2"]) four.hold(name);
  await until(() => four.order.length === 4);
  four.release("a1");
  await until(() => four.order.length === 5);
  t.same(four.order.at(-1), "b2", "a4 came first, but its address has more");

  const proxied = makeSlots({ running: 3, waiting: 8, isShared: false });
  for (const name of ["a1", "a2", "a3", "a4"]) proxied.hold(name);
  await sleep(1);
  t.same(proxied.order, ["a1", "a2", "a3"], "behind a proxy all are of one address");
});

t.test("who waits may be half of one address, and less when others come", async (t) => {
  const { order, hold, release, refused } = makeSlots({ running: 1, waiting: 4, isShared: true });
  for (const name of ["a1", "a2", "a3", "a4"]) hold(name);
  await until(() => refused.length === 1);
  t.match(refused.at(-1), /a4: .*too many requests at once/);
  for (const name of ["b1", "b2", "c1"]) hold(name);
  await until(() => refused.length === 2);
  t.match(refused.at(-1), /b2: .*too many/, "the last of those of whom most wait");
  hold("d1");
  await until(() => refused.length === 3);
  t.match(refused.at(-1), /a3: .*too many/);
  hold("e1");
  await until(() => refused.length === 4);
  t.match(refused.at(-1), /e1: .*too many/, "nobody has more than a newcomer would have");
  const gone = new AbortController();
  release("a1");
  await until(() => order.length === 2);
  hold("f1", {}, gone);
  gone.abort();
  await until(() => refused.length === 5);
  t.match(refused.at(-1), /f1: .*the client has gone/);
  const before = new AbortController();
  before.abort();
  hold("g1", {}, before);
  await until(() => refused.length === 6);
  for (const name of ["a2", "b1", "c1", "d1"]) {
    release(name);
    await sleep(5);
  }
  t.same(order, ["a1", "a2", "b1", "c1", "d1"], "everybody else had a turn");
});

t.test("the slowest loses its place to who has waited, and the longer the more is asked", async (t) => {
  const { slots, ended, hold, release, order } = makeSlots({ running: 3, waiting: 8, isShared: true });
  hold("a1", { isAwaited: true, bytesPerSecond: 9 });
  hold("a2", { isAwaited: true, bytesPerSecond: 5 });
  hold("b1", { isAwaited: false, bytesPerSecond: 1 });
  hold("c1");
  const patienceMs = 1000;
  t.notOk(slots.relieve({ patienceMs: 600_000, fairBytesPerSecond: 1e12 }), "nobody has waited for long");
  await sleep(patienceMs);
  t.notOk(slots.relieve({ patienceMs, fairBytesPerSecond: 0.1 }), "nobody is too slow yet");
  t.ok(slots.relieve({ patienceMs, fairBytesPerSecond: 10 }));
  t.notOk(slots.relieve({ patienceMs, fairBytesPerSecond: 10 }), "one at a time");
  t.same(ended, ["a2"]);
  release("a2");
  await until(() => order.at(-1) === "c1");
  t.notOk(slots.relieve({ patienceMs: 1, fairBytesPerSecond: 1000 }), "nobody waits");
  hold("c2");
  await sleep(100);
  t.ok(slots.relieve({ patienceMs: 10, fairBytesPerSecond: 1 }), "after ten times as long ten times as fast");
  t.same(ended, ["a2", "a1"]);
});
