import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { test, type Test } from "tap";
import { CollectiveError } from "../../../src/errors.ts";
import { acquireLease } from "../../../src/manager/records/lease.ts";
import { secretVariable } from "../../../src/manager/change/sensitive.ts";
import { until } from "../../git/git-fixture.ts";
import { OFFICE } from "../cvl-fixtures.ts";
import { MIB } from "../describe-fixtures.ts";
import { createManager, PASSWORD, type Manager } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";

const memoryManager = (t: Test, hosts?: Parameters<typeof createManager>[1]): Promise<Manager> =>
  createManager(t.testdirName, hosts, { store: createMemoryStore() });

/** One clear error, and state and hosts as they were. */
async function assertRefused(
  t: Test,
  manager: Manager,
  options: { operate: () => Promise<unknown>; code: string; message?: RegExp; name: string },
): Promise<void> {
  const files = await manager.files();
  manager.calls();
  const disks = JSON.stringify(Object.values(manager.hosts).map((host) => host.disks));
  const error = await options.operate().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  t.ok(error instanceof CollectiveError, `${options.name}: ${String(error)}`);
  if (!(error instanceof CollectiveError)) return;
  t.equal(error.code, options.code, `${options.name}: ${error.message}`);
  if (options.message !== undefined) t.match(error.message, options.message, options.name);
  t.same(await manager.files(), files, `${options.name}: the state is as it was`);
  t.same(manager.calls(), [], `${options.name}: the hosts are as they were`);
  t.equal(JSON.stringify(Object.values(manager.hosts).map((host) => host.disks)), disks);
}

test("what cannot be started is one error before anything changes", async (t) => {
  const cases: {
    name: string;
    root?: string;
    code: string;
    message: RegExp;
    hosts?: Parameters<typeof createManager>[1];
    spoil?: (manager: Manager) => void;
    office?: object;
  }[] = [
    {
      name: "a required parameter",
      root: OFFICE.replace('  domain = "acme.org";\n', ""),
      code: "UTILITY_REFUSED",
      message: /office\.cvl:6:18: error NETWORK_PARAMETER_MISSING: .*domain/,
    },
    {
      name: "a requirement nobody provides",
      root: OFFICE.replace(/DNS d;/, "Web d;").replace(/.*d\.(domain|hosts).*\n/g, ""),
      code: "UTILITY_REFUSED",
      message: /NETWORK_REQUIREMENT_UNPROVIDED/,
    },
    {
      name: "memory",
      hosts: [{ name: "h1", memoryBytes: 300 * MIB }],
      code: "UTILITY_NO_CAPACITY",
      message: /h1: 44 MiB memory free of 128 MiB needed/,
    },
    {
      name: "architecture",
      office: { arch: "aarch64" },
      code: "UTILITY_NO_CAPACITY",
      message: /h1: is x86_64, not aarch64/,
    },
    {
      name: "the limit of machines",
      code: "UTILITY_REFUSED",
      message: /PLAN_TOO_LARGE: Office would have 3 machines running, and the 2 hosts run at most 2 together/,
      spoil: (manager) => {
        manager.inventory = {
          ...manager.inventory,
          hosts: manager.inventory.hosts.map((host) => ({ ...host, maxMachines: 1 })),
        };
      },
    },
    {
      name: "VLANs",
      code: "UTILITY_VLANS_EXHAUSTED",
      message: /none/,
      spoil: (manager) => {
        manager.inventory = { ...manager.inventory, vlans: [] };
      },
    },
    {
      name: "public addresses",
      code: "UTILITY_ADDRESSES_EXHAUSTED",
      message: /f\.ethernet1/,
      spoil: (manager) => {
        manager.inventory = { ...manager.inventory, addresses: [] };
      },
    },
    {
      name: "no external segment",
      code: "UTILITY_NO_EXTERNAL",
      message: /external/,
      spoil: (manager) => {
        manager.inventory = { ...manager.inventory, external: undefined };
      },
    },
    {
      name: "no hosts",
      code: "UTILITY_NO_CAPACITY",
      message: /utility.yaml has no host/,
      spoil: (manager) => {
        manager.inventory = { ...manager.inventory, hosts: [] };
      },
    },
    {
      name: "unreachable hosts",
      code: "UTILITY_HOST_UNREACHABLE",
      message: /^no host can be used: host h1: .*; host h2: /,
      spoil: (manager) => {
        manager.down.add("h1").add("h2");
      },
    },
    {
      name: "a host without Open vSwitch",
      hosts: [{ name: "h1", broken: "HOST_BRIDGE_MISSING" }],
      code: "UTILITY_HOST_UNREACHABLE",
      message: /^no host can be used: host h1: the host lacks something/,
    },
    {
      name: "a blacklisted version",
      code: "UTILITY_REFUSED",
      message: /PLAN_BLACKLISTED: d .*CVE/,
      spoil: (manager) => {
        manager.inventory = {
          ...manager.inventory,
          blacklist: [{ url: "/repos/DNS", versions: [{ first: 1, last: 1 }], reason: "CVE-1" }],
        };
      },
    },
    {
      name: "an image that cannot be prepared",
      code: "DISK_PACK_CORRUPT",
      message: /^w cannot be prepared on h[12]: the pack is truncated/,
      spoil: (manager) => {
        for (const host of Object.values(manager.hosts))
          host.failures.set("prepare Web", new CollectiveError("DISK_PACK_CORRUPT", "the pack is truncated"));
      },
    },
    {
      name: "nested networks",
      root: OFFICE.replace("Web w;", "Web w;\n  Inner g;").replace(
        "Office extends",
        "Inner extends VANAppliance { DNS x; }\nOffice extends",
      ),
      code: "UTILITY_REFUSED",
      message: /NETWORK_NESTED_UNSUPPORTED: g /,
      office: { object: "Office" },
    },
  ];
  for (const { name, root, code, message, hosts, spoil, office } of cases) {
    const manager = await memoryManager(t, hosts);
    spoil?.(manager);
    await assertRefused(t, manager, {
      name,
      code,
      message,
      operate: () => manager.start({ ...(root === undefined ? {} : { root }), ...office }),
    });
  }
});

test("what cannot be updated is one error, and everything goes on running", async (t) => {
  const manager = await memoryManager(t);
  await manager.start();
  const before = await manager.status();
  const refused = (name: string, code: string, operate: () => Promise<unknown>, message?: RegExp) =>
    assertRefused(t, manager, { name, code, operate, ...(message === undefined ? {} : { message }) });
  await refused("too much memory", "UTILITY_REFUSED", () =>
    manager.update({ versions: { Web: 2 }, memory: { Web: 100_000 } }),
  );
  await refused(
    "a shrinking disk",
    "UTILITY_REFUSED",
    () => manager.update({ web: "8MiB" }),
    /PLAN_DATA_DISK_SHRINKS/,
  );
  manager.hosts["h1"]?.failures.set("prepare", new CollectiveError("DISK_PACK_MISSING", "no such pack"));
  manager.hosts["h2"]?.failures.set("prepare", new CollectiveError("DISK_PACK_MISSING", "no such pack"));
  await refused("a missing pack", "DISK_PACK_MISSING", () => manager.update({ versions: { Web: 2 } }));
  await refused(
    "an unknown component",
    "UTILITY_UNKNOWN_COMPONENT",
    () => manager.update({}, { component: "x" }),
    /no component x/,
  );
  t.same(
    Object.values(await manager.status()).map((machine) => machine.startedAt),
    Object.values(before).map((machine) => machine.startedAt),
  );
});

test("a component that needs others is not started alone", async (t) => {
  const manager = await memoryManager(t);
  await assertRefused(t, manager, {
    name: "alone",
    code: "UTILITY_REFUSED",
    message: /PLAN_NEEDS_OTHERS: w requires what d provides/,
    operate: () => manager.start({}, { component: "w" }),
  });
});

test("a host that does not answer may run its machines: they are started nowhere else", async (t) => {
  const manager = await memoryManager(t);
  const { hosts } = await manager.start();
  const lost = hosts["d"]!;
  manager.down.add(lost);
  t.equal((await manager.status())["d"]?.state, "unseen");
  const here = Object.keys(hosts).filter((component) => hosts[component] === lost);
  const again = await manager.start();
  t.same(again.plan.actions, [], "nothing to start");
  const unseen = again.plan.warnings.filter(({ about }) => about === "unseen");
  t.match(unseen, [{ message: new RegExp(`^host ${lost} cannot be asked: .*; unknown is whether `) }]);
  for (const component of here) t.match(unseen[0]?.message, new RegExp(`\\b${component}\\b`));
  await assertRefused(t, manager, {
    name: "replacing what may run there",
    code: "UTILITY_HOST_UNREACHABLE",
    message: new RegExp(`host ${lost} cannot be used`),
    operate: () => manager.update({ versions: { DNS: 2, Web: 2, Firewall: 2 } }),
  });
  await assertRefused(t, manager, {
    name: "stop",
    code: "UTILITY_HOST_UNREACHABLE",
    operate: () => manager.stop(),
  });
  const elsewhere = Object.keys(hosts).find((component) => !here.includes(component))!;
  await manager.stop({ component: elsewhere });
  t.same(manager.calls(), [`stop ${elsewhere}`]);
});

test("a stopped machine whose data is on a host that does not answer waits for it", async (t) => {
  const manager = await memoryManager(t);
  const { hosts } = await manager.start();
  await manager.stop();
  manager.down.add(hosts["w"]!);
  await assertRefused(t, manager, {
    name: "data",
    code: "UTILITY_NO_CAPACITY",
    message: /not the host where its data disk vdb is/,
    operate: () => manager.start(),
  });
});

const lose = (manager: Manager, component: string): string => {
  for (const [name, { disks }] of Object.entries(manager.hosts)) {
    const index = disks.findIndex(({ id }) => id.component === component);
    if (index === -1) continue;
    disks.splice(index, 1);
    return name;
  }
  throw new Error("no such disk");
};

const diskOf = (manager: Manager): { host: string; allocatedBytes: number }[] =>
  Object.entries(manager.hosts).flatMap(([host, { disks }]) =>
    disks.map(({ allocatedBytes }) => ({ host, allocatedBytes })),
  );

test("a data disk that its host has lost is never made anew by itself", async (t) => {
  const manager = await memoryManager(t);
  await manager.start();
  await manager.stop();
  const host = lose(manager, "w");
  const message = new RegExp(`PLAN_DATA_DISK_MISSING: the data disk vdb of w is missing: host ${host}`);
  for (const kind of ["start", "update"] as const)
    await assertRefused(t, manager, {
      name: "whole",
      operate: () => manager[kind]({}, { component: "w" }),
      code: "UTILITY_REFUSED",
      message,
    });
  await assertRefused(t, manager, {
    name: "all",
    operate: () => manager.start(),
    code: "UTILITY_REFUSED",
    message,
  });
  t.same(diskOf(manager), []);
});

test("a data disk whose host is not listed any more is not looked for elsewhere", async (t) => {
  const manager = await memoryManager(t);
  await manager.start();
  await manager.stop();
  const [{ host } = { host: "" }] = diskOf(manager);
  manager.inventory = {
    ...manager.inventory,
    hosts: manager.inventory.hosts.filter(({ name }) => name !== host),
  };
  await assertRefused(t, manager, {
    name: "a host that was removed",
    operate: () => manager.start(),
    code: "UTILITY_REFUSED",
    message: new RegExp(`PLAN_DATA_DISK_MISSING: .*host ${host}, which had it, is not in utility.yaml`),
  });
});

test("a lost data disk is made anew when it is asked for, as class data", async (t) => {
  const manager = await memoryManager(t);
  await manager.start();
  const newDataDisks = new Set(["w:vdb"]);
  await assertRefused(t, manager, {
    name: "one that is there",
    operate: () => manager.update({}, { newDataDisks }),
    code: "UTILITY_DATA_DISK_PRESENT",
    message: /w:vdb is not missing/,
  });
  await manager.stop();
  const host = lose(manager, "w");
  const { plan } = await manager.start({}, { newDataDisks });
  t.equal(plan.class, "data");
  t.match(
    plan.actions.find(({ kind }) => kind === "create-data-disk"),
    { class: "data", component: "w", reasons: [{ text: /made anew, 16 MiB, empty/ }] },
  );
  t.same(diskOf(manager), [{ host, allocatedBytes: 0 }]);
  t.equal((await manager.status())["w"]?.state, "ready");
});

test("what goes on running without its data disk is warned of, and refused at its next start", async (t) => {
  const manager = await memoryManager(t);
  await manager.start();
  lose(manager, "w");
  const { plan } = await manager.update();
  t.match(plan.warnings, [{ component: "w", message: /its data disk vdb is missing on h[12]/ }]);
  t.same(plan.actions, []);
  await assertRefused(t, manager, {
    name: "a new version",
    operate: () => manager.update({ versions: { Web: 2 } }),
    code: "UTILITY_REFUSED",
    message: /PLAN_DATA_DISK_MISSING/,
  });
});

test("a disk that goes between the plan and the start is not made anew by the host either", async (t) => {
  const manager = await memoryManager(t);
  await manager.start();
  await manager.stop();
  const onDecided = (): Promise<void> => {
    lose(manager, "w");
    return Promise.resolve();
  };
  await t.rejects(manager.start({}, { onDecided }), {
    code: "UTILITY_INCOMPLETE",
    message: /HOST_DISK_MISSING/,
  });
  t.same(diskOf(manager), []);
});

test("data disks that could not be made are made by the next start", async (t) => {
  const manager = await memoryManager(t);
  const failures = Object.values(manager.hosts).map((host) => host.failures);
  for (const failing of failures) failing.set("disks w", new CollectiveError("HOST_DISK_FULL", "full"));
  await t.rejects(manager.start(), { code: "UTILITY_INCOMPLETE", message: /HOST_DISK_FULL/ });
  await t.rejects(manager.update(), { code: "UTILITY_INCOMPLETE", message: /HOST_DISK_FULL/ });
  for (const failing of failures) failing.clear();
  await manager.start();
  t.equal((await manager.status())["w"]?.state, "ready");
  t.equal(diskOf(manager).length, 1);
});

test("a machine whose first start failed is removed with what it has", async (t) => {
  const manager = await memoryManager(t);
  const failures = Object.values(manager.hosts).map((host) => host.failures);
  for (const failing of failures) failing.set("start w", new CollectiveError("HOST_DISK_FULL", "full"));
  await t.rejects(manager.start(), { code: "UTILITY_INCOMPLETE" });
  await manager.update({ root: OFFICE.replace(/.*(Web w;|w\.).*\n/g, "") });
  t.notOk("w" in (await manager.status()));
  t.same(
    Object.values(manager.hosts).flatMap(({ disks }) => disks.map(({ inAttic }) => inAttic)),
    [true],
  );
});

test("a lost host that is not needed is no obstacle", async (t) => {
  const manager = await memoryManager(t);
  manager.down.add("h2");
  const { hosts } = await manager.start();
  t.same(new Set(Object.values(hosts)), new Set(["h1"]));
});

test("what several networks share is counted over all of them", async (t) => {
  const manager = await memoryManager(t, [{ name: "h1", memoryBytes: 800 * MIB }]);
  await manager.start();
  const shop = { networkId: "shop", file: "shop.cvl" };
  const second = await manager.start({}, shop);
  t.ok(second.hosts["w"]);
  const [office, other] = [await manager.status("office"), await manager.status("shop")];
  t.not(office["f"]?.addresses["ethernet1"], other["f"]?.addresses["ethernet1"]);
  t.not(office["d"]?.addresses["ethernet0"], other["d"]?.addresses["ethernet0"]);
  await assertRefused(t, manager, {
    name: "memory",
    code: "UTILITY_VLANS_EXHAUSTED",
    operate: () => manager.start({}, { networkId: "third", file: "third.cvl" }),
  });
  manager.inventory = { ...manager.inventory, vlans: [100, 101, 102] };
  await assertRefused(t, manager, {
    name: "memory",
    code: "UTILITY_NO_CAPACITY",
    message: /32 MiB memory free/,
    operate: () => manager.start({}, { networkId: "third", file: "third.cvl" }),
  });
});

test("two networks that start at once share out what there is", async (t) => {
  const manager = await memoryManager(t, [{ name: "h1", memoryBytes: 800 * MIB }]);
  manager.inventory = { ...manager.inventory, vlans: [100, 101, 102] };
  const results = await Promise.allSettled([
    manager.start({}, { networkId: "a" }),
    manager.start({}, { networkId: "b" }),
    manager.start({}, { networkId: "c" }),
  ]);
  t.equal(results.filter((result) => result.status === "fulfilled").length, 2);
  t.equal(manager.hosts["h1"]?.running().length, 6);
  const macs = new Set<string>();
  for (const { interfaces } of (await manager.hosts["h1"]!.inventory()).machines)
    for (const { mac } of interfaces) macs.add(mac);
  t.equal(macs.size, 8);
});

test("a second manager on the same network is refused", async (t) => {
  const manager = await memoryManager(t);
  const lease = await acquireLease({
    store: manager.store,
    networkId: "office",
    command: "update office.cvl",
  });
  for (const operate of [() => manager.start(), () => manager.update()]) {
    await assertRefused(t, manager, {
      name: "busy",
      code: "UTILITY_NETWORK_BUSY",
      message: /cui update office.cvl/,
      operate,
    });
  }
  await lease.release();
  await manager.start();
});

test("a manager whose lease was taken over stops at its next step", async (t) => {
  const taken = Promise.withResolvers<undefined>();
  const manager = await memoryManager(t, [{ name: "h1", guests: { d: { bootAfter: taken.promise } } }]);
  const slow = manager.start();
  await until(() => manager.hosts["h1"]?.running().includes("d@1") === true);
  const lease = await acquireLease({
    store: manager.store,
    networkId: "office",
    command: "start",
    takeOver: true,
  });
  taken.resolve(undefined);
  await t.rejects(slow, { code: "UTILITY_LEASE_LOST" });
  t.notOk(manager.hosts["h1"]?.running().includes("w@1"));
  await lease.release();
  await manager.start();
  t.same(manager.hosts["h1"]?.running(), ["d@1", "f@1", "w@1"]);
});

test("a guest that does not become ready: what needs it waits, the rest goes on, a second run continues", async (t) => {
  for (const boot of ["never", "failed"] as const) {
    const manager = await memoryManager(t, [{ name: "h1", guests: { d: { boot } } }]);
    await t.rejects(manager.start(), {
      code: "UTILITY_INCOMPLETE",
      message:
        boot === "never"
          ? /start d: HOST_NOT_READY/
          : /start d: UTILITY_GUEST_FAILED: d says it failed: disk is full/,
      data: { skipped: ["start w"] },
    });
    t.same(manager.hosts["h1"]?.running(), ["d@1", "f@1"]);
    t.equal((await manager.status())["d"]?.state, boot === "never" ? "starting" : "failed");
    manager.calls();
    if (boot === "never") {
      manager.hosts["h1"]?.setState("d", "ready");
      await manager.start();
      t.same(manager.calls(), ["start w@1"], "it became ready meanwhile");
    } else {
      await t.rejects(manager.start(), { code: "UTILITY_INCOMPLETE" });
      t.same(manager.calls(), ["stop d", "start d@1"], "a failed guest is started anew");
    }
  }
});

test("an update that does not become ready rolls back to the previous version and says so", async (t) => {
  const manager = await memoryManager(t, [{ name: "h1", guests: { "w@2": { boot: "failed" } } }]);
  await manager.start();
  manager.calls();
  await t.rejects(manager.update({ versions: { Web: 2, DNS: 2 } }), {
    code: "UTILITY_INCOMPLETE",
    message: /replace w: UTILITY_UPDATE_ROLLED_BACK: the update of w failed and v1 runs again/,
  });
  t.same(manager.hosts["h1"]?.running(), ["d@2", "f@1", "w@1"]);
  t.equal((await manager.status())["w"]?.version, 1);
  t.ok(manager.hosts["h1"]?.linesOf("w").includes(`password=${PASSWORD}`));
  t.match((await manager.update({ versions: { Web: 1, DNS: 2 } })).plan.actions, []);
  manager.calls();
  await manager.update({ versions: { Web: 3, DNS: 2 } });
  t.same(manager.calls(), ["stop w", "start w@3"]);
});

test("a sensitive value is asked for by name, sent, and kept nowhere", async (t) => {
  t.equal(secretVariable("AcmeOffice", "g.l.rootpw"), "CUI_SECRET_AcmeOffice__g__l__rootpw");
  t.equal(secretVariable("AcmeOffice", "key"), "CUI_SECRET_AcmeOffice__key");
  const directory = t.testdir();
  const manager = await createManager(directory, [{ name: "h1" }]);
  await assertRefused(t, manager, {
    name: "missing",
    code: "UTILITY_SECRET_MISSING",
    message: /w\.password: set CUI_SECRET_Office__w__password/,
    operate: () => manager.start({}, { env: {} }),
  });
  const result = await manager.start();
  t.ok(manager.hosts["h1"]?.linesOf("w").includes(`password=${PASSWORD}`));
  t.same((await manager.update()).plan.actions, [], "the same value is no change");
  await manager.update({ versions: { DNS: 2 } }, { env: {} });
  t.same(
    (await manager.update({ versions: { DNS: 2 } }, { env: {} })).plan.actions,
    [],
    "what is not touched needs no value",
  );
  manager.calls();
  const env = { CUI_SECRET_Office__w__password: "a new secret" };
  const changed = await manager.update({ versions: { DNS: 2 } }, { env });
  t.same(manager.calls(), ["send w"]);
  t.ok(manager.hosts["h1"]?.linesOf("w").includes("password=a new secret"));
  manager.hosts["h1"]?.failures.set("send", new CollectiveError("PROCESS_FAILED", "no channel"));
  const error: unknown = await manager
    .update({ versions: { DNS: 2 } }, { env: { CUI_SECRET_Office__w__password: "third secret" } })
    .catch((reason: unknown) => reason);
  const told = JSON.stringify([
    result,
    changed,
    error,
    (error as CollectiveError).message,
    (error as CollectiveError).data,
    await manager.status(),
  ]);
  for (const secret of [PASSWORD, "a new secret", "third secret"]) {
    t.notOk(told.includes(secret), "told");
    t.notOk(JSON.stringify(await manager.files()).includes(secret), "state");
    t.notOk(await isAnywhere(directory, secret), "files");
  }
  const key = await readFile(`${directory}/state.git.key`);
  t.equal(key.length, 32);
  t.notOk(await isAnywhere(`${directory}/state.git`, key.toString("hex")));
});

test("two sensitive parameters never share a variable", async (t) => {
  const manager = await memoryManager(t);
  const root = `CVL = "0.8";
import { url => "/repos/DNS", cvl => "DNS.cvl" } DNS;
Keeper extends DNS { var "sensitive" b__key; }
Other extends DNS { var "sensitive" key; }
Office extends VANAppliance { Keeper a; Other a__b; }
`;
  await assertRefused(t, manager, {
    name: "ambiguous",
    code: "UTILITY_SECRET_AMBIGUOUS",
    operate: () => manager.start({ root, object: "Office" }),
  });
});

/** Looks into every file below a folder; git objects are looked at as `git cat-file` shows them. */
async function isAnywhere(directory: string, text: string): Promise<boolean> {
  const { execFileSync } = await import("node:child_process");
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    if ((await readFile(path.join(entry.parentPath, entry.name))).includes(text)) return true;
  }
  const state = directory.endsWith(".git") ? directory : `${directory}/state.git`;
  const objects = execFileSync("git", ["-C", state, "cat-file", "--batch-all-objects", "--batch"], {
    maxBuffer: 1 << 28,
  });
  return objects.includes(text);
}

test("a manager that a host refuses for its token tries nothing more", async (t) => {
  const manager = await memoryManager(t, [{ name: "h1" }]);
  await manager.start();
  manager.calls();
  manager.hosts["h1"]?.failures.set("start w", new CollectiveError("HOST_FENCED", "a higher token was seen"));
  await t.rejects(manager.update({ versions: { Web: 2 } }), {
    code: "UTILITY_INCOMPLETE",
    message: /HOST_FENCED/,
  });
  t.same(manager.calls(), ["stop w", "!start w@2"], "it rolls nothing back");
});
