import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "tap";
import { openStateStore, type StateStore } from "../../../src/manager/records/state-store.ts";
import { acquireLease, leaseHolder } from "../../../src/manager/records/lease.ts";
import { leaseFile, networkFile, toFile } from "../../../src/manager/records/state.ts";

/** Tokens outlive a lease only where there is a network. */
async function openStore(directory: string, networkId = "office"): Promise<StateStore> {
  const store = await openStateStore(directory);
  await store.update(() => ({ message: "begin", files: new Map([[networkFile(networkId), "{}"]]) }));
  return store;
}

const note = (text: string) => () => ({ message: text, files: new Map([["note", text]]) });

test("the second manager is refused with who holds the lease; the next one gets a higher token", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const [first, second] = [await openStore(directory), await openStateStore(directory)];
  const lease = await acquireLease({ store: first, networkId: "office", command: "start acme.cvl" });
  await t.rejects(acquireLease({ store: second, networkId: "office", command: "stop acme.cvl" }), {
    code: "UTILITY_NETWORK_BUSY",
    message: new RegExp(
      "`cui start acme.cvl` works on network office since .* \\(process " + String(process.pid),
    ),
  });
  const other = await acquireLease({ store: second, networkId: "shop", command: "start shop.cvl" });
  t.equal(other.token, 1, "another network has its own lease");
  await lease.commit(note("mine"));
  await lease.release();
  t.equal(leaseHolder(await second.read(), "office"), null);
  t.equal((await acquireLease({ store: second, networkId: "office", command: "x" })).token, 2);
});

test("of two managers at the same instant one gets the lease", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const stores = await Promise.all([1, 2, 3].map(() => openStateStore(directory)));
  const results = await Promise.allSettled(
    stores.map((store) => acquireLease({ store, networkId: "office", command: "start" })),
  );
  t.equal(results.filter((result) => result.status === "fulfilled").length, 1);
});

test("the lease of a process that died is taken over, and what it wakes up to is refused", async (t) => {
  const directory = `${t.testdir()}/state.git`;
  const store = await openStateStore(directory);
  const lease = await acquireLease({ store, networkId: "office", command: "start acme.cvl" });
  const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
  const pid = child.pid ?? 0;
  await once(child, "exit");
  const holder = { ...leaseHolder(await store.read(), "office")!, pid };
  await store.update(() => ({
    message: "die",
    files: new Map([[leaseFile("office"), toFile({ token: 1, holder })]]),
  }));
  t.equal(leaseHolder(await store.read(), "office"), null, "nobody works on it, says status as well");
  const next = await acquireLease({ store, networkId: "office", command: "start acme.cvl" });
  t.equal(next.token, 2);
  await t.rejects(lease.commit(note("late")), { code: "UTILITY_LEASE_LOST" });
  await lease.release();
  t.not(leaseHolder(await store.read(), "office"), null, "the lost lease's release changes nothing");
  t.notOk((await store.read()).files.has("note"));
});

test("a process of the same id that began later, and one from before the last boot, are not the holder", async (t) => {
  const store = await openStore(`${t.testdir()}/state.git`);
  for (const change of [{ startTime: "1" }, { bootId: "another" }]) {
    const lease = await acquireLease({ store, networkId: "office", command: "start" });
    const holder = { ...leaseHolder(await store.read(), "office")!, ...change };
    await store.update(() => ({
      message: "x",
      files: new Map([[leaseFile("office"), toFile({ token: lease.token, holder })]]),
    }));
    const next = await acquireLease({ store, networkId: "office", command: "start" });
    t.equal(next.token, lease.token + 1);
    await next.release();
  }
});

test("a holder on another machine is believed alive unless told otherwise", async (t) => {
  const store = await openStateStore(`${t.testdir()}/state.git`);
  await acquireLease({ store, networkId: "office", command: "start" });
  const holder = { ...leaseHolder(await store.read(), "office")!, host: "elsewhere", pid: 999_999_999 };
  await store.update(() => ({
    message: "x",
    files: new Map([[leaseFile("office"), toFile({ token: 1, holder })]]),
  }));
  const options = { store, networkId: "office", command: "start" };
  await t.rejects(acquireLease(options), { code: "UTILITY_NETWORK_BUSY", message: /elsewhere/ });
  t.equal((await acquireLease({ ...options, takeOver: true })).token, 2);
});

test("of a network that never came to be nothing is kept", async (t) => {
  const store = await openStateStore(`${t.testdir()}/state.git`);
  const lease = await acquireLease({ store, networkId: "office", command: "start" });
  await lease.release();
  t.same([...(await store.read()).files.keys()], []);
});
