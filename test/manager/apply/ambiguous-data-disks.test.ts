/** A data disk that lies on two hosts: copied by hand, or come back with a host that was restored. */
import { test, type Test } from "tap";
import { previewNetwork } from "../../../src/manager/change/preview-network.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { sampleAppliance } from "../cvl-fixtures.ts";
import { createManager, type Manager } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";

interface Copied {
  readonly manager: Manager;
  /** The host that had the disk of `w`, and the one that got a copy. */
  readonly first: string;
  readonly second: string;
}

async function copied(t: Test, { running }: { readonly running: boolean }): Promise<Copied> {
  const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
  await manager.start();
  if (!running) await manager.stop();
  const [first = ""] = Object.keys(manager.hosts).filter((name) => manager.hosts[name]!.disks.length > 0);
  const second = first === "h1" ? "h2" : "h1";
  manager.hosts[second]!.disks.push(...manager.hosts[first]!.disks);
  manager.calls();
  return { manager, first, second };
}

function preview({ inventory, store, connect }: Manager): Promise<Plan> {
  return previewNetwork({
    ...{ networkId: "office", inventory, store, connect, env: {} },
    loadAppliance: () => sampleAppliance({}),
    loadMacKey: () => Promise.resolve(new Uint8Array(32)),
  });
}

const AMBIGUOUS = {
  code: "UTILITY_REFUSED",
  message:
    /PLAN_DATA_DISK_AMBIGUOUS: the data disk vdb of w lies on h1 and on h2: which one is current cannot be told/,
};

test("a machine whose data disk lies on two hosts starts on neither, and plan says what to do", async (t) => {
  const { manager, second } = await copied(t, { running: false });
  t.match((await preview(manager)).refusals, [
    {
      code: "PLAN_DATA_DISK_AMBIGUOUS",
      component: "w",
      message: /lies on h1 and on h2/,
      hint: /move networks\/office\/machines\/w\/data-vdb\.qcow2 out of \/var\/lib\/collective on the host/,
    },
  ]);
  await t.rejects(manager.start(), AMBIGUOUS);
  await t.rejects(manager.update({}, { component: "w" }), AMBIGUOUS);
  t.same(manager.calls(), [], "nothing was done");

  manager.hosts[second]!.disks.splice(0);
  await manager.start();
  t.match(await manager.status(), { w: { state: "ready" } }, "with one of them moved away it starts");
});

test("the copy that is left is the one that is used, also when it is the new one", async (t) => {
  const { manager, first, second } = await copied(t, { running: false });
  manager.hosts[first]!.disks.splice(0);
  await manager.start();
  t.match(await manager.status(), { w: { state: "ready", host: second } });
});

test("a machine that runs goes on with its own, with a warning, and is updated on it", async (t) => {
  const { manager, first } = await copied(t, { running: true });
  const warning = {
    component: "w",
    message: new RegExp(
      `its data disk vdb lies on h1 and on h2; it runs with the one on ${first}, .*move networks`,
    ),
  };
  t.match(await preview(manager), { refusals: [], warnings: [warning] });
  await manager.update({ versions: { Web: 2 } });
  t.match(await manager.status(), { w: { state: "ready", host: first, version: 2 } });
  await manager.stop();
  await t.rejects(manager.start(), AMBIGUOUS);
});

test("a copy is not taken for the disk of a host that does not answer", async (t) => {
  const { manager, first, second } = await copied(t, { running: false });
  manager.down.add(first);
  const message = new RegExp(
    `vdb of w lies on ${second}, and on ${first}, which does not answer, is the one`,
  );
  await t.rejects(manager.start(), { code: "UTILITY_REFUSED", message });
  t.match((await preview(manager)).refusals, [{ hint: new RegExp(`cui host remove ${first}`) }]);
  t.same(manager.calls(), []);

  const hosts = manager.inventory.hosts.filter(({ name }) => name !== first);
  manager.inventory = { ...manager.inventory, hosts };
  await manager.start();
  t.match(await manager.status(), { w: { state: "ready", host: second } }, "once that host is given up");
});
