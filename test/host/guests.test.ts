import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { createHostManager } from "../../src/host/host-manager.ts";
import type { Host, MachineId, MachineReport } from "../../src/host/host.ts";
import { labExec } from "./fixtures/lab-exec.ts";
import { machineKey, portName } from "../../src/host/names.ts";
import { connectUnixSocket } from "../../src/host/unix-socket.ts";
import { hostLab } from "./fixtures/host-lab.ts";
import { specOf } from "./fixtures/test-guest.ts";
import { eventually } from "./fixtures/traces.ts";

/** Neither is waited for on a machine of any speed. */
const READY_MS = 900_000;
const STOP_MS = 600_000;
const fence = { networkId: "guests", token: 1 };

const { lab, guest, options } = await hostLab(t, 2);
const [first, second] = await Promise.all([
  createHostManager(options("a", 0)),
  createHostManager(options("b", 1)),
]);
t.teardown(() => Promise.all([first.close(), second.close()]));
const image = guest.image();
await Promise.all([first, second].map((host) => host.prepareImage(fence, image)));

const machine = (component: string): MachineId => ({ networkId: fence.networkId, component });
const exec = (place: string, ...args: [string, ...string[]]): Promise<string> =>
  labExec({ directory: lab.directory, place }, { file: args[0], args: args.slice(1) });
const report = async (host: Host, id: MachineId): Promise<MachineReport | undefined> =>
  (await host.inventory()).machines.find((found) => found.id.component === id.component);

t.test("segments reach over the trunk and stay apart; a page is served outside", async (t) => {
  const specs = {
    a: specOf(image, { id: machine("a"), tag: 100, host: 1 }),
    b: specOf(image, { id: machine("b"), tag: 100, host: 2 }),
    c: specOf(image, { id: machine("c"), tag: 101, address: "10.0.100.3" }),
    out: specOf(image, { id: machine("out"), tag: null, address: "203.0.113.10" }),
  };
  const start = async (host: Host, spec: (typeof specs)["a"]): Promise<void> => {
    await host.startMachine(fence, spec);
    await host.awaitReady(spec.id, READY_MS);
  };
  await Promise.all([
    start(first, specs.a),
    start(first, specs.out),
    start(second, specs.b),
    start(second, specs.c),
  ]);

  // A port of the test itself on each tag asks the guests' web servers.
  const plug = async (tag: number): Promise<void> => {
    const name = `probe${tag}`;
    await exec(
      "host1",
      "ovs-vsctl",
      "add-port",
      "br-int",
      name,
      `tag=${tag}`,
      "--",
      "set",
      "interface",
      name,
      "type=internal",
    );
    await exec("host1", "ip", "address", "add", `10.0.100.${tag}/24`, "dev", name);
    await exec("host1", "ip", "link", "set", name, "up");
  };
  const page = (place: string, address: string): Promise<string> =>
    exec(place, "curl", "-s", "-m", "2", `http://${address}/`).catch(() => "none");
  /** The page, or what was said at last: a guest may be slow to answer, a wrong tag never does. */
  const pageInTime = async (place: string, address: string): Promise<string> => {
    let text = "none";
    await eventually(async () => (text = await page(place, address)) !== "none");
    return text;
  };
  await plug(100);
  t.equal(await pageInTime("host1", "10.0.100.1"), "the page of a\n", "on the same host");
  t.equal(await pageInTime("host1", "10.0.100.2"), "the page of b\n", "over the trunk");
  t.equal(await page("host1", "10.0.100.3"), "none", "another tag");
  t.equal(await pageInTime("outside", "203.0.113.10"), "the page of out\n", "the external segment");
  t.equal(await page("outside", "10.0.100.1"), "none");
  await exec("host1", "ovs-vsctl", "del-port", "probe100");
  await plug(101);
  t.equal(await pageInTime("host1", "10.0.100.3"), "the page of c\n");
  t.equal(await page("host1", "10.0.100.2"), "none");

  const port = portName(specs.out.id, 0);
  t.match(
    await exec("host1", "ovs-vsctl", "get", "port", port, "tag"),
    /^0$/m,
    "an untagged port is no trunk",
  );
  const number = (await exec("host1", "ovs-vsctl", "get", "interface", port, "ofport")).trim();
  const trace = await exec(
    "host1",
    "ovs-appctl",
    "ofproto/trace",
    "br-int",
    `in_port=${number},dl_vlan=100,dl_src=52:54:00:00:00:01`,
  );
  t.match(trace, /Datapath actions: drop/, "a guest on it cannot speak on a VLAN");
  const labels = await exec(
    "host1",
    "ovs-vsctl",
    "get",
    "interface",
    portName(specs.a.id, 0),
    "external_ids",
  );
  t.match(
    labels,
    /collective-component=a, collective-network=guests, collective-plan=plan-1, collective-version="1"/,
  );
  for (const [host, ids] of [
    [first, ["a", "out"]],
    [second, ["b", "c"]],
  ] as const) {
    await Promise.all(ids.map((id) => host.stopMachine(fence, machine(id), STOP_MS)));
  }
  t.notMatch(
    await exec("host1", "ovs-vsctl", "list-ports", "br-int"),
    /^cu/m,
    "ports go with their machines",
  );
});

t.test("what a guest does by itself", async (t) => {
  const overlayKept = specOf(image, { id: machine("reboots"), lines: ["probe=1", "behave=reboot"] });
  const own = specOf(image, { id: machine("ends"), lines: ["probe=1", "behave=poweroff"] });
  const start = async (lines: string[], id: MachineId): Promise<void> => {
    await first.startMachine(fence, specOf(image, { id, lines }));
  };
  await Promise.all([
    first.startMachine(fence, overlayKept),
    first.startMachine(fence, own),
    start(["behave=fail"], machine("fails")),
    start(["behave=crash"], machine("crashes")),
    start(["behave=silent"], machine("silent")),
    start(["behave=hostile"], machine("hostile")),
    start(["behave=deaf"], machine("deaf")),
  ]);
  const ready = (component: string, timeoutMs = READY_MS): ReturnType<Host["awaitReady"]> =>
    first.awaitReady(machine(component), timeoutMs);

  await Promise.all([
    t.test("it says that it failed", { buffered: true }, async (t) => {
      t.match(await ready("fails"), { state: "failed", status: "told to fail" });
      t.match(await report(first, machine("fails")), { state: "failed", status: "told to fail" });
    }),
    t.test("it ends before it was ready", { buffered: true }, async (t) => {
      t.match(await ready("crashes"), { state: "failed", status: /ended/ });
      t.match(await report(first, machine("crashes")), { state: "stopped", startedAt: null });
      t.match(await ready("crashes"), { state: "failed", status: /ended/ }, "also when asked later");
    }),
    t.test("it never says anything", { buffered: true }, async (t) => {
      await t.rejects(ready("silent", 300), { code: "HOST_NOT_READY", hint: /console\.log/ });
    }),
    t.test("it says hostile things", { buffered: true }, async (t) => {
      const { state, status } = await ready("hostile");
      t.equal(state, "ready");
      t.match(status, /^\[31mred 0{300,}/, "control characters are gone");
      t.equal(status.length, 400);
    }),
    t.test("it reboots: overlay and machine stay", { buffered: true }, async (t) => {
      await ready("reboots");
      const before = await report(first, machine("reboots"));
      const lines = overlayKept.parameterLines.map((line) => (line === "probe=1" ? "probe=2" : line));
      await first.sendParameters(fence, overlayKept.id, lines, 1);
      t.ok(
        await eventually(
          async () => /vda:2:.* probe 2/.test((await report(first, machine("reboots")))!.status),
          READY_MS,
        ),
        "it was sent the current set, not the one it was started with, and counted on",
      );
      t.equal((await report(first, machine("reboots")))!.startedAt, before!.startedAt);
    }),
    t.test(
      "it switches itself off, and goes on with its overlay when started again",
      { buffered: true },
      async (t) => {
        await ready("ends");
        const lines = own.parameterLines.map((line) => (line === "probe=1" ? "probe=2" : line));
        await first.sendParameters(fence, own.id, lines, READY_MS);
        t.ok(await eventually(async () => (await report(first, own.id))!.state === "stopped", READY_MS));
        await first.startMachine(fence, own);
        t.match((await ready("ends")).status, /vda:2:/);
      },
    ),
  ]);
  t.same(
    await first.stopMachine(fence, machine("deaf"), 1500),
    { forced: true },
    "one that does not listen is destroyed",
  );
  const others = ["reboots", "ends", "fails", "crashes", "silent", "hostile"].map(machine);
  t.same(
    await Promise.all(others.map((id) => first.stopMachine(fence, id, STOP_MS))),
    others.map(() => ({ forced: false })),
  );
});

t.test("a restart of the host manager leaves machines running and finds them again", async (t) => {
  const id = machine("stays");
  const spec = specOf(image, { id, lines: ["probe=one", "password=hunter2"] });
  const before = await createHostManager(options("restarted"));
  await before.prepareImage(fence, image);
  await before.startMachine(fence, spec);
  await before.awaitReady(id, READY_MS);
  const seen = await report(before, id);
  await before.close();

  const after = await createHostManager(options("restarted"));
  t.teardown(() => after.close());
  t.same(await report(after, id), seen, "the same state, status and start");
  const changed = spec.parameterLines.map((line) => (line === "probe=one" ? "probe=two" : line));
  t.same(await after.sendParameters(fence, id, changed, READY_MS), { reloaded: true });
  await t.rejects(
    after.stopMachine({ ...fence, token: 0 }, id, 1),
    { code: "HOST_FENCED" },
    "fences are remembered",
  );

  const { folders } = options("restarted");
  const secrets = path.join(folders.secretsDirectory, machineKey(id));
  t.equal((await stat(path.join(secrets, "parameters"))).mode & 0o777, 0o600);
  const places = [folders.directory, path.join(lab.directory, "host1")];
  const leaks = await Promise.all(places.map((place) => filesWith(place, "hunter2")));
  t.same(leaks.flat(), [], "no file on a disk holds a parameter");
  t.notMatch(await exec("host1", "ps", "axww"), /hunter2/, "nor does a command line");

  const console = await connectUnixSocket(await after.consolePath(id));
  console.write("x");
  console.destroy();
  const log = path.join(folders.directory, "networks/guests/machines/stays/console.log");
  t.match(await readFile(log, "utf8"), /guest: READY=1/, "the console is kept");
  await after.stopMachine(fence, id, STOP_MS);
  t.same(await readdir(folders.secretsDirectory), [], "parameters go with the machine");
});

/** Files below `folder` that contain `text`. */
async function filesWith(folder: string, text: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const contents = await Promise.all(
    files.map(async (file) => ({ file, holds: (await readFile(file)).includes(text) })),
  );
  return contents.filter(({ holds }) => holds).map(({ file }) => file);
}
