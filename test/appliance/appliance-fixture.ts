/** A small VM appliance in a folder: CVL, VM description, a disk of a few MiB, a kernel. */
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openMirror, type Mirror } from "../../src/appliance/mirror.ts";
import { gitAt, writeFiles } from "../git/git-fixture.ts";

export const DNS_CVL = `CVL = "0.8";
DNS extends VMAppliance {
  var domain;
  vm = "dns.vm.yaml";
  datadisks = { device => "vdb", size => "16MiB" };
}
`;

export const DNS_VM = `format: 1
memory: 64MiB
kernel: vmlinuz
disks:
  - device: vda
    source: root.img
  - device: vdb
    source: data.img
`;

const CHUNK = 64 * 1024;

/** A disk of 40 chunks and a bit: some zero, some alike, the rest random. */
export function makeDisk(): Buffer {
  const disk = Buffer.alloc(40 * CHUNK + 512);
  for (const chunk of [0, 1, 2, 7, 8, 9, 30, 39]) randomBytes(CHUNK).copy(disk, chunk * CHUNK);
  disk.copy(disk, 20 * CHUNK, 0, CHUNK);
  randomBytes(512).copy(disk, 40 * CHUNK);
  return disk;
}

/** Another version of a disk: one chunk changed, one zeroed. */
export function changeDisk(disk: Buffer): Buffer {
  const changed = Buffer.from(disk);
  randomBytes(CHUNK).copy(changed, 8 * CHUNK);
  changed.fill(0, 30 * CHUNK, 31 * CHUNK);
  return changed;
}

/** Writes the appliance; `disk` is its program disk. */
export function writeAppliance(folder: string, disk: Buffer): void {
  mkdirSync(folder, { recursive: true });
  writeFiles(folder, { "DNS.cvl": DNS_CVL, "dns.vm.yaml": DNS_VM, vmlinuz: randomBytes(5000) });
  writeFileSync(path.join(folder, "root.img"), disk);
  writeFileSync(path.join(folder, "data.img"), "the user's own\n");
}

export function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** Opens a mirror for the length of `work`. */
export async function withMirror<Result>(
  url: string,
  cache: string,
  work: (mirror: Mirror) => Promise<Result>,
): Promise<Result> {
  const mirror = await openMirror(url, { git: gitAt(), cache });
  try {
    return await work(mirror);
  } finally {
    await mirror.close();
  }
}
