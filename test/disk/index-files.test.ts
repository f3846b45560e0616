import { createHash } from "node:crypto";
import fc from "fast-check";
import t from "tap";
import { indexDigest, type ChunkRecord, type DiskIndex } from "../../src/disk/disk-index.ts";
import { decodeIndex, encodeIndex } from "../../src/disk/index-files.ts";
import type { IndexFile } from "../../src/disk/index-header.ts";
import { textconv } from "../../src/disk/index-text.ts";
import type { ChunkDigest, Oid } from "../../src/disk/object-store.ts";
import { CHUNK, sha256 } from "./fixtures.ts";

const MIB = 1024 * 1024;

function oid(name: string): Oid {
  return sha256(Buffer.from(`pack ${name}`)) as Oid;
}

function digest(name: string | number): ChunkDigest {
  return sha256(Buffer.from(`chunk ${name}`)) as ChunkDigest;
}

function record(name: string | number, more: Partial<ChunkRecord> = {}): ChunkRecord {
  return {
    digest: digest(name),
    pack: oid("a"),
    offset: 16,
    storedBytes: 100,
    codec: "zstd",
    bases: [],
    ...more,
  };
}

/** A disk of five chunks: two plain, one delta on a chunk of the disk and on one that is only a base. */
function sample(): DiskIndex {
  const base = record("base", { pack: oid("b") });
  const first = record(1);
  const second = record(2, { offset: 116, codec: "raw", storedBytes: CHUNK });
  const delta = record(3, {
    pack: oid("b"),
    offset: 116,
    codec: "delta",
    bases: [first.digest, base.digest],
  });
  return {
    sizeBytes: 4 * CHUNK + 1000,
    packs: [
      { oid: oid("a"), sizeBytes: MIB },
      { oid: oid("b"), sizeBytes: MIB },
    ].sort((a, b) => (a.oid < b.oid ? -1 : 1)),
    chunks: [
      { position: 0, record: first },
      { position: 1, record: second },
      { position: 2, record: delta },
      { position: 3, record: first },
    ],
    bases: [base],
    trace: [2, 0],
  };
}

/** Sets the header's checksum to what the files have, as somebody who forges an index would. */
function sealed(files: readonly IndexFile[]): IndexFile[] {
  const [header, ...others] = files;
  const bytes = Buffer.from(header!.bytes);
  const hash = createHash("sha256").update(bytes.subarray(0, -32));
  for (const file of others) {
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32BE(file.name.length, 0);
    lengths.writeUInt32BE(file.bytes.length, 4);
    hash.update(lengths).update(file.name).update(file.bytes);
  }
  hash.digest().copy(bytes, bytes.length - 32);
  return [{ name: "header", bytes }, ...others];
}

/** The files with one file's bytes changed and the checksum made right again. */
function forged(files: readonly IndexFile[], name: string, change: (bytes: Buffer) => unknown): IndexFile[] {
  return sealed(
    files.map((file) => {
      if (file.name !== name) return file;
      const bytes = Buffer.from(file.bytes);
      const changed = change(bytes);
      return { name, bytes: Buffer.isBuffer(changed) ? changed : bytes };
    }),
  );
}

t.test("an index comes back as it was", (t) => {
  t.same(decodeIndex(encodeIndex(sample())), sample());
  t.same(
    encodeIndex(sample()).map(({ name }) => name),
    ["header", "0000", `bases-${digest("base").slice(0, 1)}`, "trace"],
  );
  t.end();
});

t.test("any index comes back as it was", (t) => {
  const chunkNames = fc.uniqueArray(fc.nat(5000), { maxLength: 60 });
  const positions = fc.uniqueArray(fc.nat(4000), { maxLength: 80 });
  fc.assert(
    fc.property(chunkNames, positions, fc.nat(3), (names, places, packCount) => {
      const records = names.map((name, at) =>
        record(name, {
          pack: oid(String(at % (packCount + 1))),
          offset: 16 + at * 200,
          storedBytes: 1 + (name % 199),
        }),
      );
      const chunks = places
        .sort((a, b) => a - b)
        .flatMap((position, at) => {
          const found = records[at % Math.max(1, records.length)];
          return found === undefined ? [] : [{ position, record: found }];
        });
      const oids = [...new Set(chunks.map((chunk) => chunk.record.pack))].sort();
      const packs = oids.map((name) => ({ oid: name, sizeBytes: MIB }));
      const index: DiskIndex = { sizeBytes: 4001 * CHUNK, packs, chunks, bases: [], trace: [] };
      const files = encodeIndex(index);
      t.same(decodeIndex([...files].reverse()), index);
      t.same(encodeIndex(decodeIndex(files)), files);
    }),
    { numRuns: 60 },
  );
  t.end();
});

t.test("the format does not drift", (t) => {
  const files = encodeIndex(sample());
  t.same(
    files.map(({ name, bytes }) => [name, bytes.length, sha256(bytes).slice(0, 16)]),
    [
      ["header", 176, "7b81ec8312b9e1c0"],
      ["0000", 308, "1d68d7e75df93b35"],
      ["bases-1", 68, "c56be499dbdf7f19"],
      ["trace", 24, "10d6df29c6541de9"],
    ],
  );
  t.equal(indexDigest(sample()), "379040a6d5c9d4475bba7a92d6c9691fbd5f22a1c3c1d8e422afba77b2f25cb9");
  t.end();
});

t.test("an unchanged shard is the same file whatever else changes", (t) => {
  const chunks = [5, 1030, 2100].map((position) => ({
    position,
    record: record(position, { offset: 16 + position }),
  }));
  const sizeBytes = 3000 * CHUNK;
  const packs = [{ oid: oid("a"), sizeBytes: MIB }];
  const before: DiskIndex = { sizeBytes, packs, chunks: chunks.map(small), bases: [], trace: [] };
  const changed = {
    position: 1030,
    record: small({ position: 0, record: record("new", { pack: oid("b") }) }).record,
  };
  const after: DiskIndex = {
    ...before,
    packs: [...packs, { oid: oid("b"), sizeBytes: MIB }].sort((a, b) => (a.oid < b.oid ? -1 : 1)),
    chunks: before.chunks.map((chunk) => (chunk.position === 1030 ? changed : chunk)),
  };
  const filesBefore = new Map(encodeIndex(before).map(({ name, bytes }) => [name, sha256(bytes)]));
  const differing = encodeIndex(after).filter(({ name, bytes }) => filesBefore.get(name) !== sha256(bytes));
  t.same(
    differing.map(({ name }) => name),
    ["header", "0001"],
  );
  t.end();

  function small<Chunk extends { record: ChunkRecord }>(chunk: Chunk): Chunk {
    return { ...chunk, record: { ...chunk.record, storedBytes: 1 } };
  }
});

t.test("the digest is the content's: it does not depend on where chunks are stored", (t) => {
  const index = sample();
  const move = (one: ChunkRecord): ChunkRecord => ({ ...one, pack: oid("c"), offset: one.offset + 7 });
  const moved = { ...index, chunks: index.chunks.map((chunk) => ({ ...chunk, record: move(chunk.record) })) };
  t.equal(indexDigest(moved), indexDigest(index));
  t.not(indexDigest({ ...index, sizeBytes: index.sizeBytes + 1 }), indexDigest(index));
  t.not(indexDigest({ ...index, chunks: index.chunks.slice(1) }), indexDigest(index));
  t.end();
});

t.test("a file that is flipped anywhere, missing, doubled or foreign is refused", (t) => {
  const files = encodeIndex(sample());
  for (const file of files) {
    for (let at = 0; at < file.bytes.length; at += 1) {
      const bytes = Buffer.from(file.bytes);
      bytes[at] = bytes[at]! ^ 0x40;
      const broken = files.map((one) => (one === file ? { ...one, bytes } : one));
      if (refusal(broken) === undefined) t.fail(`byte ${at} of ${file.name} may be flipped`);
    }
    t.match(
      refusal(files.filter((one) => one !== file)),
      { code: "DISK_INDEX_INVALID" },
      `without ${file.name}`,
    );
    t.match(refusal([...files, file]), { code: "DISK_INDEX_INVALID" }, `${file.name} twice`);
  }
  for (const name of ["0001", "zzzz", "bases-g", "../header", "header.bak", "00000"]) {
    const extra = sealed([...files, { name, bytes: files[1]!.bytes }]);
    t.match(refusal(extra), { code: "DISK_INDEX_INVALID" }, `with ${name}`);
  }
  t.same(
    decodeIndex([...files, { name: "x-later", bytes: Buffer.from("?") }]),
    sample(),
    "x- names are ignored",
  );
  t.end();
});

const forgeries: readonly [
  title: string,
  file: string,
  change: (bytes: Buffer) => unknown,
  code: string,
  message: RegExp,
][] = [
  [
    "a newer version",
    "header",
    (b) => b.writeUInt32BE(2, 8),
    "DISK_FORMAT_UNSUPPORTED",
    /version 2; understood is 1/,
  ],
  ["a newer shard", "0000", (b) => b.writeUInt32BE(9, 8), "DISK_FORMAT_UNSUPPORTED", /version 9/],
  [
    "an unknown feature",
    "header",
    (b) => b.writeUInt32BE(4, 12),
    "DISK_FORMAT_UNSUPPORTED",
    /features 0x4; understood/,
  ],
  ["another magic", "header", (b) => b.write("XUIINDEX"), "DISK_INDEX_INVALID", /begin with CUIINDEX/],
  ["another chunk size", "header", (b) => b.writeUInt32BE(4096, 16), "DISK_INDEX_INVALID", /chunks of 65536/],
  ["another shard size", "header", (b) => b.writeUInt32BE(512, 20), "DISK_INDEX_INVALID", /1024 a shard/],
  [
    "a size past 64-bit floats",
    "header",
    (b) => b.writeBigUInt64BE((1n << 63n) + 1n, 24),
    "DISK_INDEX_INVALID",
    /9223372036854775809/,
  ],
  [
    "a disk too large",
    "header",
    (b) => b.writeBigUInt64BE(2n ** 42n + 1n, 24),
    "DISK_INDEX_INVALID",
    /at most 4398046511104/,
  ],
  [
    "a disk too small",
    "header",
    (b) => b.writeBigUInt64BE(BigInt(CHUNK), 24),
    "DISK_INDEX_INVALID",
    /expected 1 records/,
  ],
  [
    "too many packs",
    "header",
    (b) => b.writeUInt32BE(0xffffffff, 32),
    "DISK_INDEX_INVALID",
    /does not hold 4294967295 packs/,
  ],
  ["reserved bytes", "header", (b) => b.writeUInt32BE(1, 36), "DISK_INDEX_INVALID", /does not hold/],
  [
    "another digest",
    "header",
    (b) => b.writeUInt8(b.readUInt8(40) ^ 1, 40),
    "DISK_INDEX_INVALID",
    /digest its header states/,
  ],
  [
    "a longer header",
    "header",
    (b) => Buffer.concat([b, Buffer.alloc(4)]),
    "DISK_INDEX_INVALID",
    /does not hold 2 packs/,
  ],
  [
    "a pack too large",
    "header",
    (b) => b.writeUInt32BE(0x10000001, 72 + 32),
    "DISK_INDEX_INVALID",
    /more than 268435456/,
  ],
  [
    "packs out of order",
    "header",
    (b) => Buffer.concat([b.subarray(0, 72), b.subarray(108, 144), b.subarray(72, 108), b.subarray(144)]),
    "DISK_INDEX_INVALID",
    /out of order/,
  ],
  [
    "a pack too small for its chunks",
    "header",
    (b) => b.writeUInt32BE(216, 72 + 32),
    "DISK_INDEX_INVALID",
    /lies outside pack/,
  ],
  [
    "a pack nobody names",
    "0000",
    (b) => b.fill(0, 16 + 32, 16 + 40),
    "DISK_INDEX_INVALID",
    /the pack of chunk .* is not listed/,
  ],
  [
    "too many records",
    "0000",
    (b) => b.writeUInt32BE(6, 12),
    "DISK_INDEX_INVALID",
    /expected 5 records .* got 6/,
  ],
  ["a cut shard", "0000", (b) => b.subarray(0, 100), "DISK_INDEX_INVALID", /too short for 5 records/],
  ["a shard cut in its bases", "0000", (b) => b.subarray(0, -1), "DISK_INDEX_INVALID", /record 2/],
  [
    "a shard that goes on",
    "0000",
    (b) => Buffer.concat([b, Buffer.alloc(16)]),
    "DISK_INDEX_INVALID",
    /goes on/,
  ],
  [
    "a shard of zeros",
    "0000",
    (b) => {
      b.fill(0, 16, 16 + 5 * 52);
      return b.subarray(0, 16 + 5 * 52);
    },
    "DISK_INDEX_INVALID",
    /all zeros/,
  ],
  [
    "an offset in the head",
    "0000",
    (b) => {
      b.writeUInt32BE(15, 16 + 40);
      b.writeUInt32BE(15, 16 + 3 * 52 + 40);
    },
    "DISK_INDEX_INVALID",
    /overlaps another one or lies outside/,
  ],
  [
    "an offset past the pack",
    "0000",
    (b) => b.writeUInt32BE(0xffffff00, 16 + 52 + 40),
    "DISK_INDEX_INVALID",
    /lies outside/,
  ],
  ["an overlap", "0000", (b) => b.writeUInt32BE(115, 16 + 52 + 40), "DISK_INDEX_INVALID", /overlaps/],
  [
    "no stored bytes",
    "0000",
    (b) => {
      b.writeUInt32BE(0, 16 + 44);
      b.writeUInt32BE(0, 16 + 3 * 52 + 44);
    },
    "DISK_INDEX_INVALID",
    /no bytes/,
  ],
  [
    "more stored than plain",
    "0000",
    (b) => b.writeUInt32BE(CHUNK + 1, 16 + 44),
    "DISK_INDEX_INVALID",
    /said to take 65537/,
  ],
  [
    "raw that is shorter",
    "0000",
    (b) => b.writeUInt32BE(5, 16 + 52 + 44),
    "DISK_INDEX_INVALID",
    /take 5 as raw/,
  ],
  ["an unknown codec", "0000", (b) => b.writeUInt8(3, 16 + 48), "DISK_INDEX_INVALID", /record 0/],
  [
    "reserved bytes of a record",
    "0000",
    (b) => b.writeUInt16BE(1, 16 + 50),
    "DISK_INDEX_INVALID",
    /record 0/,
  ],
  [
    "a chunk stored in two ways",
    "0000",
    (b) => b.writeUInt32BE(17, 16 + 40),
    "DISK_INDEX_INVALID",
    /two ways/,
  ],
  [
    "a base that is not there",
    "0000",
    (b) => b.writeUInt8(b.readUInt8(b.length - 1) ^ 1, b.length - 1),
    "DISK_INDEX_INVALID",
    /base of chunk .* is not listed/,
  ],
  ["too many bases", "0000", (b) => b.writeUInt8(9, 16 + 2 * 52 + 49), "DISK_INDEX_INVALID", /record 2/],
  [
    "a base that is itself",
    "0000",
    (b) => b.copy(b, b.length - 16, 16 + 2 * 52, 16 + 2 * 52 + 16),
    "DISK_INDEX_INVALID",
    /cycle/,
  ],
  [
    "an empty trace",
    "trace",
    (b) => {
      b.writeUInt32BE(0, 12);
      return b.subarray(0, 16);
    },
    "DISK_INDEX_INVALID",
    /does not hold 0/,
  ],
  [
    "a trace of zeros",
    "trace",
    (b) => b.writeUInt32BE(4, 16),
    "DISK_INDEX_INVALID",
    /where there is no chunk/,
  ],
  ["a trace that repeats", "trace", (b) => b.writeUInt32BE(0, 16), "DISK_INDEX_INVALID", /twice/],
];

for (const [title, file, change, code, message] of forgeries) {
  t.test(`a forged index with ${title} is refused`, (t) => {
    t.match(refusal(forged(encodeIndex(sample()), file, change)), { code, message });
    t.end();
  });
}

t.test("bases that are not needed, or are on the disk, or in the wrong file, are refused", (t) => {
  const index = sample();
  const files = encodeIndex(index);
  const name = files.find((file) => file.name.startsWith("bases-"))!.name;
  const other = name === "bases-0" ? "bases-1" : "bases-0";
  const renamed = files.map((file) => (file.name === name ? { ...file, name: other } : file));
  t.match(refusal(sealed(renamed)), { message: /does not belong there/ });
  const unneeded = { ...index, bases: [...index.bases, record("x", { offset: 70_000 })].sort(byDigest) };
  t.throws(() => encodeIndex(unneeded), { message: /no chunk needs it/ });
  t.throws(() => encodeIndex({ ...index, bases: [...index.bases, record(1)].sort(byDigest) }), {
    message: /on the disk/,
  });
  t.throws(() => encodeIndex({ ...index, bases: [] }), { message: /is not listed/ });
  t.end();
});

function byDigest(a: ChunkRecord, b: ChunkRecord): number {
  return a.digest < b.digest ? -1 : 1;
}

t.test("names that agree in what records hold of them are refused", (t) => {
  const index = sample();
  const [pack, other] = index.packs;
  const twin = `${pack!.oid.slice(0, 16)}${other!.oid.slice(16)}` as Oid;
  const rename = (one: ChunkRecord): ChunkRecord => (one.pack === other!.oid ? { ...one, pack: twin } : one);
  const packs = [pack!, { ...other!, oid: twin }].sort((a, b) => (a.oid < b.oid ? -1 : 1));
  const chunks = index.chunks.map((chunk) => ({ ...chunk, record: rename(chunk.record) }));
  t.throws(() => encodeIndex({ ...index, packs, chunks, bases: index.bases.map(rename) }), {
    code: "DISK_INDEX_INVALID",
    message: /another begin with/,
  });
  const like = {
    ...index.chunks[1]!.record,
    digest: `${digest(1).slice(0, 32)}${digest(9).slice(32)}` as ChunkDigest,
  };
  const doubled = index.chunks.map((chunk) => (chunk.position === 1 ? { ...chunk, record: like } : chunk));
  t.throws(() => encodeIndex({ ...index, chunks: doubled }), { message: /another begin with/ });
  const delta = index.chunks[2]!.record;
  const repeated = { ...delta, bases: [delta.bases[0]!, delta.bases[1]!, delta.bases[0]!] };
  const again = index.chunks.map((chunk) => (chunk.position === 2 ? { ...chunk, record: repeated } : chunk));
  t.throws(() => encodeIndex({ ...index, chunks: again }), { message: /3 bases, 2 different/ });
  t.end();
});

t.test("chains of bases are bounded in depth and in number", (t) => {
  t.doesNotThrow(() => encodeIndex(chained(8)));
  t.throws(() => encodeIndex(chained(9)), { code: "DISK_INDEX_INVALID", message: /chain of more than 8/ });
  t.doesNotThrow(() => encodeIndex(fanned(7)));
  t.throws(() => encodeIndex(fanned(8)), { code: "DISK_INDEX_INVALID", message: /needs more than 64/ });
  t.end();

  /** Chunk 0 is a delta on 1, that on 2, and so on. */
  function chained(depth: number): DiskIndex {
    return diskOf(
      Array.from({ length: depth + 1 }, (_, at) => ({ name: at, bases: at < depth ? [at + 1] : [] })),
    );
  }
  /** Chunk 0 has eight bases, each of which has some. */
  function fanned(width: number): DiskIndex {
    const middle = Array.from({ length: 8 }, (_, at) => 1 + at);
    const leaves = middle.map((at) => Array.from({ length: width }, (_, leaf) => 100 + at * 10 + leaf));
    return diskOf([
      { name: 0, bases: middle },
      ...middle.map((name, at) => ({ name, bases: leaves[at]!.slice(0, at === 0 ? width - 1 : width) })),
      ...leaves.flat().map((name) => ({ name, bases: [] })),
    ]);
  }
  function diskOf(chunks: readonly { name: number; bases: readonly number[] }[]): DiskIndex {
    return {
      sizeBytes: chunks.length * CHUNK,
      packs: [{ oid: oid("a"), sizeBytes: MIB }],
      chunks: chunks.map(({ name, bases }, position) => ({
        position,
        record: record(name, {
          offset: 16 + position * 100,
          codec: bases.length > 0 ? "delta" : "zstd",
          bases: bases.map(digest),
        }),
      })),
      bases: [],
      trace: [],
    };
  }
});

t.test("each file of an index has a text", (t) => {
  const [header, shard, bases, trace] = encodeIndex(sample()).map(({ bytes }) => textconv(bytes));
  t.match(header, new RegExp(`^disk ${4 * CHUNK + 1000} bytes\ndigest ${indexDigest(sample())}\npack `));
  const lines = shard!.split("\n");
  t.equal(lines[0], `0 ${digest(1)} ${oid("a").slice(0, 16)} 16+100 zstd`);
  t.match(lines[2], ` delta ${digest(1).slice(0, 32)} ${digest("base").slice(0, 32)}`);
  t.equal(lines[4], "4 zero");
  t.match(bases, `0 ${digest("base")}`);
  t.equal(trace, "2\n0\n");
  t.throws(() => textconv(Buffer.from("version https://git-lfs")), { code: "DISK_INDEX_INVALID" });
  t.end();
});

function refusal(files: readonly IndexFile[]): unknown {
  try {
    decodeIndex(files);
    return undefined;
  } catch (error) {
    return error;
  }
}
