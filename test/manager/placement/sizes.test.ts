/** What no host can hold is refused before anything changes, by plan and start alike; what may not fit is a warning. */
import { test, type Test } from "tap";
import { renderPlanMarkdown } from "../../../src/plan/render-markdown.ts";
import { renderPlan } from "../../../src/plan/render-terminal.ts";
import { OFFICE, type SampleOffice } from "../cvl-fixtures.ts";
import { MIB } from "../describe-fixtures.ts";
import { createManager, type Manager } from "../manager-fixture.ts";
import type { MemoryHostOptions } from "../memory-host.ts";
import { createMemoryStore } from "../memory-store.ts";

const GIB = 1024 * MIB;
const HOSTS: readonly MemoryHostOptions[] = [
  { name: "h1", memoryBytes: 2 * GIB, disk: { totalBytes: 100 * GIB, freeBytes: 50 * GIB } },
  { name: "h2", memoryBytes: 4 * GIB, disk: { totalBytes: 20 * GIB, freeBytes: 10 * GIB } },
];

const memoryManager = (t: Test, hosts = HOSTS): Promise<Manager> =>
  createManager(t.testdirName, hosts, { store: createMemoryStore() });

/** Of the plan and, by its own words, of the start. */
async function refusals(t: Test, manager: Manager, office: SampleOffice): Promise<readonly string[]> {
  const plan = await manager.plan(office);
  const said = plan.refusals.map(({ code, message }) => `${code}: ${message}`);
  for (const text of said) {
    t.match(renderPlan(plan), text);
    t.ok(JSON.stringify(plan).includes(text.slice("PLAN_TOO_LARGE: ".length)));
  }
  manager.calls();
  const start = manager.start(office);
  if (said.length === 0) await t.resolves(start);
  else await t.rejects(start, { code: "UTILITY_REFUSED" });
  const thrown = await start.then(String, String);
  for (const text of said) t.ok(thrown.includes(text.slice("PLAN_TOO_LARGE: ".length)), text);
  if (said.length > 0) t.same(manager.calls(), [], "nothing was changed");
  return said;
}

test("what no host can hold is refused with the figure and the largest host", async (t) => {
  const cases: readonly [string, SampleOffice, RegExp | undefined][] = [
    [
      "memory",
      { memory: { DNS: 5000 } },
      /^PLAN_TOO_LARGE: d needs 4\.9 GiB of memory, and no host has that much: the largest, h2, has 4 GiB$/,
    ],
    ["memory that the larger host has", { memory: { DNS: 4096 } }, undefined],
    [
      "a program disk",
      { disk: { Web: 101 * 1024 } },
      /the program disk vda of w has 101 GiB, and no host has that much: the largest, h1, has 100 GiB on its file system$/,
    ],
    [
      "a data disk",
      { web: "20TiB" },
      /the data disk vdb of w is to have 20 TiB \(.*:\d+\), and no host has that much: the largest, h1, has 100 GiB on its file system$/,
    ],
    ["a data disk of just the size", { web: "100GiB" }, undefined],
  ];
  for (const [name, office, expected] of cases) {
    const said = await refusals(t, await memoryManager(t), office);
    t.equal(said.length, expected === undefined ? 0 : 1, `${name}: ${said.join("; ")}`);
    if (expected !== undefined) t.match(said[0], expected, name);
  }
});

test("all that is too large is said at once", async (t) => {
  const said = await refusals(t, await memoryManager(t), {
    memory: { DNS: 5000, Firewall: 6000 },
    web: "1TiB",
  });
  t.match(said, [/: d needs 4\.9 GiB/, /: f needs 5\.9 GiB/, /data disk vdb of w/]);
});

test("more machines than the hosts may run", async (t) => {
  const manager = await memoryManager(t);
  const limit = (maxMachines: number): void => {
    const hosts = manager.inventory.hosts.map((host) => ({ ...host, maxMachines }));
    manager.inventory = { ...manager.inventory, hosts };
  };
  limit(1);
  const said = await refusals(t, manager, {});
  const expected =
    /Office would have 3 machines running, and the 2 hosts run at most 2 together; the largest, h1, at most 1$/;
  t.match(said, [expected]);
  manager.down.add("h1");
  t.match((await manager.plan()).refusals, [{ message: expected }], "the limit is known without the host");
  manager.down.clear();
  limit(2);
  await manager.start();
  const more = OFFICE.replace("DNS d;", "DNS d; DNS e; DNS g;");
  const plan = await manager.plan({ root: more });
  t.match(
    plan.refusals,
    [{ message: /5 machines running, and the 2 hosts run at most 4/ }],
    "with what runs",
  );
});

test("a machine that must stay where it is, is judged by that host", async (t) => {
  const manager = await memoryManager(t);
  const { hosts } = await manager.start({ memory: { Web: 3000 } });
  t.equal(hosts["w"], "h2", "only there is room");
  const larger = { memory: { Web: 3000 }, web: "30GiB" };
  const { refusals: grown } = await manager.plan(larger);
  t.match(grown, [{ message: /vdb of w is to have 30 GiB .*, and host h2, where it runs, has 20 GiB/ }]);
  await t.rejects(manager.update(larger), { code: "UTILITY_REFUSED", message: /PLAN_TOO_LARGE/ });
  t.same((await manager.plan({ memory: { Web: 3000 } })).refusals, [], "what runs already is no news");
});

test("no host that does not answer is called too small", async (t) => {
  const manager = await memoryManager(t);
  manager.down.add("h1");
  await t.rejects(manager.plan({ web: "90GiB", memory: { Web: 4200 } }), { code: "UTILITY_NO_CAPACITY" });
  const hosts = manager.inventory.hosts.map((host) => ({ ...host, memoryBytes: 2 * GIB }));
  manager.inventory = { ...manager.inventory, hosts };
  const { refusals: said } = await manager.plan({ memory: { Web: 4200 } });
  t.match(
    said,
    [{ message: /w needs 4\.1 GiB of memory, and no host has that much/ }],
    "unless its size is written down",
  );
});

test("no more memory is given out than a host has, whatever is written down", async (t) => {
  const manager = await memoryManager(t);
  const hosts = manager.inventory.hosts.map((host) => ({ ...host, memoryBytes: 64 * GIB }));
  manager.inventory = { ...manager.inventory, hosts };
  t.match((await manager.plan({ memory: { Web: 8192 } })).refusals, [
    { message: /the largest, h2, has 4 GiB/ },
  ]);
});

test("a data disk larger than what is free on its host is a warning", async (t) => {
  const disk = { totalBytes: 100 * GIB, freeBytes: 3 * GIB };
  const manager = await memoryManager(t, [{ name: "h1", disk }]);
  const plan = await manager.plan({ web: "20GiB" });
  const message =
    /^host h1 has 3 GiB free on its disk, less than what will be written at most to w:vdb \(20 GiB\)/;
  t.match(plan.warnings, [{ component: "w", message }]);
  t.same(plan.refusals, []);
  t.match(renderPlan(plan), /^warning: host h1 has 3 GiB free/m);
  const markdown = renderPlanMarkdown([{ file: "office.cvl", plan }]);
  t.match(markdown, /\*\*warning\*\* `host h1 has 3 GiB free/);
  const { plan: started } = await manager.start({ web: "2GiB" });
  t.same(started.warnings, [], "one that fits is none");
  const grown = await manager.plan({ web: "8GiB" });
  t.match(grown.warnings, [{ message: /w:vdb \(8 GiB\)/ }], "one that grows");
});

test("what a start needs of its host is missed before anything is stopped", async (t) => {
  const manager = await memoryManager(t, [{ name: "h1", lacks: ["genisoimage", "UEFI firmware"] }]);
  await manager.start();
  manager.calls();
  const cases: readonly [Readonly<Record<string, object>>, RegExp][] = [
    [
      { Web: { parameters: "cloud-init" } },
      /h1: has no genisoimage \(package genisoimage\), which makes the seed/,
    ],
    [{ DNS: { firmware: "uefi" } }, /h1: has no UEFI firmware \(package ovmf\), which it starts with/],
  ];
  for (const [description, message] of cases) {
    const office = { description, versions: { DNS: 2, Web: 2 } };
    await t.rejects(manager.plan(office), { code: "UTILITY_NO_CAPACITY", message });
    await t.rejects(manager.update(office), { code: "UTILITY_NO_CAPACITY", message });
  }
  t.same(manager.calls(), [], "what ran goes on");
});

test("a machine goes where there is all it needs", async (t) => {
  const full = { totalBytes: 10 * GIB, freeBytes: 10 * MIB };
  const manager = await memoryManager(t, [
    { name: "h1", lacks: ["genisoimage"] },
    { name: "h2", disk: full },
    { name: "h3", lacks: ["UEFI firmware"] },
  ]);
  const { hosts } = await manager.start({
    description: { Web: { parameters: "cloud-init" }, DNS: { firmware: "uefi" } },
  });
  t.match(hosts, { w: "h3", d: "h1" });
  t.not(hosts["f"], "h2");
  const alone = await memoryManager(t, [{ name: "h2", disk: full }]);
  await t.rejects(alone.plan(), {
    code: "UTILITY_NO_CAPACITY",
    message: /h2: its disk is full \(10 MiB free\)/,
  });
});

test("a new machine that keeps nothing is a note, once", async (t) => {
  const manager = await memoryManager(t);
  const plan = await manager.plan();
  t.same(plan.notes, [
    { components: ["d", "f"], message: "no data disk: what it writes is gone at the next stop or update" },
  ]);
  t.match(renderPlan(plan), /^note: d, f: no data disk: /m);
  t.match(renderPlanMarkdown([{ file: "office.cvl", plan }]), /\*\*note\*\* `d, f: no data disk/);
  t.same((await manager.plan({}, { component: "f" })).notes?.[0]?.components, ["f"]);
  await manager.start();
  t.equal((await manager.plan({ versions: { DNS: 2 } })).notes, undefined);
});
