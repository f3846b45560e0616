/** A data disk that is missing when it should go to the attic: it may come back when nobody knows of it any more. */
import { test, type Test } from "tap";
import {
  describeRemoval,
  removeNetwork,
  type RemovedNetwork,
} from "../../../src/manager/apply/remove-network.ts";
import type { DataDiskReport } from "../../../src/host/host.ts";
import { OFFICE } from "../cvl-fixtures.ts";
import { createManager, type Manager } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";
import { SILENT } from "../silent.ts";
import { createDeath } from "./mortal-manager.ts";

const WITHOUT_WEB = OFFICE.replace("  Web w;\n", "").replace(/.*w\..*\n/g, "");

interface Lost {
  readonly manager: Manager;
  readonly host: string;
  readonly bringBack: () => void;
}

async function withLostDisk(t: Test, { stopped }: { readonly stopped: boolean }): Promise<Lost> {
  const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
  await manager.start();
  if (stopped) await manager.stop();
  const [host, disks] = diskHost(manager);
  const lost = disks.splice(0);
  manager.calls();
  return { manager, host, bringBack: () => void disks.push(...lost) };
}

function diskHost(manager: Manager): [string, DataDiskReport[]] {
  for (const [name, { disks }] of Object.entries(manager.hosts)) if (disks.length > 0) return [name, disks];
  throw new Error("no host has a disk");
}

function remove(
  { store, connect, inventory }: Manager,
  options: Partial<Parameters<typeof removeNetwork>[0]> = {},
): Promise<RemovedNetwork> {
  const network = { networkId: "office", file: "office.cvl" };
  return removeNetwork({ ...network, inventory, store, connect, progress: SILENT, ...options });
}

function describe(
  { store, connect, inventory }: Manager,
  options: Partial<Parameters<typeof removeNetwork>[0]> = {},
): Promise<RemovedNetwork> {
  const network = { networkId: "office", file: "office.cvl" };
  return describeRemoval({ ...network, inventory, store, connect, progress: SILENT, ...options });
}

test("a network is not removed while a data disk of it is missing, until it is called lost", async (t) => {
  const { manager, host, bringBack } = await withLostDisk(t, { stopped: true });
  await t.rejects(remove(manager), {
    code: "UTILITY_DATA_DISK_MISSING",
    message: `data disks of office.cvl cannot go to the attic: w:vdb is not on ${host}`,
    hint: /cui remove office\.cvl --lost-data-disk w:vdb/,
  });
  t.same(manager.calls(), []);
  const missing = async (): Promise<unknown> => (await manager.report()).networks[0]?.missingDataDisks;
  t.same(await missing(), [{ disk: "w:vdb", host }], "and status says so");
  const unknown: [string, RegExp][] = [
    ["w:vdc", /^w has no data disk vdc; it has vdb$/],
    ["d:vdb", /^d has no data disk vdb; it has none$/],
    [":vdb", /^the machine has no data disk vdb; it has none$/],
  ];
  for (const [disk, message] of unknown) {
    const refusal = { code: "UTILITY_DATA_DISK_UNKNOWN", message, hint: /^missing: w:vdb$/ };
    await t.rejects(remove(manager, { lostDataDisks: new Set([disk]) }), refusal);
    const start = manager.start({}, { newDataDisks: new Set([disk]) });
    await t.rejects(start, refusal);
  }
  bringBack();
  t.same(await missing(), []);
  await t.rejects(remove(manager, { lostDataDisks: new Set(["w:vdb"]) }), {
    code: "UTILITY_DATA_DISK_PRESENT",
  });
  await remove(manager);
  t.match(diskHost(manager), [host, [{ inAttic: true }]]);
});

test("a network that runs is not even stopped for a removal that will be refused", async (t) => {
  const { manager, bringBack } = await withLostDisk(t, { stopped: false });
  await t.rejects(remove(manager, { stopFirst: true }), { code: "UTILITY_DATA_DISK_MISSING" });
  t.same(manager.calls(), []);
  bringBack();
  await remove(manager, { stopFirst: true });
  t.same(await manager.status(), {});
});

test("what is called lost is let go of, and said so before and after", async (t) => {
  const { manager, host } = await withLostDisk(t, { stopped: true });
  const lostDataDisks = new Set(["w:vdb"]);
  const expected = { dataDisks: [], lostDataDisks: [`vdb of w on ${host}`] };
  t.match(await describe(manager, { lostDataDisks }), expected);
  t.match(await remove(manager, { lostDataDisks }), expected);
  t.same(await manager.status(), {});
});

test("what would be refused is refused before anybody is asked, and every missing disk is named", async (t) => {
  const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
  await manager.start();
  await t.rejects(describe(manager), { code: "UTILITY_NETWORK_RUNNING" });
  const [, disks] = diskHost(manager);
  const there = { dataDisks: [/^vdb of w on h\d$/], lostDataDisks: [] };
  t.match(await describe(manager, { stopFirst: true }), there);
  t.same(await manager.status().then((found) => Object.keys(found).length > 0), true, "nothing was stopped");
  disks.length = 0;
  await t.rejects(describe(manager, { stopFirst: true }), { code: "UTILITY_DATA_DISK_MISSING" });
});

test("an update does not let go of a machine whose data disk is missing, unless it is told to go on without", async (t) => {
  const { manager, host } = await withLostDisk(t, { stopped: false });
  await t.rejects(manager.update({ root: WITHOUT_WEB }), {
    code: "UTILITY_REFUSED",
    message: new RegExp(
      `PLAN_DATA_DISK_MISSING: the data disk vdb of w is missing, so it cannot be let go of: host ${host}`,
    ),
  });
  t.same(manager.calls(), []);
  await manager.update({ root: WITHOUT_WEB }, { newDataDisks: new Set(["w:vdb"]) });
  t.notOk("w" in (await manager.status()));
});

test("nor of a missing data disk that is no longer asked for", async (t) => {
  const { manager, bringBack } = await withLostDisk(t, { stopped: false });
  const message = /PLAN_DATA_DISK_MISSING: the data disk vdb of w is missing, so it cannot be let go of/;
  await t.rejects(manager.update({ web: "none" }), { code: "UTILITY_REFUSED", message });
  t.same(manager.calls(), []);
  bringBack();
  await manager.update({ web: "none" });
});

test("a removal that was killed at any moment is finished by the next one", async (t) => {
  for (let at = 0, isDead = true; isDead; at++) {
    const manager = await createManager(t.testdirName, undefined, { store: createMemoryStore() });
    await manager.start();
    await manager.stop();
    const death = createDeath(at);
    const connect = async (address: string): ReturnType<Manager["connect"]> =>
      death.host(await manager.connect(address));
    isDead = await remove(manager, { store: death.store(manager.store), connect }).then(
      () => false,
      () => true,
    );
    if (Object.keys(await manager.status()).length > 0) await remove(manager, { takeOver: true });
    t.match(diskHost(manager)[1], [{ inAttic: true }], `killed at moment ${at}`);
    t.same(await manager.status(), {});
  }
});
