import { test } from "tap";
import { OFFICE } from "../cvl-fixtures.ts";
import { MIB, sampleImage } from "../describe-fixtures.ts";
import { createManager, PASSWORD } from "../manager-fixture.ts";

test("a network starts over both hosts, in the order of its services, with every address known", async (t) => {
  const manager = await createManager(t.testdir(), [
    { name: "h1", guests: { d: { bootMs: 300 } } },
    { name: "h2", guests: { d: { bootMs: 300 } } },
  ]);
  const result = await manager.start();
  t.same(new Set(Object.values(result.hosts)), new Set(["h1", "h2"]));
  const running = Object.values(manager.hosts).flatMap((host) => host.running());
  t.same(running.sort(), ["d@1", "f@1", "w@1"]);
  const host = manager.hosts[result.hosts["w"]!]!;
  t.match(
    new Set(host.linesOf("w")),
    new Set([
      "title=hello",
      `password=${PASSWORD}`,
      "ethernet0.ip=10.0.100.3",
      "ethernet0.subnet=10.0.100.0",
      "ethernet0.netmask=255.255.255.0",
      "ethernet0.defaultroute=10.0.100.1",
    ]),
  );
  const firewall = manager.hosts[result.hosts["f"]!]!.linesOf("f");
  for (const line of [
    "services=port=80&ip=10%2E0%2E100%2E3",
    "ethernet1.ip=198.51.100.10",
    "ethernet1.defaultroute=198.51.100.1",
    "ethernet0.ip=10.0.100.1",
  ]) {
    t.ok(
      firewall.includes(line) || firewall.includes(line.replaceAll("%2E", "%252E")),
      `${line} in ${firewall.join(" ")}`,
    );
  }
  t.notOk(
    firewall.some((line) => line.startsWith("ethernet0.defaultroute")),
    "the gateway has no route to itself",
  );
  const status = await manager.status();
  t.same(
    Object.values(status).map((machine) => [machine.component, machine.state, machine.version]),
    [
      ["d", "ready", 1],
      ["f", "ready", 1],
      ["w", "ready", 1],
    ],
  );
  t.same(status["f"]?.addresses, { ethernet0: "10.0.100.1", ethernet1: "198.51.100.10" });
  t.equal(status["w"]?.status, "serving");
  const boots = result.timeline.timings.filter((timing) => timing.isGuest);
  const dns = boots.find((timing) => timing.name === "boot d")!;
  const web = result.timeline.timings.find((timing) => timing.name === "start w")!;
  t.ok(web.fromMs >= dns.toMs, "w waits for DNS");
  t.ok(result.timeline.timings.find((timing) => timing.name === "start f")!.fromMs < dns.toMs, "f does not");
  t.ok(result.timeline.ownMs < result.timeline.totalMs - 50);
  const longest = result.timeline.timings.map(
    ({ name, fromMs, toMs }) => `${name} ${(toMs - fromMs).toFixed(0)}`,
  );
  t.comment(
    `own share ${result.timeline.ownMs.toFixed(0)} ms of ${result.timeline.totalMs.toFixed(0)} ms: ${longest.join(", ")}`,
  );
});

test("starting again does nothing; an update without changes does nothing", async (t) => {
  const manager = await createManager(t.testdir());
  await manager.start();
  manager.calls();
  t.equal((await manager.start()).plan.actions.length, 0);
  t.equal((await manager.update()).plan.actions.length, 0);
  t.same(manager.calls(), []);
});

test("an update replaces only what changed, and addresses and data stay", async (t) => {
  const manager = await createManager(t.testdir());
  await manager.start();
  const before = await manager.status();
  manager.calls();
  await manager.update({ versions: { Web: 2 } });
  t.same(manager.calls(), ["stop w", "start w@2"]);
  const after = await manager.status();
  t.equal(after["w"]?.version, 2);
  t.equal(after["w"]?.host, before["w"]?.host);
  t.same(after["w"]?.addresses, before["w"]?.addresses);
  t.equal(after["d"]?.startedAt, before["d"]?.startedAt);
  t.equal(Object.values(manager.hosts).flatMap((host) => host.disks).length, 1);
});

test("changed parameters are resent without a restart", async (t) => {
  const manager = await createManager(t.testdir(), [{ name: "h1", guests: { d: { reloads: false } } }]);
  await manager.start();
  manager.calls();
  const changed = OFFICE.replace('"hello"', '"good bye"').replace('"www"', '"web"');
  const result = await manager.update({ root: changed });
  t.same(manager.calls().sort(), ["send d", "send w"]);
  t.ok(manager.hosts["h1"]?.linesOf("w").includes("title=good bye"));
  t.match(result.warnings, [/d got its new parameters but did not confirm/]);
  t.same((await manager.update({ root: changed })).plan.actions, []);
});

test("one component alone is updated, stopped and started", async (t) => {
  const manager = await createManager(t.testdir());
  await manager.start();
  manager.calls();
  await manager.update({ versions: { Web: 2, DNS: 2 } }, { component: "w" });
  t.same(manager.calls(), ["stop w", "start w@2"]);
  await manager.stop({ component: "w" });
  t.same(manager.calls(), ["stop w"]);
  t.equal((await manager.status())["w"]?.state, "stopped");
  const update = await manager.update({ versions: { Web: 2, DNS: 2 } });
  t.same(manager.calls(), ["stop d", "start d@2"], "what was stopped on purpose stays stopped");
  t.same(update.leftStopped, ["w"]);
  await manager.start({ versions: { Web: 2, DNS: 2 } }, { component: "w" });
  t.same(manager.calls(), ["start w@2"]);
  await t.rejects(manager.start({}, { component: "x" }), { code: "UTILITY_UNKNOWN_COMPONENT" });
  await t.rejects(manager.stop({ component: "x" }), { code: "UTILITY_UNKNOWN_COMPONENT" });
});

test("start leaves the changes of what runs to update", async (t) => {
  const manager = await createManager(t.testdir());
  await manager.start();
  await manager.stop({ component: "d" });
  manager.calls();
  const result = await manager.start({ versions: { Web: 2 } });
  t.same(manager.calls(), ["start d@1"]);
  t.same(result.pending, ["w"]);
});

test("stop goes against the order of the start, keeps disks and addresses, and start finds them again", async (t) => {
  const manager = await createManager(t.testdir());
  const first = await manager.start();
  const before = await manager.status();
  manager.calls();
  await manager.stop();
  const calls = manager.calls();
  t.equal(calls.length, 3);
  t.ok(calls.indexOf("stop w") < calls.indexOf("stop d"), calls.join(" "));
  t.same(
    Object.values(await manager.status()).map((machine) => machine.state),
    ["stopped", "stopped", "stopped"],
  );
  t.equal((await manager.stop()).outcomes.length, 0);
  await t.rejects(manager.update(), { code: "UTILITY_NOT_RUNNING" });
  const again = await manager.start();
  t.equal(again.hosts["w"], first.hosts["w"]);
  const after = await manager.status();
  for (const component of ["d", "f", "w"]) t.same(after[component]?.addresses, before[component]?.addresses);
  await t.rejects(manager.stop({ networkId: "shop" }), { code: "UTILITY_NETWORK_UNKNOWN" });
});

test("a removed component's data goes to the attic and its addresses are free again", async (t) => {
  const manager = await createManager(t.testdir());
  await manager.start();
  manager.calls();
  const without = OFFICE.replace("  Web w;\n", "").replace(/.*w\..*\n/g, "");
  await manager.update({ root: without });
  t.same(
    manager.calls().filter((call) => !call.startsWith("send")),
    ["stop w", "attic w"],
  );
  t.ok(Object.values(manager.hosts).flatMap((host) => host.disks)[0]?.inAttic);
  t.same(Object.keys(await manager.status()), ["d", "f"]);
  const files = await manager.files();
  t.notMatch(files["networks/office/network.json"], /w\.ethernet0/);
  await manager.update();
  t.equal(
    Object.values(manager.hosts).flatMap((host) => host.disks).length,
    2,
    "a component of the same name starts with an empty disk",
  );
});

test("a machine that ended by itself is started again by start and by update", async (t) => {
  const manager = await createManager(t.testdir());
  await manager.start();
  for (const host of Object.values(manager.hosts)) host.reboot();
  t.equal((await manager.status())["w"]?.state, "absent");
  manager.calls();
  await manager.update();
  t.same(manager.calls().sort(), ["start d@1", "start f@1", "start w@1"]);
});

test("a domain nobody knows is stopped before its component is started elsewhere", async (t) => {
  const manager = await createManager(t.testdir(), [{ name: "h1" }, { name: "h2" }]);
  await manager.start();
  const host = (await manager.status())["d"]!.host;
  const other = host === "h1" ? "h2" : "h1";
  await manager.stop({ component: "d" });
  const image = sampleImage({ name: "DNS" });
  const fence = { networkId: "office", token: 0 };
  const id = { networkId: "office", component: "d" };
  manager.hosts[other]!.tokens.clear();
  await manager.hosts[other]!.prepareImage(fence, image);
  await manager.hosts[other]!.startMachine(fence, {
    id,
    image,
    dataDisks: [],
    interfaces: [],
    parameterLines: [],
    plan: "unknown",
  });
  manager.calls();
  await manager.start();
  const running = Object.values(manager.hosts).flatMap((entry) => entry.running());
  t.same(running.filter((machine) => machine === "d@1").length, 1, "not twice");
});

test("a data disk grows between stop and start, is detached with a warning, and is found again", async (t) => {
  const manager = await createManager(t.testdir(), [{ name: "h1" }]);
  const size = () => manager.hosts["h1"]?.disks.map((disk) => disk.sizeBytes / MIB);
  await manager.start();
  manager.calls();
  await manager.update({ web: "32MiB" });
  t.same(manager.calls(), ["stop w", "start w@1"]);
  t.same(size(), [32]);
  const detached = await manager.update({ web: "none" });
  t.match(detached.warnings, ["data disk vdb of w is detached; its data stays on h1"]);
  t.same(size(), [32]);
  manager.calls();
  await manager.update({ web: "32MiB" });
  t.same(manager.calls(), ["stop w", "start w@1"]);
  t.same(size(), [32], "the same disk");
});

test("a detached disk that is asked for smaller is refused before anything is stopped", async (t) => {
  const manager = await createManager(t.testdir(), [{ name: "h1" }]);
  await manager.start();
  manager.hosts["h1"]!.disks[0] = { ...manager.hosts["h1"]!.disks[0]!, sizeBytes: 64 * MIB };
  manager.calls();
  await t.rejects(manager.update({ versions: { Web: 2 } }), { code: "UTILITY_DISK_SHRINK" });
  t.same(manager.calls(), []);
});
