/** Hosts that cannot be asked: told in time, and with what is therefore unknown. */
import { test, type Test } from "tap";
import type { Host, HostDescription } from "../../../src/host/host.ts";
import {
  LOOK_MS,
  observeHosts,
  type ConnectHost,
  withObservedHosts,
} from "../../../src/manager/observe/observe-hosts.ts";
import { renderPlanMarkdown } from "../../../src/plan/render-markdown.ts";
import { renderPlan } from "../../../src/plan/render-terminal.ts";
import { createManager, sampleInventory, type Manager } from "../manager-fixture.ts";
import { createMemoryHost } from "../memory-host.ts";
import { createMemoryStore } from "../memory-store.ts";

const memoryManager = (t: Test): Promise<Manager> =>
  createManager(t.testdirName, undefined, { store: createMemoryStore() });

/** A look at a host that never answers takes this long at most, on a machine of any speed. */
const LATEST_MS = LOOK_MS * 10;

const never = <Result>(): Promise<Result> => new Promise<Result>(() => undefined);

test("a host that hangs anywhere is missed in time, and its late connection closed", async (t) => {
  const host = createMemoryHost({ name: "h" });
  let closed = 0;
  const counted = (calls: Partial<Host>): Host => ({
    ...host,
    ...calls,
    close: () => Promise.resolve(void (closed += 1)),
  });
  const late = Promise.withResolvers<Host>();
  const connections: Readonly<Record<string, () => Promise<Host>>> = {
    "unix:/connect": () => late.promise,
    "unix:/describe": () => Promise.resolve(counted({ describe: () => never() })),
    "unix:/inventory": () => Promise.resolve(counted({ inventory: () => never() })),
    "unix:/well": () => Promise.resolve(counted({})),
  };
  const { hosts } = sampleInventory(["connect", "describe", "inventory", "well"]);
  const startedAt = performance.now();
  const signals: AbortSignal[] = [];
  const connect: ConnectHost = (address, { signal } = {}) => {
    if (signal !== undefined) signals.push(signal);
    return connections[address]!();
  };
  const observed = await observeHosts(hosts, connect, 300);
  t.ok(performance.now() - startedAt < LATEST_MS);
  t.same([...observed.reached.keys()], ["well"]);
  for (const name of ["connect", "describe", "inventory"]) {
    t.match(observed.missed.get(name)?.error, { code: "HOST_UNREACHABLE", message: /within 0\.3 s/ }, name);
  }
  t.same(new Set(signals.map(({ aborted }) => aborted)), new Set([true]), "what tries to connect gives up");
  late.resolve(counted({}));
  await observed.close();
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(closed, 4);
});

test("time in which this process is busy makes no host late", async (t) => {
  const host = createMemoryHost({ name: "h1" });
  const soon = async <Result>(result: Result): Promise<Result> => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    return result;
  };
  // Of two answers, the second is asked for when the process is free again.
  const describe = async (): Promise<HostDescription> => soon(await host.describe());
  const connect = (): Promise<Host> => soon({ ...host, describe });
  await withObservedHosts(sampleInventory(["h1"]).hosts, connect, async (observing) => {
    for (const end = Date.now() + LOOK_MS + 500; Date.now() < end;);
    t.same([...(await observing).missed.keys()], []);
  });
});

test("plan and status say which components and which data are unknown", async (t) => {
  const manager = await memoryManager(t);
  const { hosts } = await manager.start();
  const lost = hosts["w"]!;
  const here = Object.keys(hosts).filter((component) => hosts[component] === lost);
  manager.down.add(lost);
  const { unreachable } = await manager.report();
  t.match(unreachable, [
    {
      host: lost,
      unknown: [{ networkId: "office", file: "office.cvl", components: here, dataDisks: ["w:vdb"] }],
    },
  ]);
  const plan = await manager.plan();
  const runs = here.length === 1 ? "runs" : "run";
  const message = new RegExp(
    `^host ${lost} cannot be asked: .*; unknown is whether ${here.join(", ")} ${runs}, and whether the data disk w:vdb is there$`,
  );
  t.match(plan.warnings, [{ about: "unseen", message }]);
  t.match(renderPlan(plan), /^Office: nothing to do as far as can be seen: see the warnings$/m);
  t.match(
    renderPlanMarkdown([{ file: "office.cvl", plan }]),
    /- \*\*Nothing to do\*\* as far as can be seen: see the warnings/,
  );
  const other = Object.keys(hosts).find((component) => hosts[component] !== lost)!;
  const one = await manager.plan({}, { component: other });
  t.match(renderPlan(one), /nothing to do$/m, "of another component all is known");

  await manager.stop({ component: other });
  const { unreachable: again } = await manager.report();
  t.same(again[0]?.unknown[0]?.components, here);
});

test("the data of what is stopped is unknown, not whether it runs", async (t) => {
  const manager = await memoryManager(t);
  const { hosts } = await manager.start();
  await manager.stop();
  manager.down.add(hosts["w"]!);
  t.match((await manager.report()).unreachable[0]?.unknown, [{ components: [], dataDisks: ["w:vdb"] }]);
});

test("a host that is not listed any more is named as well", async (t) => {
  const manager = await memoryManager(t);
  const { hosts } = await manager.start();
  const gone = hosts["w"]!;
  const kept = manager.inventory.hosts.filter(({ name }) => name !== gone);
  manager.inventory = { ...manager.inventory, hosts: kept };
  t.match((await manager.report()).unreachable, [{ host: gone, code: "UTILITY_HOST_UNKNOWN" }]);
  const { warnings } = await manager.plan();
  const unseen = warnings.filter(({ about }) => about === "unseen");
  t.match(unseen, [{ message: /is not in utility\.yaml any more/ }]);
});

test("a start of which nothing can be seen fails", async (t) => {
  const manager = await memoryManager(t);
  const { hosts } = await manager.start();
  manager.calls();
  const lost = hosts["w"]!;
  const other = Object.keys(hosts).find((component) => hosts[component] !== lost)!;
  manager.down.add(lost);
  for (const kind of ["start", "update"] as const) {
    await t.resolves(manager[kind](), "what can be seen runs");
    await t.rejects(
      manager[kind]({}, { component: "w" }),
      { code: "UTILITY_HOST_UNREACHABLE", message: /^nothing can be seen of what should run: host h/ },
      kind,
    );
    await t.resolves(manager[kind]({}, { component: other }));
  }
  manager.down.add("h1").add("h2");
  for (const kind of ["start", "update"] as const) {
    await t.rejects(manager[kind](), {
      code: "UTILITY_HOST_UNREACHABLE",
      message: /^no host can be used: host h1: .*; host h2: /,
    });
  }
  t.same(manager.calls(), []);
});
