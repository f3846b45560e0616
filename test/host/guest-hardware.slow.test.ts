/** Guests with other disks, cards, firmware and seeds than most have, and one that is loud. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { createHostManager } from "../../src/host/host-manager.ts";
import type { MachineId, MachineReport } from "../../src/host/host.ts";
import { machineKey } from "../../src/host/names.ts";
import { hostLab } from "./fixtures/host-lab.ts";
import { specOf } from "./fixtures/test-guest.ts";
import { eventually } from "./fixtures/traces.ts";

/** Neither is waited for on a machine of any speed. */
const READY_MS = 900_000;
const STOP_MS = 600_000;
const fence = { networkId: "guests", token: 1 };

const { guest, options } = await hostLab(t);
const host = await createHostManager(options("a"));
t.teardown(() => host.close());
const image = guest.image();
await host.prepareImage(fence, image);

const machine = (component: string): MachineId => ({ networkId: fence.networkId, component });
const report = async (id: MachineId): Promise<MachineReport | undefined> =>
  (await host.inventory()).machines.find((found) => found.id.component === id.component);

t.test("a guest that floods its channel neither starves the host nor its neighbours", async (t) => {
  const loud = specOf(image, { id: machine("loud"), lines: ["behave=flood", "probe=1"] });
  const calm = specOf(image, { id: machine("calm"), lines: ["probe=1"] });
  await Promise.all([host.startMachine(fence, loud), host.startMachine(fence, calm)]);
  t.equal((await host.awaitReady(calm.id, READY_MS)).state, "ready");
  await eventually(async () => /disks/.test((await report(loud.id))!.status), READY_MS);
  const usage = process.cpuUsage();
  const startedAt = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const { user, system } = process.cpuUsage(usage);
  const share = (user + system) / 1000 / (performance.now() - startedAt);
  t.ok(share < 0.5, `the host spends ${Math.round(share * 100)} % of a core on it`);
  await Promise.all([loud, calm].map(({ id }) => host.stopMachine(fence, id, 1000)));
});

t.test("disks on other buses, cloud-init's seed, link-down interfaces", async (t) => {
  const disks = (bus: "ide" | "scsi", device: string): ReturnType<typeof guest.image> =>
    guest.image({ disks: [{ device, bus, source: "root.img" }] });
  const seeded = guest.image({ parameters: "cloud-init", memoryBytes: 112 * 1024 * 1024 });
  const specs = [
    specOf(disks("ide", "ide0:0"), {
      id: machine("ide"),
      dataDisks: [{ device: "ide0:1", sizeBytes: 1024 * 1024 }],
    }),
    specOf(disks("scsi", "sda"), { id: machine("scsi") }),
    specOf(seeded, { id: machine("seeded"), lines: ["probe=from the seed"] }),
  ];
  const unplugged = specOf(image, { id: machine("unplugged") });
  specs.push({ ...unplugged, interfaces: unplugged.interfaces.map((nic) => ({ ...nic, port: null })) });
  const statuses = await Promise.all(
    specs.map(async (spec) => {
      await host.prepareImage(fence, spec.image);
      await host.prepareDataDisks(fence, spec.id, spec.dataDisks);
      await host.startMachine(fence, spec);
      return (await host.awaitReady(spec.id, READY_MS)).status;
    }),
  );
  t.match(statuses[0], /sda:1:1048576 sdb:1:1048576/);
  t.match(statuses[1], /sda:1:1048576/);
  t.match(statuses[2], /probe from the seed/);
  t.match(statuses[3], /ethernet0:0 /, "no carrier");
  t.match((await report(unplugged.id))!.interfaces, [{ port: null }]);
  const { folders } = options("a");
  const files = [
    path.join(folders.secretsDirectory, machineKey(machine("seeded")), "seed.iso"),
    path.join(folders.directory, "networks/guests/machines/ide/data-ide0_1.qcow2"),
    path.join(folders.directory, "networks/guests/machines/ide/overlay-ide0_0.qcow2"),
  ];
  for (const file of files)
    t.equal((await stat(file)).mode & 0o777, 0o600, `${path.basename(file)} is root's alone`);
  await Promise.all(specs.map(({ id }) => host.stopMachine(fence, id, STOP_MS)));
});

t.test("hardware that the test guest has no drivers for starts at least", async (t) => {
  const image = guest.image({
    firmware: "uefi",
    nic: "e1000e",
    disks: [{ device: "sda", bus: "sata", source: "root.img" }],
    ready: "running",
  });
  const spec = specOf(image, { id: machine("modern") });
  await host.prepareImage(fence, image);
  await host.startMachine(fence, spec);
  t.match(await host.awaitReady(spec.id, READY_MS), { state: "ready" });
  await host.stopMachine(fence, spec.id, 0);
  const kept = await readdir(path.join(options("a").folders.directory, "networks/guests/machines/modern"));
  t.same(kept.sort(), ["console.log", "machine.json"], "UEFI variables and overlays are dropped");
});
