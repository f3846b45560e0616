import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import t from "tap";
import { createDiskDigest } from "../../src/disk/disk-digest.ts";
import { indexDigest, type DiskIndex } from "../../src/disk/disk-index.ts";
import { openDiskImage } from "../../src/disk/image/disk-image.ts";
import { readChunks, type PlainChunk } from "../../src/disk/nbd/disk-chunks.ts";
import { openImage } from "../../src/disk/nbd/qemu-nbd.ts";
import type { ChunkDigest } from "../../src/disk/object-store.ts";
import { writeImage, type WriteImageOptions } from "../../src/disk/write-image.ts";
import { CHUNK, noise, sha256 } from "./fixtures.ts";

/** Over the border of a shard, with a last chunk that is shorter. */
const SIZE = 1024 * CHUNK * 2 + 512 * 3;
const LAST = Math.floor(SIZE / CHUNK);

const content = new Map<number, Buffer>([
  [0, noise(1)],
  [7, Buffer.concat([Buffer.alloc(CHUNK - 1), Buffer.from("x")])],
  [1023, noise(2)],
  [1024, noise(3)],
  [LAST, noise(4, 512 * 3)],
]);

async function* chunks(): AsyncGenerator<PlainChunk, void> {
  for (const [position, bytes] of content) yield await Promise.resolve({ position, bytes });
}

function options(target: string, change: Partial<WriteImageOptions> = {}): WriteImageOptions {
  return { target, format: "qcow2", sizeBytes: SIZE, chunks: chunks(), replace: false, ...change };
}

/** The digest as an index of the same content has it. */
function wantedDigest(): string {
  const placed = [...content].map(([position, bytes]) => ({
    position,
    record: { digest: sha256(bytes) as ChunkDigest },
  }));
  return indexDigest({ sizeBytes: SIZE, chunks: placed } as unknown as DiskIndex);
}

for (const format of ["raw", "qcow2"] as const) {
  t.test(`${format}: what was given is in the file, sparse, with the digest of its content`, async (t) => {
    const target = path.join(t.testdir(), "out");
    const written = await writeImage(options(target, { format }));
    t.equal(written.digest, wantedDigest());
    const image = await openDiskImage(target, t.testdirName);
    const found = new Map<number, string>();
    for await (const { position, bytes } of image.chunks()) found.set(position, sha256(bytes));
    await image.close();
    t.equal(image.sizeBytes, SIZE);
    t.same(
      [...found],
      [...content].map(([position, bytes]) => [position, sha256(bytes)]),
    );
    const { blocks, mode } = statSync(target);
    t.ok(blocks * 512 < 2 * 1024 * 1024, `${blocks * 512} bytes on disk`);
    t.equal(mode & 0o777, 0o600, "data is its owner's alone");
    t.same(readdirSync(t.testdirName), ["out"]);
  });
}

t.test("a disk without content, and one that is read again", async (t) => {
  const target = path.join(t.testdir(), "empty");
  const nothing = writeImage(options(target, { chunks: none() }));
  t.match(await nothing, { dataBytes: 0, digest: createDiskDigest(SIZE).end() });
  const folder = mkdtempSync(path.join(tmpdir(), "nbd-"));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const socket = path.join(folder, "nbd"); // at most 107 bytes
  const image = await openImage({
    file: target,
    format: "qcow2",
    writable: true,
    socket,
  });
  await image.client.write(5 * CHUNK + 100, Buffer.from("hello"));
  t.equal((await image.client.read(5 * CHUNK + 98, 9)).toString("latin1"), "\0\0hello\0\0");
  const found: number[] = [];
  for await (const { position } of readChunks(image.client)) found.push(position);
  t.same(found, [5]);
  await t.rejects(image.client.read(SIZE, 512), { code: "DISK_NBD_FAILED", data: { reason: "EINVAL" } });
  await t.rejects(image.client.write(SIZE - 10, Buffer.alloc(512)), { code: "DISK_NBD_FAILED" });
  t.equal((await image.client.read(5 * CHUNK + 100, 5)).toString(), "hello", "it goes on after an error");
  await image.close();
});

t.test("nothing takes the place of what is there", async (t) => {
  const folder = t.testdir({ file: "precious", folder: {} });
  symlinkSync("nowhere", path.join(folder, "dangling"));
  symlinkSync("file", path.join(folder, "link"));
  execFileSync("mkfifo", [path.join(folder, "fifo")]);
  const at = (name: string): string => path.join(folder, name);
  await t.rejects(writeImage(options(at("file"))), { code: "DISK_TARGET_EXISTS", hint: /--force/ });
  for (const name of ["folder", "dangling", "link", "fifo"]) {
    for (const replace of [false, true])
      await t.rejects(writeImage(options(at(name), { replace })), { code: "FILE_NOT_REGULAR" }, name);
  }
  await t.rejects(writeImage(options("/dev/null", { replace: true })), { code: "FILE_NOT_REGULAR" });
  t.equal(readFileSync(at("file"), "utf8"), "precious");

  const late = writeImage(
    options(at("late"), {
      onProgress: ({ stage }) => {
        if (stage === "verify") writeFileSync(at("late"), "came meanwhile");
      },
    }),
  );
  await t.rejects(late, { code: "DISK_TARGET_EXISTS" }, "nor of what came while it was written");
  t.equal(readFileSync(at("late"), "utf8"), "came meanwhile");
  await writeImage(options(at("file"), { replace: true }));
  t.equal(readFileSync(at("file")).toString("latin1", 0, 3), "QFI");
  t.same(readdirSync(folder).sort(), ["dangling", "fifo", "file", "folder", "late", "link"]);
});

t.test("what goes wrong leaves nothing", async (t) => {
  const folder = t.testdir();
  const target = path.join(folder, "out");
  const before = ownTemporaries();
  await t.rejects(writeImage(options(target, { chunks: broken() })), { message: "the source broke" });
  const abort = new AbortController();
  const hanging = writeImage(options(target, { chunks: hangs(), signal: abort.signal }));
  setTimeout(() => {
    abort.abort(new Error("interrupted"));
  }, 50);
  await t.rejects(hanging, { message: "interrupted" }, "a source that hangs is not waited for");
  let isDamaged = false;
  const damaged = writeImage(
    options(target, {
      format: "raw",
      onProgress: ({ stage }) => {
        const [temporary] = readdirSync(folder);
        if (stage !== "verify" || isDamaged || temporary === undefined) return;
        isDamaged = true;
        execFileSync("dd", [
          ...["if=/dev/urandom", `of=${path.join(folder, temporary)}`, "conv=notrunc", "bs=1"],
          ...["count=1", `seek=${1024 * CHUNK + 9}`, "status=none"],
        ]);
      },
    }),
  );
  await t.rejects(damaged, { code: "DISK_COPY_DIFFERS" });
  t.ok(isDamaged);
  await t.rejects(writeImage(options(path.join(folder, "no", "out"))), { code: "DISK_WRITE_FAILED" });
  mkdirSync(path.join(folder, "no"));
  t.same(readdirSync(folder), ["no"]);
  t.same(ownTemporaries(), before, "nor does a socket stay");
});

function ownTemporaries(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("cui-image-"));
}

async function* none(): AsyncGenerator<PlainChunk, void> {
  // There is nothing.
}

async function* broken(): AsyncGenerator<PlainChunk, void> {
  yield await Promise.resolve({ position: 0, bytes: noise(1) });
  throw new Error("the source broke");
}

async function* hangs(): AsyncGenerator<PlainChunk, void> {
  yield { position: 0, bytes: noise(1) };
  await new Promise(() => undefined);
}
