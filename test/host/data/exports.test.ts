/** Exports of files end in any case: with their connection, when nobody reads, when what they read is changed, when room is short. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import t, { type Test } from "tap";
import { connectHost } from "../../../src/host/connect-host.ts";
import { createExports } from "../../../src/host/data/exports.ts";
import { openFile } from "../../../src/host/data/file-export.ts";
import type { HostFolders } from "../../../src/host/machine-paths.ts";
import { serveHost } from "../../../src/host/serve-host.ts";
import { createMemoryHost } from "../../manager/memory-host.ts";
import { eventually } from "../fixtures/traces.ts";

const NEVER = 24 * 3_600_000;
const MIB = 1024 * 1024;

/** The path of a socket is short. */
function makeDisk(t: Test): { folders: HostFolders; file: string } {
  const directory = mkdtempSync(path.join(tmpdir(), "exp-"));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  const folders = { directory, runDirectory: path.join(directory, "run"), secretsDirectory: directory };
  mkdirSync(folders.runDirectory);
  const file = path.join(directory, "data-vdb.qcow2");
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", file, String(64 * MIB)]);
  execFileSync("qemu-io", ["-f", "qcow2", "-c", "write -P 0x5a 3M 5M", file]);
  return { folders, file };
}

const socketsOf = ({ runDirectory }: HostFolders): string[] =>
  readdirSync(path.join(runDirectory, "exports"));

t.test("pieces are bounded and hold nothing but what is there", async (t) => {
  const { folders, file } = makeDisk(t);
  const exports = createExports();
  const what = { subject: "w", file, open: () => openFile(folders, file) };
  const { exportId, sizeBytes } = await exports.add(what);
  t.equal(sizeBytes, 64 * MIB);
  const pieces: [number, number][] = [];
  for (let offset = 0; offset < sizeBytes;) {
    const { zeroBytes, data } = await exports.read(exportId, offset);
    const bytes = Buffer.from(data, "base64");
    t.ok(bytes.every((byte) => byte === 0x5a));
    pieces.push([zeroBytes, bytes.length]);
    offset += zeroBytes + bytes.length;
  }
  t.same(pieces, [[3 * MIB, MIB], ...Array.from({ length: 4 }, () => [0, MIB]), [56 * MIB, 0]]);
  t.ok(exports.isExported(file) && exports.isRead("w"));
  await exports.endOf("another", "it changes");
  t.match(await exports.read(exportId, 3 * MIB), { zeroBytes: 0 }, "any place, in any order");
  await exports.endOf("w", "its machine starts");
  t.same(socketsOf(folders), []);
  const ended = { code: "HOST_EXPORT_ENDED", message: /its machine starts/ };
  await t.rejects(exports.read(exportId, 0), ended);
  execFileSync("qemu-io", ["-f", "qcow2", "-c", "write 0 512", file]); // nobody has it locked
});

t.test("what is open while nobody reads, or while there is no room, ends", async (t) => {
  const { folders, file } = makeDisk(t);
  const what = { subject: "w", file, open: () => openFile(folders, file) };
  const impatient = createExports({ idleMs: 20, watchMs: NEVER });
  const idle = await impatient.add(what);
  t.ok(await eventually(() => Promise.resolve(!impatient.isExported(file))));
  await t.rejects(impatient.read(idle.exportId, 0), { code: "HOST_EXPORT_ENDED", message: /nobody read on/ });

  const full = path.join(folders.directory, "full");
  const unmount = mountSmall(t, full);
  if (unmount === undefined) return;
  const watchful = createExports({ idleMs: NEVER, watchMs: 5 });
  const growing = await watchful.add({ ...what, growsIn: full });
  await watchful.read(growing.exportId, 0);
  writeFileSync(path.join(full, "guest"), Buffer.alloc(Math.floor(3.8 * MIB)));
  t.ok(await eventually(() => Promise.resolve(!watchful.isExported(file))), "before the room is used up");
  await t.rejects(watchful.read(growing.exportId, 0), { code: "HOST_DISK_FULL" });
  await t.rejects(watchful.add({ ...what, growsIn: full }), { code: "HOST_DISK_FULL" });
  t.same(socketsOf(folders), []);
});

t.test("a file that is no disk, and one that somebody has open, are refused", async (t) => {
  const { folders, file } = makeDisk(t);
  const exports = createExports();
  const nonsense = path.join(folders.directory, "nonsense");
  writeFileSync(nonsense, "nonsense");
  const bad = exports.add({ subject: "x", file: nonsense, open: () => openFile(folders, nonsense) });
  await t.rejects(bad, { code: "HOST_EXPORT_FAILED", message: /nonsense cannot be exported/ });
  const what = { subject: "w", file, open: () => openFile(folders, file) };
  const opened = await Promise.all(Array.from({ length: 16 }, () => exports.add(what)));
  await t.rejects(exports.add(what), { code: "HOST_EXPORT_BUSY" });
  await exports.close(opened[0]!.exportId);
  await exports.closeAll();
  t.same(socketsOf(folders), []);
});

t.test("an export ends with the connection it was opened on", async (t) => {
  const memory = createMemoryHost({ name: "h1" });
  const closed: string[] = [];
  const host = {
    ...memory,
    closeExport: (exportId: string) => {
      closed.push(exportId);
      return memory.closeExport(exportId);
    },
  };
  const folder = mkdtempSync(path.join(tmpdir(), "exp-"));
  const socket = path.join(folder, "host.sock");
  const server = createServer((stream) => {
    serveHost(host, { input: stream, output: stream });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  const fence = { networkId: "n", token: 1 };
  const machine = { networkId: "n", component: "w" };
  const client = await connectHost(`unix:${socket}`);
  await client.prepareDataDisks(fence, machine, [{ device: "vdb", sizeBytes: MIB }]);
  const { exportId } = await client.openExport(null, { machine, device: "vdb" });
  await client.close();
  t.ok(await eventually(() => Promise.resolve(closed.includes(exportId))));
});

/** A file system of 4 MiB; undefined where this process may not mount one. */
function mountSmall(t: Test, folder: string): string | undefined {
  mkdirSync(folder);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "small", folder], { stdio: "ignore" });
  } catch {
    t.comment("no file system can be mounted here");
    return undefined;
  }
  t.teardown(() => {
    execFileSync("umount", ["--lazy", folder]);
  });
  return folder;
}
