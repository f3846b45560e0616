/**
 * Publishes and restores disk images with cui's disk layer and, where installed, casync and borg, on the same input in the
 * same run: `node build/bench/disk.js <v1.raw> [<v2.raw> …]`. Prints seconds, added MB and peak memory.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { exportDisk } from "../src/disk/export-disk.ts";
import type { DiskIndex } from "../src/disk/disk-index.ts";
import { decodeIndex, encodeIndex } from "../src/disk/index-files.ts";
import { pathStore } from "../src/disk/path-store.ts";
import { writeProgramDisk } from "../src/disk/write-program-disk.ts";
import { CollectiveError } from "../src/errors.ts";
import { run } from "../src/io.ts";

const images = process.argv.slice(2);
const folder = await mkdtemp(path.join(tmpdir(), "disk-bench-"));
try {
  await measureOurs();
  await measureCasync();
  await measureBorg();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measureOurs(): Promise<void> {
  const store = pathStore(path.join(folder, "objects"));
  let previous: DiskIndex | undefined;
  for (const [number, image] of images.entries()) {
    const startedAt = performance.now();
    const packDirectory = path.join(folder, "packs");
    const written = await writeProgramDisk({
      image,
      packDirectory,
      ...(previous === undefined ? {} : { previous }),
    });
    const files = encodeIndex(written.index);
    report(`cui add v${number + 1}`, startedAt, written.addedBytes);
    for (const pack of written.packs) await store.add(pack.oid, pack.path);
    previous = decodeIndex(files);
  }
  if (previous === undefined) return;
  const startedAt = performance.now();
  await exportDisk({ index: previous, store, target: path.join(folder, "out.raw") });
  report("cui export last", startedAt, 0);
  await run({ file: "cmp", args: ["--", images.at(-1) ?? "", path.join(folder, "out.raw")] });
  console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
}

async function measureCasync(): Promise<void> {
  const store = path.join(folder, "casync.castr");
  const index = path.join(folder, "disk.caibx");
  const options = [`--store=${store}`, "--compression=zstd", "--chunk-size=65536:65536:65536"];
  for (const [number, image] of images.entries()) {
    await peer(`casync make v${number + 1}`, "casync", ["make", ...options, index, image]);
  }
  await peer("casync extract last", "casync", [
    "extract",
    `--store=${store}`,
    index,
    path.join(folder, "casync.raw"),
  ]);
}

async function measureBorg(): Promise<void> {
  const repository = path.join(folder, "borg");
  const env = { BORG_BASE_DIR: folder, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes" };
  await peer("borg init", "borg", ["init", "-e", "none", repository], env);
  for (const [number, image] of images.entries()) {
    const args = [
      "create",
      "-C",
      "zstd,3",
      "--chunker-params",
      "fixed,65536",
      `${repository}::v${number + 1}`,
      image,
    ];
    await peer(`borg create v${number + 1}`, "borg", args, env);
  }
}

async function peer(
  name: string,
  file: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<void> {
  const startedAt = performance.now();
  try {
    await run({ file, args, env });
    report(name, startedAt, 0);
  } catch (error) {
    if (!(error instanceof CollectiveError)) throw error;
    console.log(`${name}: left out, ${error.message}`);
  }
}

function report(name: string, startedAt: number, addedBytes: number): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(2);
  console.log(`${name}: ${seconds} s${addedBytes === 0 ? "" : `, ${(addedBytes / 1e6).toFixed(1)} MB`}`);
}
