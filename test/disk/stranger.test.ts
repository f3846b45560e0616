/**
 * A second reader, written from docs/disk-format.md alone and sharing no code with src/disk: what it makes of an index and its
 * packs must be the disk. zstd is the program of that name.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { indexDigest } from "../../src/disk/disk-index.ts";
import { encodeIndex } from "../../src/disk/index-files.ts";
import { writeProgramDisk } from "../../src/disk/write-program-disk.ts";
import { makeIndex, makePack, noise, sha256, CHUNK } from "./fixtures.ts";

interface Record52 {
  readonly digest: string;
  readonly pack: string;
  readonly offset: number;
  readonly stored: number;
  readonly codec: number;
  readonly bases: readonly string[];
}

/** `files` by name; `packs` by oid. */
function readDisk(
  files: ReadonlyMap<string, Buffer>,
  packs: ReadonlyMap<string, Buffer>,
  scratch: string,
): Buffer {
  const header = files.get("header")!;
  const sizeBytes = Number(header.readBigUInt64BE(24));
  const shards = [...files].filter(([name]) => /^[0-9a-f]{4}$/.test(name));
  const records = new Map<number, Record52>();
  for (const [name, bytes] of shards) {
    for (const [at, record] of readTable(bytes).entries()) {
      if (record !== undefined) records.set(parseInt(name, 16) * 1024 + at, record);
    }
  }
  const bases = [...files]
    .filter(([name]) => name.startsWith("bases-"))
    .flatMap(([, bytes]) => readTable(bytes));
  const all = [...records.values(), ...bases.filter((record) => record !== undefined)];
  const plainOf = (record: Record52): Buffer => {
    const [, pack] = [...packs].find(([oid]) => oid.startsWith(record.pack))!;
    const stored = pack.subarray(record.offset, record.offset + record.stored);
    if (record.codec === 0) return stored;
    const dictionary = record.bases.map((base) =>
      plainOf(all.find(({ digest }) => digest.startsWith(base))!),
    );
    const plain = zstd(
      stored,
      record.codec === 1 ? undefined : Buffer.concat([Buffer.alloc(8), ...dictionary]),
      scratch,
    );
    if (hash(plain) !== record.digest) throw new Error(`${record.digest} is ${hash(plain)}`);
    return plain;
  };
  const disk = Buffer.alloc(sizeBytes);
  for (const [position, record] of records) plainOf(record).copy(disk, position * 65536);
  return disk;
}

function readTable(bytes: Buffer): (Record52 | undefined)[] {
  const count = bytes.readUInt32BE(12);
  let basesAt = 16 + 52 * count;
  return Array.from({ length: count }, (_, number) => {
    const at = 16 + 52 * number;
    if (bytes.subarray(at, at + 52).every((byte) => byte === 0)) return undefined;
    const bases = Array.from({ length: bytes.readUInt8(at + 49) }, () => {
      basesAt += 16;
      return bytes.toString("hex", basesAt - 16, basesAt);
    });
    return {
      digest: bytes.toString("hex", at, at + 32),
      pack: bytes.toString("hex", at + 32, at + 40),
      offset: bytes.readUInt32BE(at + 40),
      stored: bytes.readUInt32BE(at + 44),
      codec: bytes.readUInt8(at + 48),
      bases,
    };
  });
}

/** The disk digest, as the page has it. */
function digestOf(files: ReadonlyMap<string, Buffer>): string {
  const header = files.get("header")!;
  const whole = createHash("sha256")
    .update("collective disk 1\n")
    .update(header.subarray(24, 32))
    .update(header.subarray(16, 20));
  for (const name of [...files.keys()].filter((one) => /^[0-9a-f]{4}$/.test(one)).sort()) {
    const shard = createHash("sha256");
    for (const record of readTable(files.get(name)!))
      shard.update(Buffer.from(record?.digest ?? "0".repeat(64), "hex"));
    whole.update(Buffer.from(name.padStart(8, "0"), "hex")).update(shard.digest());
  }
  return whole.digest("hex");
}

function hash(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function zstd(frame: Buffer, dictionary: Buffer | undefined, scratch: string): Buffer {
  const args = ["-d", "-c", "-q"];
  if (dictionary !== undefined) {
    writeFileSync(path.join(scratch, "dictionary"), dictionary);
    args.push("-D", path.join(scratch, "dictionary"));
  }
  const { stdout, stderr, status } = spawnSync("zstd", args, { input: frame });
  if (status !== 0) throw new Error(stderr.toString());
  return stdout;
}

function asMap(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Map<string, Buffer> {
  return new Map(files.map(({ name, bytes }) => [name, Buffer.from(bytes)]));
}

const skip = spawnSync("zstd", ["--version"]).status === 0 ? false : "the program zstd is not installed";

t.test("a reader written from the documentation reads what the writer wrote", { skip }, async (t) => {
  const folder = t.testdir();
  const image = path.join(folder, "disk.raw");
  const disk = Buffer.alloc(1026 * CHUNK + 77);
  for (const position of [0, 3, 4, 1024])
    noise(position, CHUNK, position === 3 ? 256 : 9).copy(disk, position * CHUNK);
  disk.copy(disk, 9 * CHUNK, 0, CHUNK);
  disk.write("the end", disk.length - 7);
  writeFileSync(image, disk);
  const { index, packs } = await writeProgramDisk({ image, packDirectory: folder, maxPackBytes: 50_000 });
  const files = asMap(encodeIndex(index));
  const read = readDisk(
    files,
    new Map(packs.map(({ oid, path: file }) => [oid, readFileSync(file)])),
    folder,
  );
  t.equal(sha256(read), sha256(disk));
  t.equal(digestOf(files), indexDigest(index));
  t.equal(files.get("header")!.toString("hex", 40, 72), indexDigest(index));
});

t.test("and deltas with the dictionary it describes", { skip }, (t) => {
  const folder = t.testdir();
  const first = noise(1, CHUNK, 40);
  const second = noise(2, CHUNK, 40);
  const mixed = Buffer.concat([second.subarray(0, 40_000), first.subarray(40_000)]);
  const tricky = Buffer.concat([Buffer.from([0x37, 0xa4, 0x30, 0xec]), mixed.subarray(4)]);
  const old = makePack([
    { plain: first, codec: "zstd" },
    { plain: second, codec: "zstd" },
  ]);
  const deltas = makePack([
    { plain: mixed, codec: "delta", bases: [first, second] },
    { plain: tricky, codec: "delta", bases: [mixed] },
    { plain: second.subarray(0, 100), codec: "delta", bases: [tricky] },
  ]);
  const short = second.subarray(0, 100);
  const index = makeIndex([old, deltas], [sha256(tricky), undefined, sha256(first), sha256(short)], {
    sizeBytes: 3 * CHUNK + 100,
    bases: [sha256(mixed), sha256(second)],
  });
  const files = asMap(encodeIndex(index));
  const read = readDisk(files, new Map([old, deltas].map(({ oid, bytes }) => [oid, bytes])), folder);
  t.equal(sha256(read), sha256(Buffer.concat([tricky, Buffer.alloc(CHUNK), first, short])));
  t.equal(digestOf(files), indexDigest(index));
  t.end();
});
