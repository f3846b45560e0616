import { truncateSync } from "node:fs";
import { mkdir, open, readdir, symlink, writeFile } from "node:fs/promises";

import path from "node:path";
import t, { type Test } from "tap";
import { indexDigest } from "../../../src/disk/disk-index.ts";
import { writeProgramDisk } from "../../../src/disk/write-program-disk.ts";
import { run } from "../../../src/io.ts";
import { CHUNK, noise } from "../fixtures.ts";

const DISK_BYTES = 40 * CHUNK;

async function qemuImg(...args: string[]): Promise<void> {
  await run({ file: "qemu-img", args });
}

/** A disk with data at odd places and holes between. */
async function rawImage(folder: string): Promise<string> {
  const file = path.join(folder, "disk.raw");
  const handle = await open(file, "w");
  await handle.truncate(DISK_BYTES);
  for (const [at, length] of [
    [0, 5000],
    [CHUNK - 100, 300],
    [7 * CHUNK + 12_345, 200_000],
    [DISK_BYTES - 4096, 4096],
  ] as const) {
    await handle.write(noise(at, length, 50), 0, length, at);
  }
  await handle.close();
  return file;
}

async function digestOf(folder: string, image: string): Promise<string> {
  const { index } = await writeProgramDisk({ image, packDirectory: path.join(folder, "packs") });
  return indexDigest(index);
}

async function refuses(t: Test, image: string, code: string, message: RegExp): Promise<void> {
  const packDirectory = path.join(t.testdirName, "refused");
  await t.rejects(writeProgramDisk({ image, packDirectory }), { code, message }, String(message));
  t.same(await readdir(packDirectory), [], "nothing is left");
}

t.test("the same disk in any format is the same index", async (t) => {
  const folder = t.testdir();
  const raw = await rawImage(folder);
  const expected = await digestOf(folder, raw);
  for (const [format, options] of [
    ["qcow2", []],
    ["qcow2", ["-c"]],
    ["qcow2", ["-o", "compat=0.10"]],
    ["qcow2", ["-o", "cluster_size=4k"]],
    ["qcow2", ["-o", "extended_l2=on,cluster_size=128k"]],
    ["vmdk", []],
    ["vmdk", ["-o", "subformat=streamOptimized"]],
    ["vdi", []],
    ["vhdx", []],
    ["vpc", ["-o", "force_size=on"]],
    ["vpc", ["-o", "subformat=fixed,force_size=on"]],
  ] as const) {
    const image = path.join(folder, format === "vpc" ? "disk.vhd" : `disk.${format}`);
    await qemuImg("convert", "-f", "raw", "-O", format, ...options, raw, image);
    t.equal(await digestOf(folder, image), expected, [format, ...options].join(" "));
  }
  t.same(
    (await readdir(path.join(folder, "packs"))).filter((name) => !name.endsWith(".pack")),
    [],
    "no temporary file is left",
  );
});

t.test("a name that looks like a protocol or an option is a file", async (t) => {
  const folder = t.testdir();
  const raw = await rawImage(folder);
  const expected = await digestOf(folder, raw);
  const cwd = process.cwd();
  process.chdir(folder);
  t.teardown(() => {
    process.chdir(cwd);
  });
  for (const name of ["nbd:localhost:1", "-f", 'json:{"driver":"null-co"}', "file:disk"]) {
    await qemuImg("convert", "-f", "raw", "-O", "qcow2", raw, path.join(folder, "q"));
    await run({ file: "mv", args: ["--", path.join(folder, "q"), path.join(folder, name)] });
    t.equal(await digestOf(folder, name), expected, name);
  }
});

t.test("an image that is not there, or no file, is an error", async (t) => {
  const folder = t.testdir({ folder: {} });
  await refuses(
    t,
    path.join(folder, "none.raw"),
    "DISK_IMAGE_MISSING",
    /none\.raw: no such file or directory/,
  );
  await refuses(t, path.join(folder, "folder"), "DISK_IMAGE_UNSUPPORTED", /no regular file/);
  const pipe = path.join(folder, "pipe");
  await run({ file: "mkfifo", args: [pipe] });
  await refuses(t, pipe, "DISK_IMAGE_UNSUPPORTED", /no regular file/);
  await symlink("/dev/zero", path.join(folder, "zeros"));
  await refuses(t, path.join(folder, "zeros"), "DISK_IMAGE_UNSUPPORTED", /no regular file/);
});

t.test("an image that would open other files is refused before QEMU sees it", async (t) => {
  const folder = t.testdir();
  const raw = await rawImage(folder);
  const file = (name: string): string => path.join(folder, name);
  await qemuImg("create", "-q", "-f", "qcow2", "-F", "raw", "-b", raw, file("overlay.qcow2"));
  await refuses(t, file("overlay.qcow2"), "DISK_IMAGE_UNSUPPORTED", /backing file/);
  await qemuImg(
    "create",
    "-q",
    "-f",
    "qcow2",
    "-o",
    `data_file=${file("data")}`,
    file("external.qcow2"),
    "1M",
  );
  await refuses(t, file("external.qcow2"), "DISK_IMAGE_UNSUPPORTED", /another file/);
  for (const subformat of ["monolithicFlat", "twoGbMaxExtentSparse"]) {
    const name = file(`${subformat}.vmdk`);
    await qemuImg("convert", "-f", "raw", "-O", "vmdk", "-o", `subformat=${subformat}`, raw, name);
    await refuses(t, name, "DISK_IMAGE_UNSUPPORTED", /separate descriptor/);
  }
  await qemuImg("convert", "-f", "raw", "-O", "vmdk", raw, file("base.vmdk"));
  await qemuImg("create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", file("base.vmdk"), file("child.vmdk"));
  await refuses(t, file("child.vmdk"), "DISK_IMAGE_UNSUPPORTED", /parent image/);
  const forged = Buffer.alloc(2048);
  forged.write("KDMV");
  forged.writeBigUInt64LE(1n, 28);
  forged.write('# Disk DescriptorFile\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n', 512);
  await writeFile(file("forged.vmdk"), forged);
  await refuses(t, file("forged.vmdk"), "DISK_IMAGE_UNSUPPORTED", /several files/);
});

t.test("formats that are not read are refused by name, not taken for raw disks", async (t) => {
  const folder = t.testdir();
  const luks = path.join(folder, "luks.qcow2");
  await qemuImg("create", "-q", "-f", "qcow2", luks, "1M");
  // Creating an encrypted one needs a quiet machine: QEMU measures how fast it is.
  const handle = await open(luks, "r+");
  await handle.write(Buffer.from([0, 0, 0, 2]), 0, 4, 32);
  await handle.close();
  await refuses(t, luks, "DISK_IMAGE_UNSUPPORTED", /encrypted/);
  for (const [format, name] of [
    ["qed", "QED"],
    ["parallels", "Parallels"],
  ] as const) {
    const image = path.join(folder, format);
    await qemuImg("create", "-q", "-f", format, image, "1M");
    await refuses(t, image, "DISK_IMAGE_UNSUPPORTED", new RegExp(`format ${name}`));
  }
  const pointer = path.join(folder, "pointer");
  await writeFile(pointer, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n");
  await refuses(t, pointer, "DISK_IMAGE_UNSUPPORTED", /Git LFS pointer/);
});

t.test("a damaged image is an error", async (t) => {
  const folder = t.testdir();
  const image = path.join(folder, "disk.qcow2");
  await qemuImg("convert", "-f", "raw", "-O", "qcow2", await rawImage(folder), image);
  const handle = await open(image, "r+");
  await handle.write(Buffer.alloc(8, 0xff), 0, 8, 40);
  await handle.close();
  await refuses(t, image, "DISK_IMAGE_UNSUPPORTED", /qemu-img failed/);
  await writeFile(
    image,
    Buffer.concat([Buffer.from("QFI\u00fb", "latin1"), Buffer.from([0, 0, 0, 9]), Buffer.alloc(100)]),
  );
  await refuses(t, image, "DISK_IMAGE_UNSUPPORTED", /qcow2 version 9/);
});

t.test("an image that becomes shorter while it is read is an error, not zeros", async (t) => {
  const folder = t.testdir();
  const image = path.join(folder, "disk.raw");
  await writeFile(image, Buffer.concat(Array.from({ length: 5 }, (_, at) => noise(at, 8 * 1024 * 1024))));
  const packDirectory = path.join(folder, "packs");
  const onProgress = (): void => {
    truncateSync(image, 20 * 1024 * 1024);
  };
  await t.rejects(writeProgramDisk({ image, packDirectory, onProgress }), {
    code: "DISK_IMAGE_UNSUPPORTED",
    message: /became shorter/,
  });
  t.same(await readdir(packDirectory), [], "nothing is left");
});

t.test("a disk too large to describe is an error", async (t) => {
  const folder = t.testdir();
  const image = path.join(folder, "large.qcow2");
  await qemuImg("create", "-q", "-f", "qcow2", image, "4097G");
  await refuses(t, image, "DISK_TOO_LARGE", /at most 4398046511104/);
});

t.test("a folder that cannot be written is an error", async (t) => {
  const folder = t.testdir({ file: "" });
  const image = await rawImage(folder);
  await t.rejects(writeProgramDisk({ image, packDirectory: path.join(folder, "file", "packs") }), {
    code: "DISK_WRITE_FAILED",
  });
  await mkdir(path.join(folder, "ok"));
  t.equal((await writeProgramDisk({ image, packDirectory: path.join(folder, "ok") })).packs.length, 1);
});
