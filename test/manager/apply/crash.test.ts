import { test, type Test } from "tap";
import { createDeath, Died } from "./mortal-manager.ts";
import { createManager, type Manager } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";
import { removeNetwork } from "../../../src/manager/apply/remove-network.ts";
import { OFFICE } from "../cvl-fixtures.ts";
import { SILENT } from "../silent.ts";

type Operation = (manager: Manager, options: object) => Promise<unknown>;

interface Scenario {
  readonly prepare: Operation;
  readonly operate: Operation;
  /** What runs in the end. */
  readonly expected: readonly string[];
  readonly disks: readonly string[];
  /** What hosts were told to do, each exactly once however often the manager died. */
  readonly calls: readonly string[];
}

/** `prepare` comes before, `operate` dies at every moment and is repeated, then `expected` must run. */
async function playAllDeaths(t: Test, scenario: Scenario): Promise<void> {
  for (let at = 0; ; at++) {
    const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
    await scenario.prepare(manager, {});
    manager.calls();
    const death = createDeath(at);
    const doomed = {
      store: death.store(manager.store),
      connect: async (address: string) => death.host(await manager.connect(address)),
    };
    const error = await scenario.operate(manager, doomed).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error === undefined) break;
    if (!(error instanceof Died))
      throw new Error(`at moment ${at} another error than death`, { cause: error });
    await scenario.operate(manager, { takeOver: true });
    const problem = await findProblem(manager, scenario);
    if (at > 200) throw new Error("it never ends");
    t.equal(problem, undefined, `killed at moment ${at}`);
  }
}

async function findProblem(
  manager: Manager,
  { expected, disks, calls }: Scenario,
): Promise<string | undefined> {
  const running = Object.values(manager.hosts)
    .flatMap((host) => host.running())
    .sort();
  if (running.join() !== expected.join()) return `${running.join()} runs`;
  const told = manager.calls().filter((call) => !/^(send|attic)/.test(call));
  if (told.sort().join() !== calls.join()) return `hosts were told ${told.join()}`;
  const found = Object.values(manager.hosts)
    .flatMap((host) => host.disks)
    .map((disk) => `${disk.id.component}:${disk.device}${disk.inAttic ? " attic" : ""}`);
  if (found.join() !== disks.join()) return `disks are ${found.join()}`;
  const files = await manager.files();
  for (const [file, text] of Object.entries(files)) {
    if (!file.includes("/machines/")) continue;
    const { phase, next } = JSON.parse(text) as { phase: string; next: unknown };
    if (!["running", "stopped"].includes(phase) || next !== null) return `${file} says ${phase}`;
  }
  const interfaces = Object.values(
    (
      JSON.parse(files["networks/office/network.json"] ?? "{}") as {
        allocation: { interfaces: Record<string, { mac: string; ip: string }> };
      }
    ).allocation.interfaces,
  );
  if (new Set(interfaces.map((entry) => entry.mac)).size !== interfaces.length) return "a MAC twice";
  return undefined;
}

const nothing: Operation = () => Promise.resolve();
const start: Operation = (manager, options) => manager.start({}, options);
const update: Operation = (manager, options) =>
  manager.update({ versions: { Web: 2 }, root: OFFICE.replace('"www"', '"web"') }, options);
const remove: Operation = (manager, options) =>
  manager.update({ root: OFFICE.replace("  Web w;\n", "").replace(/.*w\..*\n/g, "") }, options);
const stop: Operation = (manager, options) => manager.stop(options);

test("a manager killed at any moment of a start: the next start finishes it", async (t) => {
  await playAllDeaths(t, {
    prepare: nothing,
    operate: start,
    expected: ["d@1", "f@1", "w@1"],
    disks: ["w:vdb"],
    calls: ["start d@1", "start f@1", "start w@1"],
  });
});

test("a manager killed at any moment of an update: the next update finishes it", async (t) => {
  await playAllDeaths(t, {
    prepare: start,
    operate: update,
    expected: ["d@1", "f@1", "w@2"],
    disks: ["w:vdb"],
    calls: ["start w@2", "stop w"],
  });
});

test("a manager killed at any moment of a removal: the next update finishes it", async (t) => {
  await playAllDeaths(t, {
    prepare: start,
    operate: remove,
    expected: ["d@1", "f@1"],
    disks: ["w:vdb attic"],
    calls: ["stop w"],
  });
});

test("killed at any moment of a first start, then stopped and removed: the data disk is in the attic, and the name is free", async (t) => {
  for (let at = 0, isDead = true; isDead; at++) {
    const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
    const death = createDeath(at);
    const doomed = {
      store: death.store(manager.store),
      connect: async (address: string) => death.host(await manager.connect(address)),
    };
    isDead = await manager.start({}, doomed).then(
      () => false,
      () => true,
    );
    const { store, connect, inventory } = manager;
    if (!(await store.read()).files.has("networks/office/network.json")) continue;
    await manager.stop({ takeOver: true });
    await removeNetwork({
      ...{ networkId: "office", file: "office.cvl", inventory, store, connect, progress: SILENT },
      takeOver: true,
    });
    const disks = Object.values(manager.hosts).flatMap((host) => host.disks);
    t.same(
      disks.filter(({ inAttic }) => !inAttic),
      [],
      `killed at moment ${at}`,
    );
    await manager.start();
  }
});

test("a manager killed at any moment of a stop: the next stop finishes it", async (t) => {
  await playAllDeaths(t, {
    prepare: start,
    operate: stop,
    expected: [],
    disks: ["w:vdb"],
    calls: ["stop d", "stop f", "stop w"],
  });
});
