import { readdir, readFile, writeFile, mkdir } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { withCodecPool } from "../../src/disk/codec-pool.ts";
import { exportDisk } from "../../src/disk/export-disk.ts";
import { bytesToFetch, listPacks } from "../../src/disk/forecast.ts";
import { decodeIndex, encodeIndex } from "../../src/disk/index-files.ts";
import type { Oid } from "../../src/disk/object-store.ts";
import { encodePackTail, readPackEntries } from "../../src/disk/pack-format.ts";
import { patchDisk } from "../../src/disk/patch-disk.ts";
import { pathStore } from "../../src/disk/path-store.ts";
import { verifyDisk } from "../../src/disk/verify.ts";
import { verifyPack } from "./verify-pack.ts";
import { frameContentSize } from "../../src/disk/zstd-frame.ts";
import {
  CHUNK,
  compressed,
  makeIndex,
  makePack,
  memoryReader,
  memoryStore,
  noise,
  sha256,
  type HandMadeChunk,
  type HandMadePack,
} from "./fixtures.ts";

/** Text-like chunks and one that differs a little from the first. */
const first = noise(1, CHUNK, 40);
const second = noise(2, CHUNK, 40);
const random = noise(3);
const changed = Buffer.concat([second.subarray(0, 30_000), noise(4, 500), first.subarray(30_500)]);
const short = noise(5, 1000, 40);

function objectsOf(...packs: readonly HandMadePack[]): Record<string, Uint8Array> {
  return Object.fromEntries(packs.map(({ oid, bytes }) => [oid, bytes]));
}

function plainPack(): HandMadePack {
  return makePack([
    { plain: first, codec: "zstd" },
    { plain: second, codec: "zstd" },
    { plain: random, codec: "raw" },
    { plain: short, codec: "zstd" },
  ]);
}

t.test("a pack can be read without an index", async (t) => {
  const pack = plainPack();
  const entries = await readPackEntries(memoryReader(pack.bytes));
  t.same(entries, pack.entries);
  const report = await verifyPack(pack.oid, memoryReader(pack.bytes));
  t.match(report, { goodChunks: 4, uncheckedChunks: 0, problems: [] });
  t.same(await readPackEntries(memoryReader(makePack([]).bytes)), [], "an empty pack is one");
});

t.test("a job that a worker cannot do is one error; the pool goes on with the next", async (t) => {
  await withCodecPool(async (pool) => {
    const item = { storedBytes: 1, codec: "raw", digest: "", plainBytes: undefined } as const;
    const decode = (offset: number) =>
      pool.decode(new ArrayBuffer(1), new ArrayBuffer(CHUNK), [{ ...item, offset }]);
    await t.rejects(decode(2), {
      code: "DISK_WORKER_FAILED",
      message: /Invalid typed array/,
    });
    t.match(await decode(0), { chunks: [{ problem: /SHA-256/ }] });
    const abandoned = decode(0);
    await Promise.all([
      t.rejects(abandoned, { code: "DISK_WORKER_FAILED", message: /the pool was closed/ }),
      pool.close(),
    ]);
  });
});

t.test("deltas against chunks of the disk, of another pack, of other deltas are decoded", async (t) => {
  const folder = t.testdir();
  const old = plainPack();
  const again = Buffer.concat([changed.subarray(0, 60_000), noise(6, 536), changed.subarray(60_536)]);
  const deltas = makePack([
    { plain: changed, codec: "delta", bases: [first, second] },
    { plain: again, codec: "delta", bases: [changed] },
    { plain: short.subarray(0, 700), codec: "delta", bases: [short] },
  ]);
  t.ok(deltas.records[0]!.storedBytes < 1500, `two bases help: ${deltas.records[0]!.storedBytes} bytes`);
  const index = makeIndex(
    [old, deltas],
    [sha256(again), undefined, sha256(first), sha256(random), sha256(short.subarray(0, 700))],
    { sizeBytes: 4 * CHUNK + 700, bases: [sha256(changed), sha256(second), sha256(short)] },
  );
  const read = decodeIndex(encodeIndex(index));
  t.same(read, index);
  const store = memoryStore(objectsOf(old, deltas));
  const target = path.join(folder, "disk");
  await exportDisk({ index: read, store, target });
  const expected = Buffer.concat([again, Buffer.alloc(CHUNK), first, random, short.subarray(0, 700)]);
  t.equal(sha256(await readFile(target)), sha256(expected));
  t.match(await verifyDisk(read, store), { goodChunks: 7, problems: [] });
  const report = await verifyPack(deltas.oid, memoryReader(deltas.bytes));
  t.match(report, { goodChunks: 0, uncheckedChunks: 3, problems: [] }, "its bases are elsewhere");
  t.same(listPacks(index), [old.oid, deltas.oid].sort());
});

t.test("the forecast counts a base only when it is needed and not at hand", (t) => {
  const old = plainPack();
  const deltas = makePack([{ plain: changed, codec: "delta", bases: [first, second] }]);
  const [one, two, raw] = old.records;
  const wanted = makeIndex([old, deltas], [sha256(changed), sha256(random), sha256(random)], {
    bases: [sha256(first), sha256(second)],
  });
  const delta = deltas.records[0]!.storedBytes;
  t.equal(bytesToFetch(wanted, []), delta + one!.storedBytes + two!.storedBytes + raw!.storedBytes);
  const had = makeIndex([old], [sha256(first), sha256(random)]);
  t.equal(bytesToFetch(wanted, [had]), delta + two!.storedBytes);
  t.equal(bytesToFetch(wanted, [makeIndex([deltas], [sha256(changed)]), had]), 0);
  t.end();
});

t.test("neighbouring chunks are read with one request, far ones with two", async (t) => {
  const far = Array.from({ length: 8 }, (_, at) => noise(100 + at));
  const pack = makePack(far.map((plain) => ({ plain, codec: "raw" })));
  const near = memoryStore(objectsOf(pack));
  await exportDisk({
    index: makeIndex([pack], far.slice(0, 3).map(sha256)),
    store: near,
    target: path.join(t.testdir(), "a"),
  });
  t.same(near.reads, [`16+${3 * CHUNK}`]);
  const apart = memoryStore(objectsOf(pack));
  const index = makeIndex([pack], [sha256(far[0]!), sha256(far[7]!)]);
  await exportDisk({ index, store: apart, target: path.join(t.testdir(), "b") });
  t.equal(apart.reads.length, 2);
});

/** A frame header with an 8-byte content size, and one empty last block. */
function frameStating(size: number | bigint): Buffer {
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
  frame.writeBigUInt64LE(BigInt(size), 5);
  return frame;
}

/** 128 KiB of zeros in a run-length block, said to be a chunk. */
function bomb(): Buffer {
  const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 1, 0, 0x03, 0x00, 0x10, 0x00]);
  frame.writeUInt32LE(CHUNK, 5);
  return frame;
}

/** Index and packs of a disk with one chunk as given, and how reading it must fail. */
const wrongChunks: readonly [title: string, chunk: HandMadeChunk, message: RegExp][] = [
  ["raw bytes of another chunk", { plain: random, codec: "raw", stored: noise(9) }, /SHA-256/],
  ["a frame of another chunk", { plain: first, codec: "zstd", stored: compressed(second) }, /SHA-256/],
  ["no frame at all", { plain: first, codec: "zstd", stored: noise(9, 500) }, /not a zstd frame/],
  [
    "a cut frame",
    { plain: first, codec: "zstd", stored: compressed(first).subarray(0, -9) },
    /does not decode/,
  ],
  [
    "a shorter chunk",
    { plain: first, codec: "zstd", stored: compressed(short) },
    /1000 plain bytes, expected 65536/,
  ],
  [
    "a frame that states 4 GiB",
    { plain: first, codec: "zstd", stored: frameStating(2 ** 32 - 1) },
    /states 4294967295 plain bytes, more than/,
  ],
  [
    "a frame that states 2^60 bytes",
    { plain: first, codec: "zstd", stored: frameStating(2n ** 60n) },
    /not a zstd frame that states/,
  ],
  [
    "a bomb that states less than it holds",
    { plain: first, codec: "zstd", stored: bomb() },
    /does not decode/,
  ],
  [
    "two frames",
    {
      plain: first,
      codec: "zstd",
      stored: Buffer.concat([compressed(first.subarray(0, 9000)), compressed(first.subarray(9000))]),
    },
    /plain bytes, expected|does not decode/,
  ],
  [
    "a delta without its dictionary",
    { plain: changed, codec: "zstd", stored: compressed(changed).fill(0xff, 20, 60) },
    /decode|SHA-256/,
  ],
];

for (const [title, chunk, message] of wrongChunks) {
  t.test(`a chunk that is stored as ${title} is refused and nothing is left`, async (t) => {
    const folder = t.testdir();
    const pack = makePack([{ plain: second, codec: "zstd" }, chunk]);
    const index = makeIndex([pack], [sha256(second), sha256(chunk.plain)]);
    const store = memoryStore(objectsOf(pack));
    const expected = {
      code: "DISK_CHUNK_CORRUPT",
      message,
      data: { chunk: sha256(chunk.plain), pack: pack.oid },
    };
    await t.rejects(exportDisk({ index, store, target: path.join(folder, "disk") }), expected);
    t.same(await readdir(folder), []);
    const report = await verifyDisk(index, store);
    t.match(report, { goodChunks: 1, problems: [expected] });
    t.match((await verifyPack(pack.oid, memoryReader(pack.bytes))).problems, [expected]);
  });
}

t.test("a delta whose base is corrupt is refused", async (t) => {
  const old = makePack([{ plain: first, codec: "zstd", stored: compressed(second) }]);
  const deltas = makePack([{ plain: changed, codec: "delta", bases: [first] }]);
  const index = makeIndex([old, deltas], [sha256(changed)], { bases: [sha256(first)] });
  const target = path.join(t.testdir(), "disk");
  await t.rejects(exportDisk({ index, store: memoryStore(objectsOf(old, deltas)), target }), {
    code: "DISK_CHUNK_CORRUPT",
    data: { chunk: sha256(first), pack: old.oid },
  });
});

t.test("a base that the local image no longer has is fetched instead", async (t) => {
  const folder = t.testdir({ image: first });
  const file = path.join(folder, "image");
  const old = makePack([{ plain: first, codec: "zstd" }]);
  const fresh = makePack([{ plain: random, codec: "raw" }]);
  const deltas = makePack([{ plain: changed, codec: "delta", bases: [first] }]);
  const index = makeIndex([old, fresh, deltas], [sha256(random), sha256(changed)], {
    bases: [sha256(first)],
  });
  const packs = memoryStore(objectsOf(old, fresh, deltas));
  const opened: string[] = [];
  // Plain chunks are fetched before deltas: when the base is needed, the image is not what it was.
  const store = {
    open: async (oid: Oid) => {
      opened.push(oid);
      await writeFile(file, second);
      return await packs.open(oid);
    },
  };
  const base = { path: file, index: makeIndex([old], [sha256(first)]) };
  const target = path.join(folder, "target");
  await patchDisk({ base, index, store, target });
  t.equal(sha256(await readFile(target)), sha256(Buffer.concat([random, changed])));
  t.ok(opened.includes(old.oid));
  await writeFile(file, first);
  opened.length = 0;
  const { fetchedBytes } = await patchDisk({ base, index, store: packs, target });
  t.equal(fetchedBytes, bytesToFetch(index, [base.index]), "and not fetched when it is there");
});

t.test("a dictionary that begins like a trained one is still plain content", async (t) => {
  const tricky = Buffer.concat([Buffer.from([0x37, 0xa4, 0x30, 0xec]), first.subarray(4)]);
  const pack = makePack([
    { plain: tricky, codec: "zstd" },
    { plain: changed, codec: "delta", bases: [tricky] },
    { plain: short, codec: "delta", bases: [short.subarray(0, 3)] },
    { plain: short.subarray(0, 3), codec: "raw" },
  ]);
  t.match(await verifyPack(pack.oid, memoryReader(pack.bytes)), { goodChunks: 4, problems: [] });
});

t.test("a pack that is damaged anywhere is noticed", async (t) => {
  const pack = makePack([
    { plain: short, codec: "zstd" },
    { plain: noise(7, 100), codec: "raw" },
    { plain: short.subarray(0, 600), codec: "delta", bases: [short] },
  ]);
  // Chunk bytes need worker threads to be found wrong: a few of them; head, table and trailer everywhere.
  const dataEnd = pack.bytes.length - 3 * 44 - 32 - 48;
  const places = [...range(0, 16, 1), ...range(16, dataEnd, 211), ...range(dataEnd, pack.bytes.length, 1)];
  for (const at of places) {
    const bytes = Buffer.from(pack.bytes);
    bytes[at] = bytes[at]! ^ 0x20;
    if (await looksGood(pack.oid, bytes)) t.fail(`byte ${at} of ${bytes.length} may be flipped`);
  }
  for (const length of [0, 15, 63, 64, 200, pack.bytes.length - 1]) {
    await t.rejects(verifyPack(pack.oid, memoryReader(pack.bytes.subarray(0, length))), {
      code: "DISK_PACK_CORRUPT",
    });
  }
});

t.test("a pack that is forged is refused", async (t) => {
  const pack = makePack([{ plain: short, codec: "zstd" }]);
  const [entry] = pack.entries;
  const data = pack.bytes.subarray(0, 16 + entry!.storedBytes);
  const refused = async (
    title: string,
    bytes: Buffer,
    message: RegExp,
    code = "DISK_PACK_CORRUPT",
  ): Promise<void> => {
    await t.rejects(verifyPack(pack.oid, memoryReader(bytes)), { code, message }, title);
  };
  const changedAt = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(pack.bytes);
    bytes.writeUInt32BE(value, at < 0 ? bytes.length + at : at);
    return bytes;
  };
  await refused("magic", changedAt(0, 0), /does not begin with CUIPACK1/);
  await refused("version", changedAt(8, 7), /version 7; understood is 1/, "DISK_FORMAT_UNSUPPORTED");
  await refused("features", changedAt(12, 0x80000000), /features 0x80000000/, "DISK_FORMAT_UNSUPPORTED");
  await refused("end magic", changedAt(-4, 0), /does not end with CUIPACKE/);
  await refused("chunk count", changedAt(-16, 0xffffffff), /counts 4294967295 chunks/);
  await refused("chunk count that fits no pack", changedAt(-16, 60_000), /more than fit/);
  await refused("base count", changedAt(-12, 9), /counts 1 chunks and 9 bases/);
  await refused("table", changedAt(data.length + 4, 1), /digest its trailer states/);
  const forged = (more: object): Buffer => Buffer.concat([data, encodePackTail([{ ...entry!, ...more }])]);
  await refused("stored length", forged({ storedBytes: 3 }), /end at 19, its data at/);
  await refused("stored more than plain", forged({ plainBytes: 4 }), /entry 0/);
  await refused("plain too long", forged({ plainBytes: CHUNK + 1 }), /entry 0/);
  await refused("no plain bytes", forged({ plainBytes: 0 }), /entry 0/);
  await refused("raw of another length", forged({ codec: "raw" }), /entry 0/);
  await refused("delta without bases", forged({ codec: "delta" }), /entry 0/);
  await refused("bases of a plain chunk", forged({ bases: [entry!.digest] }), /entry 0/);
  await refused("its own base", forged({ codec: "delta", bases: [entry!.digest] }), /cycle/);
  const twice = Buffer.concat([data, data.subarray(16), encodePackTail([entry!, entry!])]);
  await refused("a chunk twice", twice, /twice/);
  const pointer = Buffer.from(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${pack.oid}\nsize 12345\n`,
  );
  await refused("a pointer", pointer, /does not begin with CUIPACK1/);
  await t.rejects(verifyPack(pack.oid, { ...memoryReader(pack.bytes), sizeBytes: 2 ** 28 + 1 }), {
    message: /at most/,
  });
});

t.test("a pack that is missing, or is not the one of the index, is an error", async (t) => {
  const folder = t.testdir();
  const pack = plainPack();
  const index = makeIndex([pack], [sha256(first), sha256(second)]);
  const target = path.join(folder, "disk");
  await t.rejects(exportDisk({ index, store: memoryStore({}), target }), { code: "DISK_PACK_MISSING" });
  const cut = memoryStore({ [pack.oid]: pack.bytes.subarray(0, -1) });
  await t.rejects(exportDisk({ index, store: cut, target }), {
    code: "DISK_PACK_CORRUPT",
    message: new RegExp(
      `${pack.oid}.*has ${pack.bytes.length - 1} bytes, the index says ${pack.bytes.length}`,
    ),
  });
  t.match(await verifyDisk(index, memoryStore({})), {
    goodChunks: 0,
    problems: [{ code: "DISK_PACK_MISSING" }],
  });
  t.same(await readdir(folder), []);
});

t.test("a path store keeps objects by their SHA-256 and lets nothing else in", async (t) => {
  const folder = t.testdir();
  const store = pathStore(path.join(folder, "objects"));
  const oid = sha256(first) as Oid;
  const other = sha256(second) as Oid;
  const file = path.join(folder, "file");
  await writeFile(file, first);
  await t.rejects(store.add(other, file), { code: "DISK_PACK_CORRUPT", message: new RegExp(oid) });
  t.equal(await store.has(other), false);
  await t.rejects(store.open(other), { code: "DISK_PACK_MISSING" });
  await t.rejects(store.verify(other), { code: "DISK_PACK_MISSING" });
  await store.add(oid, file);
  t.same(await readdir(path.join(folder, "objects", oid.slice(0, 2), oid.slice(2, 4))), [oid]);
  await store.add(oid, "/nonexistent");
  await store.verify(oid);
  const reader = await store.open(oid);
  t.equal(reader.sizeBytes, CHUNK);
  t.same(Buffer.from(await reader.read(100, 50)), first.subarray(100, 150));
  await t.rejects(reader.read(CHUNK - 1, 2), { code: "DISK_PACK_CORRUPT" });
  await reader.close();
  await writeFile(store.pathOf(oid), second);
  await t.rejects(store.verify(oid), { code: "DISK_PACK_CORRUPT" });
  for (const bad of ["../../../../etc/passwd", "", "A".repeat(64), `${oid}/`]) {
    t.throws(() => store.pathOf(bad as Oid), { code: "DISK_INDEX_INVALID" });
  }
});

t.test("a target that cannot be written is an error", async (t) => {
  const folder = t.testdir({ file: "" });
  const pack = plainPack();
  const index = makeIndex([pack], [sha256(first)]);
  const store = memoryStore(objectsOf(pack));
  await t.rejects(exportDisk({ index, store, target: path.join(folder, "none", "disk") }), {
    code: "DISK_WRITE_FAILED",
  });
  await mkdir(path.join(folder, "taken"));
  await t.rejects(exportDisk({ index, store, target: path.join(folder, "taken") }), {
    code: "DISK_WRITE_FAILED",
  });
  t.same((await readdir(folder)).sort(), ["file", "taken"]);
});

t.test("frames say how much is in them", (t) => {
  t.equal(frameContentSize(compressed(Buffer.alloc(0))), 0);
  t.equal(frameContentSize(compressed(noise(1, 200))), 200);
  t.equal(frameContentSize(compressed(noise(1, 300))), 300);
  t.equal(frameContentSize(compressed(first)), CHUNK);
  t.equal(frameContentSize(compressed(Buffer.alloc(300_000))), 300_000);
  t.equal(frameContentSize(Buffer.alloc(3)), undefined);
  const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 9, 1, 0, 0];
  t.equal(frameContentSize(Buffer.from(frame)), 9);
  t.equal(frameContentSize(Buffer.from(frame.with(4, 0x21))), undefined, "with a dictionary id");
  t.equal(frameContentSize(Buffer.from(frame.with(4, 0x28))), undefined, "with a reserved bit");
  t.equal(frameContentSize(Buffer.from(frame.with(4, 0x00))), undefined, "without a size");
  t.equal(frameContentSize(Buffer.from(frame.with(0, 0x29))), undefined, "another magic");
  t.end();
});

function* range(from: number, to: number, step: number): Generator<number> {
  for (let at = from; at < to; at += step) yield at;
}

async function looksGood(oid: Oid, bytes: Buffer): Promise<boolean> {
  try {
    const report = await verifyPack(oid, memoryReader(bytes));
    return report.problems.length === 0 && report.uncheckedChunks === 0;
  } catch {
    return false;
  }
}
