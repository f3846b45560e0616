/** A real guest fills its host's disk: libvirt pauses it, the manager says so and lets it go on when there is room. */
import { mkdir, rm, statfs } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { labCommand } from "../../../src/host/lab/lab-exec.ts";
import { connectHost } from "../../../src/host/connect-host.ts";
import { startBackground } from "../../../src/io.ts";
import { networkStatus, type MachineStatus } from "../../../src/manager/observe/network-status.ts";
import { renderPlan } from "../../../src/plan/render-terminal.ts";
import { hostLab } from "../../host/fixtures/host-lab.ts";
import { labExec } from "../../host/fixtures/lab-exec.ts";
import { eventually } from "../../host/fixtures/traces.ts";
import { createManager, sampleInventory } from "../manager-fixture.ts";
import { createMemoryStore } from "../memory-store.ts";

const LIMITS = { readyMs: 900_000, stopMs: 600_000, reloadMs: 1000 };
const MIB = 1024 ** 2;

const { lab, guest, folder } = await hostLab(t);
const where = { directory: lab.directory, place: "host1" };
const exec = (file: string, ...args: string[]): Promise<string> => labExec(where, { file, args });
const small = path.join(folder, "small");
const ballast = path.join(small, "ballast");
const socket = path.join(folder, "small.sock");
await mkdir(small);
await exec("mount", "-t", "tmpfs", "-o", "size=320m", "small", small);
const script = path.resolve("build/test/host/fixtures/serve-in-lab.js");
await startBackground({
  ...(await labCommand(where, {
    file: process.execPath,
    args: [script, small, "/run/collective/small", path.join(folder, "guest"), socket],
  })),
  logFile: path.join(folder, "small.log"),
  stdin: "ignore",
});
t.ok(
  await eventually(() =>
    connectHost(`unix:${socket}`).then(
      (host) => host.close().then(() => true),
      () => false,
    ),
  ),
  "the host manager listens",
);

const disks = [
  { device: "vda", bus: "virtio", source: "root.img" } as const,
  { device: "vdb", bus: "virtio" } as const,
];
const office = (probe: string): { root: string; image: ReturnType<typeof guest.image> } => ({
  image: guest.image({ disks }),
  root: `CVL = "0.8";
Filler extends VMAppliance {
  var behave, probe;
  vm = "filler.vm.yaml";
  datadisks = { device => "vdb", size => "200MiB" };
  behave = "fill";
  probe = "${probe}";
}
`,
});
const manager = await createManager(folder, [], { store: createMemoryStore() });
const inventory = {
  ...sampleInventory([]),
  hosts: [{ name: "h1", address: `unix:${socket}`, memoryBytes: undefined, maxMachines: 5, arch: undefined }],
};
const real = { inventory, connect: connectHost, limits: LIMITS };

async function look(): Promise<MachineStatus> {
  const { networks } = await networkStatus({ ...real, store: manager.store, networkId: "office" });
  return networks[0]!.machines[0]!;
}

/** Leaves so many MiB free, as the host sees it. */
async function leaveFree(mebibytes: number): Promise<void> {
  await rm(`/proc/${lab.hosts[0]!.init.pid}/root${ballast}`, { force: true });
  const { bavail, bsize } = await statfs(`/proc/${lab.hosts[0]!.init.pid}/root${small}`);
  await exec("fallocate", "-l", String(bavail * bsize - mebibytes * MIB), ballast);
}

t.test("paused for room, named, and resumed when there is some", async (t) => {
  await leaveFree(170);
  const { plan: first } = await manager.start(office("one"), real);
  t.match(first.warnings, [
    { message: /^host h1 has 1\d\d MiB free on its disk, .* to Filler:vdb \(200 MiB\)/ },
  ]);
  // What its image has taken is not free any more: now a fill has no room.
  t.ok(await eventually(async () => (await look()).status === "filled 1"));
  await leaveFree(30);
  // The filling guest is told anew, and does not answer.
  await manager.update(office("two"), real);
  const isPaused = await eventually(async () => (await look()).state === "paused");
  t.ok(isPaused, "libvirt has paused it");
  t.match((await look()).pause, {
    why: /^the disk of host h1 is full \(\d+(\.\d)? [KM]?i?B free\)$/,
    mend: "make room on host h1, then `cui update office.cvl` resumes it",
  });
  const plan = await manager.plan(office("two"), real);
  t.match(plan.actions, [{ id: "resume .", class: "none" }]);
  t.match(renderPlan(plan), /1 machine to resume/);
  t.match(renderPlan(plan), /warning: Filler: it is paused: the disk of host h1 is full/);
  await t.rejects(manager.update(office("two"), real), {
    code: "UTILITY_INCOMPLETE",
    message: /resume \.: HOST_DISK_FULL: the host's disk is full: \d+ MiB are free/,
  });
  t.equal((await look()).state, "paused");
  await leaveFree(150);
  t.match((await look()).pause?.mend, /^`cui update office.cvl` resumes it$/);
  await manager.update(office("two"), real);
  t.ok(
    await eventually(
      async () => (await look()).status.startsWith("disks ") && (await look()).state === "ready",
    ),
  );
  t.match((await manager.plan(office("two"), real)).actions, []);
});

t.test("paused by hand, it is named and left alone", async (t) => {
  const [, domain = ""] = /(cui\.\S+)/.exec(await exec("virsh", "list", "--name")) ?? [];
  await exec("virsh", "suspend", domain);
  const { pause, state } = await look();
  t.equal(state, "paused");
  t.match(pause, { why: "somebody paused it by hand", mend: /^`virsh resume / });
  t.match((await manager.plan(office("two"), real)).actions, []);
  await manager.update(office("two"), real);
  t.equal((await look()).state, "paused");
  const [, command = ""] = /`(.*)`/.exec(pause?.mend ?? "") ?? [];
  await exec("sh", "-c", command);
  t.match(await look(), { state: "ready", pause: null });
});

t.test("a stop lets it go on first, so that it can shut down", async (t) => {
  await leaveFree(20);
  await manager.update(office("three"), real);
  t.ok(await eventually(async () => (await look()).state === "paused"), "libvirt has paused it again");
  await leaveFree(100);
  const { warnings } = await manager.stop(real);
  t.same(warnings, [], "it was not destroyed");
  t.equal((await look()).state, "stopped");
});

t.test("nothing is stopped for a start that has no room", async (t) => {
  await exec("rm", "--", ballast);
  await manager.start(office("four"), real);
  t.ok(await eventually(async () => (await look()).status === "filled 1"));
  await leaveFree(5);
  const changed = { ...office("four"), image: guest.image({ disks, memoryBytes: 128 * MIB }) };
  await t.rejects(manager.plan(changed, real), {
    code: "UTILITY_NO_CAPACITY",
    message: /h1: its disk is full \(5 MiB/,
  });
  await t.rejects(manager.update(changed, real), { code: "UTILITY_NO_CAPACITY" });
  const host = await connectHost(`unix:${socket}`);
  t.teardown(() => host.close());
  const fence = { networkId: "other", token: 1 };
  await t.rejects(
    host.prepareImage(fence, changed.image),
    { code: "HOST_DISK_FULL" },
    "nor by the host itself",
  );
  t.equal((await look()).state, "ready");
  await leaveFree(0);
  t.same((await manager.stop(real)).warnings, [], "what fills a disk can still be stopped");
  t.equal((await look()).state, "stopped");
});
