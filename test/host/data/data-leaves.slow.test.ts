/** Data leaves a real host, of a machine that runs and of one that does not. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { createHostManager } from "../../../src/host/host-manager.ts";
import { run } from "../../../src/io.ts";
import { writeImage } from "../../../src/disk/write-image.ts";
import { readExported } from "../../../src/manager/data/read-exported.ts";
import { hostLab } from "../fixtures/host-lab.ts";
import { specOf } from "../fixtures/test-guest.ts";
import { eventually } from "../fixtures/traces.ts";

const READY_MS = 900_000;
const STOP_MS = 600_000;
const MIB = 1024 * 1024;
const SECOND_MIB = MIB;
const SIZE = 64 * MIB;

const { guest, options } = await hostLab(t);
const hostOptions = options("a");
const fence = { networkId: "data", token: 1 };
const id = { networkId: fence.networkId, component: "w" };
const folder = path.join(hostOptions.folders.directory, "networks/data/machines/w");
const file = path.join(folder, "data-vdb.qcow2");
const source = { machine: id, device: "vdb" };

let host = await createHostManager(hostOptions);
t.teardown(() => host.close());
const image = guest.image();
await host.prepareImage(fence, image);
const dataDisks = [{ device: "vdb", sizeBytes: SIZE }];
await host.prepareDataDisks(fence, id, dataDisks);
// So that there is much to read between the two places that the guest writes to.
execFileSync("qemu-io", ["-f", "qcow2", "-c", "write -P 0x5a 4M 40M", file]);
const spec = specOf(image, { id, dataDisks, lines: ["behave=write"] });
await host.startMachine(fence, spec);
await host.awaitReady(id, READY_MS);

/** The number the guest wrote last, as far as it is on the disk. */
const written = async (): Promise<number> => {
  const args = ["-U", "-r", "-f", "qcow2", "-c", "read -v 1M 16", file];
  const text = await run({ file: "qemu-io", args }).catch(() => ""); // it is being changed just now
  return Number(/ {2}([0-9]+)\.*$/m.exec(text)?.[1] ?? 0);
};
/** The guest has written on since: it runs, and its writes come to their end. */
const writesOn = async (): Promise<boolean> => {
  const before = await written();
  return eventually(async () => (await written()) >= before + 3, READY_MS);
};
const virsh = (...args: string[]): Promise<string> =>
  run({ file: "virsh", args: ["-c", hostOptions.libvirtUri, ...args], env: { LC_ALL: "C" } });
/** False when libvirt waited half a minute in vain for what else goes on with the domain. */
const isDone = (...args: string[]): Promise<boolean> =>
  virsh(...args).then(
    () => true,
    (error: unknown) => {
      if (!/state change lock/.test(String(error))) throw error;
      return false;
    },
  );
const traces = (): string[] => readdirSync(folder).filter((name) => name.startsWith("scratch"));
const hasNoJob = async (): Promise<boolean> =>
  eventually(async () => {
    const job = await virsh("backup-dumpxml", "cui.data.w").catch(String);
    return /no domain backup job/.test(job) && traces().length === 0;
  }, READY_MS);

async function readAt(exportId: string, offset: number): Promise<Buffer> {
  const { zeroBytes, data } = await host.readExport(exportId, offset);
  t.equal(zeroBytes, 0);
  return Buffer.from(data, "base64");
}

const numberIn = (bytes: Buffer): number => Number(bytes.toString("latin1", 0, 512).trim());

t.test("of a machine that runs: as of one moment, while the guest writes on", async (t) => {
  t.ok(await writesOn());
  const before = await written();
  const opened = await host.openExport(null, source);
  t.match(opened, { sizeBytes: SIZE, isRunning: true });
  t.ok(Math.abs(Date.parse(opened.takenAt) - Date.now()) < READY_MS);
  const [disk] = (await host.listData("data")).disks;
  t.match(disk, { isInUse: true, isExported: true, sizeBytes: SIZE, path: file, snapshots: 0 });
  await t.rejects(host.openExport(null, source), { code: "HOST_EXPORT_BUSY" }, "one at a time");

  const first = numberIn(await readAt(opened.exportId, SECOND_MIB));
  t.ok(await writesOn());
  const last = (await readAt(opened.exportId, SIZE - 64 * 1024)).subarray(-512);
  const second = numberIn(last);
  t.ok(first >= before && (first === second || first === second + 1), `${first} and ${second}`);
  t.ok((await written()) >= second + 3, "what is there now is newer");

  const target = path.join(t.testdir(), "out.qcow2");
  const chunks = readExported(host, { ...opened, address: "here" });
  const copied = await writeImage({ target, format: "qcow2", sizeBytes: SIZE, chunks, replace: false });
  t.ok(copied.dataBytes > 40 * MIB && copied.dataBytes < 42 * MIB);
  const patterns = execFileSync("qemu-io", ["-r", "-f", "qcow2", "-c", "read -P 0x5a 4M 40M", target]);
  t.notMatch(patterns.toString(), /failed/);
  const start = execFileSync("qemu-io", ["-r", "-f", "qcow2", "-c", "read -v 1M 16", target]).toString();
  t.match(start, new RegExp(` {2}${first}\\.`), "the number as of that moment");

  await host.closeExport(opened.exportId);
  await host.closeExport(opened.exportId);
  t.ok(await hasNoJob());
  t.match((await host.listData("data")).disks, [{ isInUse: true, isExported: false }]);
  await t.rejects(host.readExport(opened.exportId, 0), { code: "HOST_EXPORT_ENDED" });
  t.ok(await writesOn());
});

t.test("the host manager is killed: the guest runs on, and the next one ends what is left", async (t) => {
  await host.close();
  const plain = { ...hostOptions, fetchImage: undefined };
  const script = path.resolve("build/test/host/data/hold-export.js");
  const child = spawn(process.execPath, [script, JSON.stringify(plain), "data", "w", "vdb"]);
  t.teardown(() => child.kill("SIGKILL"));
  const said: Buffer[] = [];
  child.stderr.on("data", (piece: Buffer) => void said.push(piece));
  await Promise.race([once(child.stdout, "data"), once(child, "exit")]);
  t.equal(child.exitCode, null, Buffer.concat(said).toString());
  t.same(traces(), ["scratch-vdb.qcow2"]);
  child.kill("SIGKILL");
  await once(child, "exit");
  t.match(await virsh("domjobinfo", "cui.data.w"), /Operation:\s+Backup/, "the job is left");
  host = await createHostManager(hostOptions);
  t.ok(await eventually(() => Promise.resolve(traces().length === 0), READY_MS));
  const again = await host.openExport(null, source);
  await host.closeExport(again.exportId);
  t.ok(await hasNoJob());
  t.ok(await writesOn());
});

t.test("a backup of somebody else is left alone", async (t) => {
  const scratch = path.join(folder, "theirs.qcow2");
  const socket = path.join(hostOptions.folders.directory, "theirs");
  const xml = path.join(t.testdir(), "backup.xml");
  writeFileSync(
    xml,
    `<domainbackup mode="pull"><server transport="unix" socket="${socket}"/><disks><disk name="vda" backup="no"/>` +
      `<disk name="vdb" backup="yes" type="file"><scratch file="${scratch}"/></disk></disks></domainbackup>`,
  );
  t.ok(await eventually(() => isDone("backup-begin", "cui.data.w", xml), READY_MS));
  writeFileSync(path.join(folder, "scratch-vdb.qcow2"), "left by us, long ago");
  await t.rejects(host.openExport(null, source), { code: "HOST_EXPORT_BUSY", message: /backup job/ });
  const other = await createHostManager(hostOptions);
  await other.close();
  t.same(traces(), []);
  t.match(await virsh("domjobinfo", "cui.data.w"), /Operation:\s+Backup/);
  t.ok(await eventually(() => isDone("domjobabort", "cui.data.w"), READY_MS));
  t.ok(await hasNoJob());
});

t.test("a stop does not wait for an export; of a stopped machine the disk is read as it is", async (t) => {
  const opened = await host.openExport(null, source);
  await host.readExport(opened.exportId, 0);
  await host.stopMachine(fence, id, STOP_MS);
  await t.rejects(host.readExport(opened.exportId, 64 * 1024), {
    code: "HOST_EXPORT_ENDED",
    message: /stopped/,
  });
  t.same(traces(), []);

  const offline = await host.openExport(null, source);
  t.match(offline, { isRunning: false, sizeBytes: SIZE });
  t.match((await host.listData(null)).disks, [{ isInUse: false, isExported: true }]);
  const target = path.join(t.testdir(), "out.raw");
  const chunks = readExported(host, { ...offline, address: "here" });
  await writeImage({ target, format: "raw", sizeBytes: SIZE, chunks, replace: false });
  execFileSync("qemu-img", ["compare", "-U", "-f", "qcow2", "-F", "raw", file, target]);
  t.ok(statSync(target).blocks * 512 < 42 * MIB, "sparse stays sparse");
  await host.moveToAttic(fence, id);
  await t.rejects(host.readExport(offline.exportId, 0), { code: "HOST_EXPORT_ENDED" });

  const [entry] = await host.listAttic();
  const stored = await host.openExport(null, { entry: entry!.id });
  t.equal((await host.readExport(stored.exportId, 0)).zeroBytes, 0);
  await host.restoreFromAttic(fence, id, { entry: entry!.id, device: "vdb" });
  await t.rejects(host.readExport(stored.exportId, 64 * 1024), { code: "HOST_EXPORT_ENDED" });
  t.ok(existsSync(file));
  await host.prepareImage(fence, image);
  await host.startMachine(fence, specOf(image, { id, dataDisks }));
  t.match((await host.awaitReady(id, READY_MS)).status, /vdb:2:/, "the guest finds its data again");
  await t.rejects(host.restoreFromAttic(fence, id, { entry: "0123456789ab", device: "vdb" }), {
    code: "HOST_ATTIC_UNKNOWN",
  });
  await host.stopMachine(fence, id, STOP_MS);
});

t.test("a disk that leads elsewhere is not followed", async (t) => {
  const secret = path.join(t.testdir(), "secret.raw");
  writeFileSync(secret, Buffer.alloc(MIB, "secret"));
  const evil = path.join(t.testdirName, "evil.qcow2");
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", evil]);
  writeFileSync(file, readFileSync(evil));
  await t.rejects(host.openExport(null, source), { code: "HOST_DISK_DAMAGED", message: /backing file/ });
});
