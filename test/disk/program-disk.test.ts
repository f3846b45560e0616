import { createHash, randomBytes } from "node:crypto";
import { readFile, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { indexDigest, type DiskIndex } from "../../src/disk/disk-index.ts";
import { exportDisk } from "../../src/disk/export-disk.ts";
import { decodeIndex, encodeIndex } from "../../src/disk/index-files.ts";
import { pathStore, type PathStore } from "../../src/disk/path-store.ts";
import { verifyDisk } from "../../src/disk/verify.ts";
import { writeProgramDisk, type WrittenDisk } from "../../src/disk/write-program-disk.ts";

const CHUNK = 65_536;

/** Adds an image and puts its packs into the store. */
async function addTo(
  store: PathStore,
  options: { folder: string; image: string; previous?: DiskIndex; maxPackBytes?: number },
): Promise<WrittenDisk> {
  const { folder, ...rest } = options;
  const written = await writeProgramDisk({ ...rest, packDirectory: path.join(folder, "packs") });
  for (const pack of written.packs) await store.add(pack.oid, pack.path);
  return written;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
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
    const folder = t.testdir();
    const image = path.join(folder, "disk.raw");
    const content = Buffer.alloc(size);
    for (let at = 0; at < size; at += CHUNK * 3) {
      (at % 2 === 0 ? randomBytes(Math.min(900, size - at)) : Buffer.from("text")).copy(content, at);
    }
    if (size > 0) content[size - 1] = 7;
    await writeFile(image, content);
    const store = pathStore(path.join(folder, "objects"));
    const { index } = await addTo(store, { folder, image });
    const read = decodeIndex(encodeIndex(index));
    t.same(read, index);
    t.equal(indexDigest(read), indexDigest(index));
    const target = path.join(folder, "out.raw");
    await exportDisk({ index: read, store, target });
    t.equal(sha256(await readFile(target)), sha256(content));
    const report = await verifyDisk(read, store);
    t.same(report.problems, []);
  });
}

t.test("a sparse disk stays sparse", async (t) => {
  const folder = t.testdir({ "disk.raw": "" });
  const image = path.join(folder, "disk.raw");
  await truncate(image, 512 * 1024 * 1024);
  const store = pathStore(path.join(folder, "objects"));
  const { index, packs } = await addTo(store, { folder, image });
  t.same(packs, []);
  t.same(
    encodeIndex(index).map(({ name }) => name),
    ["header"],
  );
  const target = path.join(folder, "out.raw");
  await exportDisk({ index, store, target });
  const { size, blocks } = await stat(target);
  t.equal(size, 512 * 1024 * 1024);
  t.ok(blocks * 512 < 1024 * 1024, `takes ${blocks * 512} bytes`);
});
