import { readFileSync } from "node:fs";
import path from "node:path";
import { test, type Test } from "tap";
import { exportData, exportEntry, type ExportOptions } from "../../../src/manager/data/export-data.ts";
import { listAttic, theEntry } from "../../../src/manager/data/list-attic.ts";
import { listData } from "../../../src/manager/data/list-data.ts";
import { choosePurge, purgeAttic } from "../../../src/manager/data/purge-attic.ts";
import { restoreFromAttic, type RestoreOptions } from "../../../src/manager/data/restore-from-attic.ts";
import { removeNetwork } from "../../../src/manager/apply/remove-network.ts";
import { createDeath, Died } from "../apply/mortal-manager.ts";
import { OFFICE } from "../cvl-fixtures.ts";
import { createManager, type Manager } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";
import { SILENT } from "../silent.ts";

const WITHOUT_WEB = { root: OFFICE.replace("  Web w;\n", "").replace(/.*w\..*\n/g, "") };
const CONTENT = Buffer.alloc(128 * 1024, "precious");

const basics = (manager: Manager): Pick<Manager, "inventory" | "connect" | "store"> => manager;
const restoreOptions = (manager: Manager, change: Partial<RestoreOptions>): RestoreOptions => ({
  ...basics(manager),
  ...{ networkId: "office", file: "office.cvl", component: "w", entry: "", progress: SILENT },
  limits: { readyMs: 400, stopMs: 100 },
  ...change,
});
const disksOf = (manager: Manager): string[] =>
  Object.entries(manager.hosts)
    .flatMap(([host, { disks }]) =>
      disks.map(({ id, device, inAttic }) => `${id.component}:${device} ${host}${inAttic ? " attic" : ""}`),
    )
    .sort();
const hostOf = (manager: Manager): string => disksOf(manager)[0]!.split(" ")[1]!;

/** Web's data, with content, is in the attic; Web runs again with an empty disk, and is stopped. */
async function withEntry(t: Test): Promise<{ manager: Manager; entry: string; host: string }> {
  const manager = await createManager(t.testdir(), undefined, { store: createMemoryStore() });
  await manager.start();
  const host = hostOf(manager);
  manager.hosts[host]!.contents.set("w:vdb", CONTENT);
  await manager.update(WITHOUT_WEB);
  const { entries } = await listAttic(basics(manager));
  return { manager, entry: entries[0]!.id, host };
}

test("every entry of every host, with when and why; a host that does not answer is named", async (t) => {
  const { manager, entry, host } = await withEntry(t);
  const listing = await listAttic(basics(manager));
  t.match(listing, {
    entries: [
      {
        ...{ id: entry, host, networkId: "office", file: "office.cvl", component: "w", device: "vdb" },
        ...{ sizeBytes: 16 * 1024 * 1024, command: "update office.cvl", isOtherSite: false },
      },
    ],
    unreachable: [],
  });
  await manager.stop();
  await removeNetwork(restoreOptions(manager, {}));
  t.match(
    (await listAttic(basics(manager))).entries,
    [{ file: null, networkId: "office" }],
    "of a dead network",
  );
  manager.down.add(host);
  t.match(await listAttic(basics(manager)), {
    entries: [],
    unreachable: [{ host, code: "UTILITY_HOST_UNREACHABLE" }],
  });
  const unknown = { code: "UTILITY_ATTIC_UNKNOWN", message: new RegExp(`${host} cannot be asked`) };
  t.throws(() => theEntry({ entries: [], unreachable: [{ host, code: "", message: "" }] }, entry), unknown);
});

test("data comes back under a component that is stopped; what it had goes to the attic", async (t) => {
  const { manager, entry, host } = await withEntry(t);
  await t.rejects(restoreFromAttic(restoreOptions(manager, { entry })), {
    code: "UTILITY_UNKNOWN_COMPONENT",
  });
  await manager.update();
  t.equal(hostOf(manager), host, "where its data is, or was: the memory of this test");
  const running = { code: "UTILITY_NETWORK_RUNNING", hint: /cui stop office\.cvl w/ };
  const unasked = (): Promise<void> => Promise.reject(new Error("asked about what is refused"));
  await t.rejects(restoreFromAttic(restoreOptions(manager, { entry, onDecided: unasked })), running);
  await manager.stop({ component: "w" });
  const refused: [Partial<RestoreOptions>, string, RegExp][] = [
    [{ entry: "0123456789ab" }, "UTILITY_ATTIC_UNKNOWN", /no host/],
    [{ entry, device: "vdq" }, "UTILITY_DATA_DISK_UNKNOWN", /it has vdb/],
    [{ entry, networkId: "other" }, "UTILITY_NETWORK_UNKNOWN", /never started/],
  ];
  for (const [change, code, message] of refused)
    await t.rejects(restoreFromAttic(restoreOptions(manager, change)), { code, message });
  const denied = restoreOptions(manager, { entry, onDecided: () => Promise.reject(new Error("no")) });
  await t.rejects(restoreFromAttic(denied), { message: "no" });
  t.same(disksOf(manager), [`w:vdb ${host}`, `w:vdb ${host} attic`]);

  let asked: object = {};
  const onDecided = (decided: object): Promise<void> => {
    asked = decided;
    return Promise.resolve();
  };
  const restored = await restoreFromAttic(restoreOptions(manager, { entry: entry.slice(0, 6), onDecided }));
  t.match(asked, { replaces: true, device: "vdb", component: "w" });
  t.match(restored, { host, device: "vdb", warnings: [] });
  t.same(manager.hosts[host]!.contents.get("w:vdb"), CONTENT);
  const { entries } = await listAttic(basics(manager));
  t.match(entries, [{ id: restored.putAside, command: `attic restore ${entry} office.cvl w` }]);
  await manager.start({}, { component: "w" });
  t.match((await listData(basics(manager))).disks, [{ component: "w", state: "present", isInUse: true }]);
});

test("an entry on another host is refused, one that is too large is said", async (t) => {
  const { manager, entry, host } = await withEntry(t);
  const other = host === "h1" ? "h2" : "h1";
  manager.down.add(host);
  await manager.update({ web: "8MiB" }).catch(() => undefined);
  manager.down.delete(host);
  await manager.update({ web: "8MiB" });
  await manager.stop({ component: "w" });
  const now = disksOf(manager)
    .find((disk) => !disk.endsWith("attic"))!
    .split(" ")[1]!;
  const restore = restoreFromAttic(restoreOptions(manager, { entry }));
  if (now === other) {
    await t.rejects(restore, { code: "UTILITY_OTHER_HOST", hint: /--file/ });
  } else {
    t.match((await restore).warnings, [/16777216 bytes now, the network asks for 8388608/]);
  }
});

test("a purge takes what was shown and nothing that came meanwhile", async (t) => {
  const { manager, entry, host } = await withEntry(t);
  const shown = (await listAttic(basics(manager))).entries;
  await manager.update();
  await manager.update(WITHOUT_WEB);
  t.equal((await listAttic(basics(manager))).entries.length, 2);
  const result = await purgeAttic({ ...basics(manager), entries: shown });
  t.match(result, { purged: [{ id: entry }], gone: [] });
  t.equal((await listAttic(basics(manager))).entries.length, 1);
  t.match(await purgeAttic({ ...basics(manager), entries: shown }), { purged: [], gone: [{ id: entry }] });

  const left = (await listAttic(basics(manager))).entries;
  const old = { ...left[0]!, movedAt: "2020-01-01T00:00:00.000Z" };
  const foreign = { ...left[0]!, isOtherSite: true };
  const unreadable = { ...left[0]!, movedAt: "long ago" };
  const before = new Date("2021-01-01");
  t.same(choosePurge([...left, old, foreign, unreadable], { before }), [old]);
  t.same(choosePurge([...left, foreign], { host: left[0]!.host }), left);
  t.same(choosePurge(left, { host: "h9" }), []);
  manager.down.add(left[0]!.host);
  const failed = { code: "UTILITY_INCOMPLETE", message: /0 entries are gone\n/ };
  await t.rejects(purgeAttic({ ...basics(manager), entries: left }), failed);
  t.ok(host);
});

test("another site's data is neither restored nor purged nor exported", async (t) => {
  const { manager } = await withEntry(t);
  manager.inventory = { ...manager.inventory, site: "0123456789ab" };
  await manager.update(); // from here on the hosts know whose it is
  await manager.stop({ component: "w" });
  manager.inventory = { ...manager.inventory, site: "ba9876543210" };
  const { entries } = await listAttic(basics(manager));
  const other = { ...entries[0]!, isOtherSite: false };
  await t.rejects(purgeAttic({ ...basics(manager), entries: [other] }), {
    code: "UTILITY_INCOMPLETE",
    message: /belongs to 0123456789ab/,
  });
  let asked = 0;
  const onDecided = (): Promise<void> => Promise.resolve(void (asked += 1));
  for (const site of ["ba9876543210", undefined]) {
    const inventory = { ...manager.inventory, site };
    const restore = restoreFromAttic(restoreOptions(manager, { entry: other.id, inventory, onDecided }));
    await t.rejects(restore, { code: "HOST_OTHER_SITE" });
  }
  t.equal(asked, 0, "it is refused before anybody is asked");
  const out = {
    ...basics(manager),
    target: path.join(t.testdirName, "x"),
    format: "raw" as const,
    replace: false,
  };
  await t.rejects(exportEntry({ ...out, entry: other.id }), { code: "HOST_OTHER_SITE" });
});

test("a manager killed at any moment of restore or purge: an entry is in one place, and a second run ends it", async (t) => {
  for (const what of ["restore", "purge"] as const) {
    for (let at = 0, isThrough = false; !isThrough; at++) {
      const { manager, entry, host } = await withEntry(t);
      await manager.update();
      await manager.stop({ component: "w" });
      const death = createDeath(at);
      const doomed = {
        store: death.store(manager.store),
        connect: async (address: string) => death.host(await manager.connect(address)),
      };
      const operate = async (parts: Pick<Manager, "store" | "connect">): Promise<unknown> => {
        if (what === "restore")
          return restoreFromAttic(restoreOptions(manager, { ...parts, entry, takeOver: true }));
        const { entries } = await listAttic({ ...basics(manager), ...parts });
        return purgeAttic({
          ...basics(manager),
          ...parts,
          entries: entries.filter(({ id }) => id === entry),
        });
      };
      const error = await operate(doomed).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      isThrough = error === undefined;
      const isDead = error instanceof Died || /killed/.test(String(error));
      if (!isThrough && !isDead) throw new Error(`at ${at} another error`, { cause: error });
      const both = [`w:vdb ${host}`, `w:vdb ${host} attic`];
      const isPurged = what === "purge" && disksOf(manager).length === 1;
      t.ok(isPurged || disksOf(manager).join() === both.join(), `${what} killed at ${at}`);
      await operate(manager).catch((reason: unknown) => {
        t.match(reason, { code: "UTILITY_ATTIC_UNKNOWN" }, "it was through");
      });
      if (what === "restore") t.same(manager.hosts[host]!.contents.get("w:vdb"), CONTENT);
      else t.same(disksOf(manager), [`w:vdb ${host}`]);
      if (at > 60) throw new Error("it never ends");
    }
  }
});

test("data leaves as a file: of a component, of a network the state has lost, of the attic", async (t) => {
  const { manager, entry, host } = await withEntry(t);
  const folder = t.testdir();
  const options = (name: string): ExportOptions => ({
    ...basics(manager),
    ...{ target: path.join(folder, name), format: "raw", replace: false },
  });
  const fromAttic = await exportEntry({ ...options("attic.raw"), entry });
  t.match(fromAttic, { host, sizeBytes: 16 * 1024 * 1024, dataBytes: CONTENT.length, isRunning: false });
  t.same(readFileSync(path.join(folder, "attic.raw")).subarray(0, CONTENT.length), CONTENT);
  t.equal((await listAttic(basics(manager))).entries.length, 1, "the entry stays");

  await manager.update();
  const now = disksOf(manager)
    .find((disk) => !disk.endsWith("attic"))!
    .split(" ")[1]!;
  manager.hosts[now]!.contents.set("w:vdb", CONTENT);
  const web = { networkId: "office", file: "office.cvl", component: "w", device: "vdb" };
  const running = await exportData({ ...options("w.raw"), ...web });
  t.match(running, { host: now, isRunning: true, digest: fromAttic.digest });
  const lost = { ...options("lost.raw"), store: createMemoryStore() };
  t.match(await exportData({ ...lost, ...web }), { digest: fromAttic.digest });
  await t.rejects(exportData({ ...options("x"), ...web, device: "vdc" }), {
    code: "UTILITY_DATA_DISK_UNKNOWN",
    hint: /w vdb/,
  });
  const copy = now === "h1" ? "h2" : "h1";
  manager.hosts[copy]!.disks.push({ ...manager.hosts[now]!.disks.find(({ inAttic }) => !inAttic)! });
  t.match((await listData(basics(manager))).disks.map(({ host: on, state }) => [on, state]).sort(), [
    ["h1", now === "h1" ? "present" : "left"],
    ["h2", now === "h2" ? "present" : "left"],
  ]);
  t.match(await exportData({ ...options("known.raw"), ...web }), { host: now }, "the state knows which");
  await t.rejects(exportData({ ...lost, ...web, target: path.join(folder, "y") }), {
    code: "UTILITY_DATA_DISK_UNKNOWN",
    message: /lies on h\d and h\d/,
  });
  manager.down.add(now);
  await t.rejects(exportData({ ...options("z"), ...web }), { code: "UTILITY_HOST_UNREACHABLE" });
  t.match((await listData(basics(manager))).disks.map(({ state }) => state).sort(), ["left", "unknown"]);
  manager.down.delete(now);
  manager.hosts[now]!.disks.length = 0;
  manager.hosts[copy]!.disks.length = 0;
  t.match((await listData(basics(manager))).disks, [{ state: "missing", host: now }]);
  await t.rejects(exportData({ ...options("z"), ...web }), {
    code: "UTILITY_DATA_DISK_MISSING",
    message: `the data disk vdb of w is missing on ${now}`,
    hint: /^bring its file back there/,
  });
  const other = exportData({ ...options("z"), ...web, device: "vdc" });
  await t.rejects(other, { code: "UTILITY_DATA_DISK_UNKNOWN", hint: /show what there is$/ });
});
