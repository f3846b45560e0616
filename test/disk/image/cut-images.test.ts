/** An image that was cut short is refused, or it reads as the whole one: what is missing never becomes zeros. */
import { copyFile, truncate } from "node:fs/promises";
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import t from "tap";
import { openDiskImage } from "../../../src/disk/image/disk-image.ts";
import { probeImageFormat } from "../../../src/disk/image/image-format.ts";
import { CollectiveError } from "../../../src/errors.ts";
import { run } from "../../../src/io.ts";
import { CHUNK, noise } from "../fixtures.ts";

const DISK_BYTES = 34 * CHUNK + 1536;
const qemuImg = (...args: string[]): Promise<string> => run({ file: "qemu-img", args });
const qemuIo = (image: string, command: string): Promise<string> =>
  run({ file: "qemu-io", args: ["-f", path.extname(image).slice(1), "-c", command, image] });

/** Data at the beginning, in the middle and at the very end, none of it zeros. */
function plainDisk(): Buffer {
  const disk = Buffer.alloc(DISK_BYTES);
  for (const [start, length] of [
    [0, 3 * CHUNK + 700],
    [17 * CHUNK + 4096, 2 * CHUNK],
    [DISK_BYTES - 3000, 3000],
  ] as const) {
    noise(start, length, 200).copy(disk, start);
    for (let at = start; at < start + length; at += 1) disk[at] ||= 1;
  }
  return disk;
}

async function readWhole(image: string, folder: string): Promise<Buffer> {
  const opened = await openDiskImage(image, folder);
  try {
    const disk = Buffer.alloc(opened.sizeBytes);
    for await (const { position, bytes } of opened.chunks()) disk.set(bytes, position * CHUNK);
    return disk;
  } finally {
    await opened.close();
  }
}

const KINDS: readonly (readonly [name: string, format: string, options: readonly string[]])[] = [
  ["qcow2", "qcow2", []],
  ["old.qcow2", "qcow2", ["-o", "compat=0.10"]],
  ["small-clusters.qcow2", "qcow2", ["-o", "cluster_size=512"]],
  ["large-clusters.qcow2", "qcow2", ["-o", "cluster_size=2M"]],
  ["subclusters.qcow2", "qcow2", ["-o", "extended_l2=on,cluster_size=128k"]],
  ["refcount-order-0.qcow2", "qcow2", ["-o", "refcount_bits=1"]],
  ["refcount-order-6.qcow2", "qcow2", ["-o", "refcount_bits=64"]],
  ["compressed.qcow2", "qcow2", ["-c"]],
  ["compressed-zstd.qcow2", "qcow2", ["-c", "-o", "compression_type=zstd"]],
  ["sparse.vmdk", "vmdk", []],
  ["stream-optimized.vmdk", "vmdk", ["-o", "subformat=streamOptimized"]],
  ["dynamic.vdi", "vdi", []],
  ["static.vdi", "vdi", ["-o", "static=on"]],
  ["dynamic.vhdx", "vhdx", ["-o", "block_size=1M"]],
  ["dynamic.vhd", "vpc", ["-o", "force_size=on"]],
  ["fixed.vhd", "vpc", ["-o", "subformat=fixed,force_size=on"]],
];

for (const [name, format, options] of KINDS) {
  t.test(`${name}, cut anywhere`, async (t) => {
    const raw = plainDisk();
    const folder = t.testdir({ "disk.raw": raw });
    const file = path.join(folder, name.includes(".") ? name : `plain.${name}`);
    await qemuImg("convert", "-f", "raw", "-O", format, ...options, path.join(folder, "disk.raw"), file);
    t.ok((await readWhole(file, folder)).equals(raw), "the whole image reads as the disk");
    const whole = readFileSync(file);
    const cut = path.join(folder, `cut${path.extname(file)}`);
    let refused = 0;
    const attempt = async (length: number): Promise<void> => {
      await truncate(cut, length);
      try {
        if (!(await readWhole(cut, folder)).equals(raw)) throw new Error(`cut at ${length}: read otherwise`);
      } catch (error) {
        if (!(error instanceof CollectiveError) || error.code !== "DISK_IMAGE_UNSUPPORTED") throw error;
        refused += 1;
      }
    };
    // Everything ends at a sector; nothing within one is special but its first and last byte.
    const sectors = fc.integer({ min: 0, max: Math.floor(whole.length / 512) });
    const lengths = fc
      .tuple(sectors, fc.constantFrom(-1, 0, 1, 8, 300))
      .map(([sector, more]) => Math.min(whole.length - 1, Math.max(0, sector * 512 + more)));
    const chosen = fc.sample(lengths, 60).concat([0, 1, 71, 72, 511, 512, whole.length - 1]);
    for (let last = whole.length; last > whole.length - 6000 && last > 0; last -= 600) chosen.push(last - 1);
    await copyFile(file, cut);
    for (const length of chosen.sort((a, b) => b - a)) await attempt(length);
    t.ok(refused > 20, `${refused} cuts were refused`);
  });
}

t.test("a mixture of compressed and plain clusters", async (t) => {
  const folder = t.testdir({ "disk.raw": plainDisk() });
  const file = path.join(folder, "mixed.qcow2");
  await qemuImg("convert", "-c", "-f", "raw", "-O", "qcow2", path.join(folder, "disk.raw"), file);
  await qemuIo(file, "write -P 7 1280k 64k");
  const whole = await readWhole(file, folder);
  t.equal(whole[1280 * 1024], 7);
  // The plain cluster is the last in the file; QEMU reads what it lacks as zeros.
  await truncate(file, readFileSync(file).length - 1000);
  await t.rejects(readWhole(file, folder), {
    code: "DISK_IMAGE_UNSUPPORTED",
    message: /it ends before its data: a cluster needs \d+ bytes, the file has \d+/,
  });
});

t.test("images as programs leave them are whole, however little is in their files", async (t) => {
  const folder = t.testdir();
  const MIB = 1024 * 1024;
  for (const [name, format, options] of [
    ["empty.qcow2", "qcow2", []],
    ["metadata.qcow2", "qcow2", ["-o", "preallocation=metadata"]],
    ["metadata-odd.qcow2", "qcow2", ["-o", "preallocation=metadata,cluster_size=2M"]],
    [
      "metadata-subclusters.qcow2",
      "qcow2",
      ["-o", "preallocation=metadata,extended_l2=on,cluster_size=128k"],
    ],
    ["empty.vmdk", "vmdk", []],
    ["empty.vdi", "vdi", []],
    ["empty.vhdx", "vhdx", []],
    ["fixed.vhdx", "vhdx", ["-o", "subformat=fixed"]],
    ["empty.vhd", "vpc", ["-o", "force_size=on"]],
  ] as const) {
    const file = path.join(folder, name);
    await qemuImg("create", "-q", "-f", format, ...options, file, "5M");
    t.ok((await readWhole(file, folder)).equals(Buffer.alloc(5 * MIB)), name);
  }
  for (const [name, format, options] of [
    ["written.qcow2", "qcow2", []],
    ["written-subclusters.qcow2", "qcow2", ["-o", "extended_l2=on,cluster_size=128k"]],
    ["written.vmdk", "vmdk", []],
    ["written.vdi", "vdi", []],
    ["written.vhdx", "vhdx", []],
  ] as const) {
    const file = path.join(folder, name);
    await qemuImg("create", "-q", "-f", format, ...options, file, "5M");
    await qemuIo(file, "write -P 9 3M 4k");
    const expected = Buffer.alloc(5 * MIB).fill(9, 3 * MIB, 3 * MIB + 4096);
    t.ok((await readWhole(file, folder)).equals(expected), name);
  }
});

t.test("a VHD is as large as it says, not as its old geometry would have it", async (t) => {
  const folder = t.testdir();
  for (const subformat of ["dynamic", "fixed"]) {
    const file = path.join(folder, `${subformat}.vhd`);
    await qemuImg("create", "-q", "-f", "vpc", "-o", `subformat=${subformat},force_size=on`, file, "5M");
    // VirtualBox's name: QEMU would take the geometry.
    const bytes = readFileSync(file);
    for (const at of subformat === "fixed" ? [bytes.length - 512] : [0, bytes.length - 512]) {
      const footer = bytes.subarray(at, at + 512);
      footer.write("vbox", 28, "latin1");
      footer.writeUInt32BE(0, 64);
      footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
      await run({
        file: "dd",
        args: [`of=${file}`, "conv=notrunc", "bs=1", `seek=${at}`, "status=none"],
        input: footer,
      });
    }
    t.equal((await readWhole(file, folder)).length, 5 * 1024 * 1024, subformat);
  }
  const raw = path.join(folder, "raw.img");
  await run({
    file: "dd",
    args: [`of=${raw}`, "bs=512", "seek=200", "status=none"],
    input: `conectix${"x".repeat(504)}`,
  });
  t.equal((await probeImageFormat(raw)).sizeBytes, 201 * 512, "what only begins like a footer is data");
});
