import { spawnSync } from "node:child_process";
import { open, readdir, readFile, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import fc from "fast-check";
import t, { type Test } from "tap";
import { indexDigest } from "../../src/disk/disk-index.ts";
import { exportDisk } from "../../src/disk/export-disk.ts";
import { bytesToFetch, listPacks } from "../../src/disk/forecast.ts";
import { decodeIndex, encodeIndex } from "../../src/disk/index-files.ts";
import { patchDisk } from "../../src/disk/patch-disk.ts";
import { pathStore, type PathStore } from "../../src/disk/path-store.ts";
import { verifyDisk } from "../../src/disk/verify.ts";
import { verifyPack } from "./verify-pack.ts";
import { writeProgramDisk, type WriteOptions, type WrittenDisk } from "../../src/disk/write-program-disk.ts";
import { run } from "../../src/io.ts";
import { CHUNK, noise, sha256 } from "./fixtures.ts";

const MIB = 1024 * 1024;

interface Place {
  readonly folder: string;
  readonly store: PathStore;
  readonly image: string;
  readonly target: string;
}

function placeIn(folder: string): Place {
  return {
    folder,
    store: pathStore(path.join(folder, "objects")),
    image: path.join(folder, "disk.raw"),
    target: path.join(folder, "out.raw"),
  };
}

/** Adds the image of `place`, or another one, and puts the packs into the store. */
async function add(place: Place, more: Partial<WriteOptions> = {}): Promise<WrittenDisk> {
  const packDirectory = path.join(place.folder, "packs");
  const written = await writeProgramDisk({ image: place.image, packDirectory, ...more });
  for (const pack of written.packs) await place.store.add(pack.oid, pack.path);
  return written;
}

/** A sparse image with the given chunks at their positions. */
async function writeImage(
  file: string,
  sizeBytes: number,
  chunks: Readonly<Record<number, Buffer>>,
): Promise<void> {
  const handle = await open(file, "w");
  await handle.truncate(sizeBytes);
  for (const [position, bytes] of Object.entries(chunks)) {
    await handle.write(bytes, 0, bytes.length, Number(position) * CHUNK);
  }
  await handle.close();
}

async function sameFiles(t: Test, a: string, b: string): Promise<void> {
  t.equal(sha256(await readFile(a)), sha256(await readFile(b)), `${path.basename(a)} is ${path.basename(b)}`);
}

for (const [title, size] of [
  ["an empty disk", 0],
  ["one byte", 1],
  ["one chunk", CHUNK],
  ["a chunk and a half", CHUNK + CHUNK / 2],
  ["exactly one shard", 1024 * CHUNK],
  ["one chunk more than a shard", 1025 * CHUNK],
] as const) {
  t.test(`${title} comes back bit for bit`, async (t) => {
    const place = placeIn(t.testdir());
    const content = Buffer.alloc(size);
    for (let at = 0; at < size; at += CHUNK * 3) noise(at, Math.min(900, size - at), 30).copy(content, at);
    if (size > 0) content[size - 1] = 7;
    await writeFile(place.image, content);
    const { index, packs } = await add(place);
    const read = decodeIndex(encodeIndex(index));
    t.same(read, index);
    t.equal(packs.length, size === 0 ? 0 : 1);
    const { fetchedBytes } = await exportDisk({ index: read, store: place.store, target: place.target });
    t.equal(fetchedBytes, bytesToFetch(read, []));
    await sameFiles(t, place.target, place.image);
    t.same((await verifyDisk(read, place.store)).problems, []);
    for (const { oid } of packs) {
      const reader = await place.store.open(oid);
      t.match(await verifyPack(oid, reader), { problems: [], uncheckedChunks: 0 });
      await reader.close();
    }
  });
}

t.test("any disk comes back bit for bit", async (t) => {
  const folder = t.testdir();
  const place = placeIn(folder);
  const piece = fc.record({
    at: fc.nat(2 * MIB),
    length: fc.integer({ min: 1, max: 200_000 }),
    seed: fc.nat(3),
    texture: fc.constantFrom(1, 2, 50, 256),
  });
  await fc.assert(
    fc.asyncProperty(fc.nat(2 * MIB), fc.array(piece, { maxLength: 6 }), async (size, pieces) => {
      const content = Buffer.alloc(size);
      for (const { at, length, seed, texture } of pieces) noise(seed, length, texture).copy(content, at);
      await writeImage(place.image, size, {});
      const handle = await open(place.image, "r+");
      for (const { at, length } of pieces)
        await handle.write(content.subarray(at, at + length), 0, undefined, at);
      await handle.close();
      await truncate(place.image, size);
      const { index } = await add(place, { maxPackBytes: 100_000 });
      await exportDisk({ index: decodeIndex(encodeIndex(index)), store: place.store, target: place.target });
      t.ok((await readFile(place.target)).equals(content));
    }),
    { numRuns: 12 },
  );
});

t.test("zeros cost nothing, a sparse disk stays sparse", async (t) => {
  const place = placeIn(t.testdir());
  const sizeBytes = 900 * 1024 * MIB + 17;
  await writeImage(place.image, sizeBytes, { 0: Buffer.alloc(CHUNK), 9_000_000: noise(1, 50) });
  const { index, packs, addedBytes } = await add(place);
  t.ok(addedBytes < 300, `${addedBytes} bytes`);
  t.equal(packs.length, 1);
  const files = encodeIndex(index);
  t.same(
    files.map(({ name }) => name),
    ["header", (9_000_000 >> 10).toString(16).padStart(4, "0")],
  );
  await exportDisk({ index, store: place.store, target: place.target });
  const { size, blocks } = await stat(place.target);
  t.equal(size, sizeBytes);
  t.ok(blocks * 512 < MIB, `takes ${blocks * 512} bytes`);
});

t.test("a disk of zeros needs no pack, whether they are written or not", async (t) => {
  const place = placeIn(t.testdir());
  await writeFile(place.image, Buffer.alloc(3 * CHUNK + 5));
  const { index, packs } = await add(place);
  t.same([packs, index.chunks, encodeIndex(index).length], [[], [], 1]);
  t.same(await readdir(path.join(place.folder, "packs")), []);
});

/** Three shards, compressible, some chunks the same; and a second version with few changes. */
async function twoVersions(folder: string): Promise<{ place: Place; second: string; sizeBytes: number }> {
  const place = placeIn(folder);
  const second = path.join(folder, "second.raw");
  const sizeBytes = 2500 * CHUNK + 1234;
  const chunks = Object.fromEntries(
    Array.from({ length: 50 }, (_, at) => [at * 50, noise(at % 40, CHUNK, 60)]),
  );
  await writeImage(place.image, sizeBytes, { ...chunks, 2500: noise(99, 1234, 20) });
  await writeImage(second, sizeBytes, {
    ...chunks,
    2500: noise(99, 1234, 20),
    0: Buffer.alloc(CHUNK),
    50: noise(200, CHUNK, 60),
    51: chunks[100]!,
    100: noise(201, CHUNK, 60),
  });
  return { place, second, sizeBytes };
}

t.test("a second version adds what is new, and leaves the files of unchanged regions alone", async (t) => {
  const { place, second } = await twoVersions(t.testdir());
  const one = await add(place);
  const two = await add(place, { image: second, previous: one.index });
  t.equal(two.packs.length, 1);
  const fresh = two.index.chunks.filter(({ record }) => record.pack === two.packs[0]!.oid);
  t.same(
    fresh.map(({ position }) => position),
    [50, 100],
  );
  t.equal(
    bytesToFetch(two.index, [one.index]),
    fresh.reduce((sum, { record }) => sum + record.storedBytes, 0),
  );
  t.equal(bytesToFetch(two.index, [two.index]), 0);
  t.same(listPacks(two.index), [one.packs[0]!.oid, two.packs[0]!.oid].sort());
  const before = new Map(encodeIndex(one.index).map(({ name, bytes }) => [name, sha256(bytes)]));
  const changed = encodeIndex(two.index).filter(({ name, bytes }) => before.get(name) !== sha256(bytes));
  t.same(
    changed.map(({ name }) => name),
    ["header", "0000"],
  );
  await exportDisk({ index: two.index, store: place.store, target: place.target });
  await sameFiles(t, place.target, second);

  const back = await add(place, { previous: two.index, known: [one.index] });
  t.same(back.packs, [], "going back to the first adds nothing");
  t.equal(indexDigest(back.index), indexDigest(one.index));
  t.not(indexDigest(two.index), indexDigest(one.index));
});

t.test("the same input gives the same bytes", async (t) => {
  const { place } = await twoVersions(t.testdir());
  const [one, two] = [await add(place), await add(place)];
  t.same(
    two.packs.map(({ oid }) => oid),
    one.packs.map(({ oid }) => oid),
  );
  t.same(encodeIndex(two.index), encodeIndex(one.index));
});

t.test("packs end before they are too large", async (t) => {
  const { place } = await twoVersions(t.testdir());
  const { packs, index, addedBytes } = await add(place, { maxPackBytes: 200_000 });
  t.ok(packs.length > 5, `${packs.length} packs`);
  for (const { sizeBytes, path: file } of packs) {
    t.ok(sizeBytes <= 200_000, `${sizeBytes} bytes`);
    t.equal((await stat(file)).size, sizeBytes);
  }
  t.equal(
    addedBytes,
    packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  );
  await exportDisk({ index, store: place.store, target: place.target });
  await sameFiles(t, place.target, place.image);
});

t.test("progress is told, and ends with all of it", async (t) => {
  const { place, sizeBytes } = await twoVersions(t.testdir());
  const writes: number[] = [];
  const reads: number[] = [];
  const { index } = await add(place, { onProgress: ({ doneBytes }) => writes.push(doneBytes) });
  await exportDisk({
    index,
    store: place.store,
    target: place.target,
    onProgress: ({ doneBytes, totalBytes }) => reads.push(doneBytes / totalBytes),
  });
  t.equal(writes.at(-1), sizeBytes);
  t.equal(reads.at(-1), 1);
  t.same(
    [...writes].sort((a, b) => a - b),
    writes,
  );
});

t.test("an update patches a clone and fetches only what is new", async (t) => {
  const { place, second } = await twoVersions(t.testdir());
  const one = await add(place);
  const two = await add(place, { image: second, previous: one.index });
  const base = { path: place.image, index: one.index };
  const before = sha256(await readFile(place.image));
  const report = await patchDisk({ base, index: two.index, store: place.store, target: place.target });
  await sameFiles(t, place.target, second);
  t.equal(sha256(await readFile(place.image)), before, "the base is as it was");
  t.same(report, { fetchedBytes: bytesToFetch(two.index, [one.index]), repairedChunks: 0 });
  const back = await patchDisk({
    base: { path: second, index: two.index },
    index: one.index,
    store: place.store,
    target: place.target,
  });
  await sameFiles(t, place.target, place.image);
  t.equal(back.repairedChunks, 0);
});

t.test("an update does not believe the local image", async (t) => {
  const { place, second } = await twoVersions(t.testdir());
  const one = await add(place);
  const two = await add(place, { image: second, previous: one.index });
  const handle = await open(place.image, "r+");
  await handle.write(Buffer.from("rot"), 0, 3, 1000 * CHUNK + 77);
  await handle.write(Buffer.from("rot"), 0, 3, 1001 * CHUNK);
  await handle.write(Buffer.alloc(CHUNK), 0, CHUNK, 1050 * CHUNK);
  await handle.close();
  const base = { path: place.image, index: one.index };
  const report = await patchDisk({ base, index: two.index, store: place.store, target: place.target });
  await sameFiles(t, place.target, second);
  t.equal(report.repairedChunks, 2);
  t.ok(report.fetchedBytes > bytesToFetch(two.index, [one.index]));
});

t.test("an update can make a disk longer or shorter", async (t) => {
  const place = placeIn(t.testdir());
  const second = path.join(place.folder, "second.raw");
  for (const [from, to] of [
    [3 * CHUNK + 100, 3 * CHUNK + 500],
    [3 * CHUNK + 500, 2 * CHUNK + 9],
    [2 * CHUNK, 5 * CHUNK],
    [5 * CHUNK + 1, 0],
  ] as const) {
    await writeFile(place.image, noise(1, from, 40));
    await writeFile(
      second,
      Buffer.concat([noise(1, Math.min(from, to), 40), Buffer.alloc(to - Math.min(from, to))]),
    );
    const one = await add(place);
    const two = await add(place, { image: second, previous: one.index });
    const base = { path: place.image, index: one.index };
    await patchDisk({ base, index: two.index, store: place.store, target: place.target });
    await sameFiles(t, place.target, second);
  }
  const { index } = await add(place);
  const nothing = { path: path.join(place.folder, "none"), index };
  await rm(place.target);
  await t.rejects(patchDisk({ base: nothing, index, store: place.store, target: place.target }), {
    code: "DISK_IMAGE_MISSING",
  });
  t.notOk(
    (await readdir(place.folder)).some((name) => name.startsWith(".")),
    "nothing half-made is left",
  );
});

t.test("a pack that was changed in the store is noticed, and nothing is left of the export", async (t) => {
  const { place } = await twoVersions(t.testdir());
  const { index, packs } = await add(place);
  const file = place.store.pathOf(packs[0]!.oid);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 1;
  await writeFile(file, bytes);
  await t.rejects(exportDisk({ index, store: place.store, target: place.target }), {
    code: "DISK_CHUNK_CORRUPT",
    data: { pack: packs[0]!.oid },
  });
  await truncate(file, 5000);
  await t.rejects(exportDisk({ index, store: place.store, target: place.target }), {
    code: "DISK_PACK_CORRUPT",
  });
  t.same((await readdir(place.folder)).sort(), ["disk.raw", "objects", "packs", "second.raw"]);
});

t.test("a qcow2 is made when asked for", async (t) => {
  const { place } = await twoVersions(t.testdir());
  const { index } = await add(place);
  const target = path.join(place.folder, "out.qcow2");
  await exportDisk({ index, store: place.store, target, format: "qcow2" });
  const args = ["compare", "-f", "raw", "-F", "qcow2", place.image, target];
  // QEMU rounds a qcow2 up to whole sectors; what is beyond is zero.
  t.match(await run({ file: "qemu-img", args }), /Images are identical/);
});

t.test(
  "what a killed process left behind goes with the next write, what a live one writes stays",
  async (t) => {
    const place = placeIn(t.testdir());
    await writeFile(place.image, noise(1, 1000, 40));
    const packs = path.join(place.folder, "packs");
    await add(place);
    const { pid } = spawnSync("true");
    const id = "00000000-0000-4000-8000-000000000000";
    const left = [
      `.cui-${pid}-${id}.tmp`,
      `.cui-${process.pid}-${id}.tmp`,
      `.cui-${pid}-fresh.tmp`,
      ".cui.tmp",
    ];
    for (const name of left) {
      await writeFile(path.join(packs, name), "half");
      await utimes(path.join(packs, name), 1, 1);
    }
    await writeFile(path.join(packs, `.cui-${pid}-${id.replace("8", "9")}.tmp`), "of this minute");
    await add(place);
    const names = await readdir(packs);
    t.same(
      left.map((name) => names.includes(name)),
      [false, true, true, true],
    );
    t.ok(names.includes(`.cui-${pid}-${id.replace("8", "9")}.tmp`));
  },
);

t.test("memory does not grow with the disk", async (t) => {
  const place = placeIn(t.testdir());
  const handle = await open(place.image, "w");
  const block = noise(1, 8 * MIB);
  for (let number = 0; number < 32; number += 1) {
    for (let at = 0; at < block.length; at += CHUNK) block.writeUInt32LE(number + 1, at);
    await handle.write(block);
  }
  await handle.close();
  const before = process.memoryUsage().rss;
  let peak = before;
  const sample = (): void => {
    peak = Math.max(peak, process.memoryUsage().rss);
  };
  const { index, addedBytes } = await add(place, { onProgress: sample });
  t.ok(addedBytes > 250 * MIB, "nothing of it compresses");
  await exportDisk({ index, store: place.store, target: place.target, onProgress: sample });
  t.ok(peak - before < 220 * MIB, `${Math.round((peak - before) / MIB)} MiB more`);
  await run({ file: "cmp", args: ["--", place.image, place.target] });
});
