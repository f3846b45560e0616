/** Hosts that know more than the state: it was lost, is an old copy, or another site uses the same hosts. */
import { test, type Test } from "tap";
import { previewNetwork } from "../../../src/manager/change/preview-network.ts";
import { describeRemoval } from "../../../src/manager/apply/remove-network.ts";
import { stopNetwork } from "../../../src/manager/apply/stop-network.ts";
import { findConsole } from "../../../src/manager/observe/find-console.ts";
import type { StateStore } from "../../../src/manager/records/state-store.ts";
import { readNetworkRecord } from "../../../src/manager/records/state.ts";
import { sampleAppliance } from "../cvl-fixtures.ts";
import { EXTERNAL_SEGMENT } from "../../../src/network/description.ts";
import { createManager, type Manager } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";
import { SILENT } from "../silent.ts";

async function runningOffice(t: Test): Promise<Manager> {
  const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
  await manager.start();
  manager.calls();
  return manager;
}

const runs = (manager: Manager): string[] => Object.values(manager.hosts).flatMap((host) => host.running());

async function allocationOf(
  store: StateStore,
  id: string,
): Promise<{ tags: unknown[]; ips: unknown[]; macs: unknown[] }> {
  const allocation = readNetworkRecord(await store.read(), id)?.allocation;
  const interfaces = Object.values(allocation?.interfaces ?? {});
  return {
    tags: Object.entries(allocation?.segments ?? {}).flatMap(([name, { tag }]) =>
      name === EXTERNAL_SEGMENT ? [] : [tag],
    ),
    ips: interfaces.filter(({ segment }) => segment === EXTERNAL_SEGMENT).map(({ ip }) => ip),
    macs: interfaces.map(({ mac }) => mac),
  };
}

test("what runs and the state knows nothing of is started by nobody, and said by every verb that needs it", async (t) => {
  const manager = await runningOffice(t);
  const before = runs(manager);
  const store = createMemoryStore();
  const message = /is on h[12]; .* the state in memory knows nothing of network office/;
  const refusal = { code: "UTILITY_STATE_LOST", message, hint: /A lost state/ };
  await t.rejects(manager.start({}, { store }), refusal);
  await t.rejects(manager.update({}, { store }), refusal);
  const plan = previewNetwork({
    ...{ networkId: "office", inventory: manager.inventory, store, connect: manager.connect, env: {} },
    loadAppliance: () => sampleAppliance({}),
    loadMacKey: () => Promise.resolve(new Uint8Array(32)),
  });
  await t.rejects(plan, refusal);
  const { inventory, connect } = manager;
  const known = { networkId: "office", file: "office.cvl", inventory, store, connect };
  await t.rejects(stopNetwork({ ...known, progress: SILENT }), refusal, "stop");
  await t.rejects(describeRemoval({ ...known, progress: SILENT }), refusal, "remove");
  await t.rejects(findConsole({ ...known, component: "w" }), refusal, "console");
  await t.rejects(stopNetwork({ ...known, networkId: "other", progress: SILENT }), {
    code: "UTILITY_NETWORK_UNKNOWN",
  });
  t.same(runs(manager), before);
  t.same(manager.calls(), []);
});

test("data disks alone tell of a lost state, too", async (t) => {
  const manager = await runningOffice(t);
  await manager.stop();
  await t.rejects(manager.start({}, { store: createMemoryStore() }), {
    code: "UTILITY_STATE_LOST",
    message: /the data disk vdb of w is on h[12]/,
  });
});

test("a network started on a lost state gets no tag, address or MAC of what still runs", async (t) => {
  const manager = await runningOffice(t);
  const store = createMemoryStore();
  await manager.start({}, { store, networkId: "second" });
  const [first, second] = [await allocationOf(manager.store, "office"), await allocationOf(store, "second")];
  t.ok(first.tags.length > 0 && first.ips.length > 0 && first.macs.length > 0);
  for (const kind of ["tags", "ips", "macs"] as const)
    t.same(
      second[kind].filter((value) => first[kind].includes(value)),
      [],
      kind,
    );
  t.equal(runs(manager).length, 6);
});

test("an old copy of the state does not start what would answer at another's address", async (t) => {
  const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
  const old = createMemoryStore();
  await manager.start({}, { store: old, networkId: "old" });
  await manager.stop({ store: old, networkId: "old" });
  await manager.start();
  manager.calls();
  await t.rejects(manager.start({}, { store: old, networkId: "old" }), {
    code: "UTILITY_IN_USE",
    message:
      /VLAN tag 100 is used by [dfw] of office on h[12]; .*the address 198\.51\.100\.10 of f\.ethernet1 is used by f of office/,
  });
  t.same(manager.calls(), []);
});
