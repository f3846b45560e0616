/**
 * What libvirt finds out about QEMU, kept between labs: a libvirtd that has to ask QEMU itself is ready seconds later. Each
 * lab has a cache of its own, filled from the user's before libvirtd starts. libvirt compares what it finds there with the
 * versions of QEMU, of itself and of the kernel, and asks QEMU again when anything differs or cannot be read.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { writeFileAtomically } from "../../io.ts";

/** Below libvirt's cache. */
const CAPABILITIES = "qemu/capabilities";

/** In the user's cache folder, so that every lab finds it. */
export function capabilitiesCache(cache: string): string {
  return path.join(cache, "libvirt");
}

/** Copies what is known from `cache` into the folder that a libvirtd will have as its cache. */
export async function lendCapabilities(cache: string, libvirtCache: string): Promise<void> {
  const folder = path.join(libvirtCache, CAPABILITIES);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await listFiles(cache)) {
    await writeFile(path.join(folder, name), await readFile(path.join(cache, name)), { mode: 0o600 });
  }
}

/** Copies what a libvirtd has found out by now into `cache`, as a whole each, when it is new. */
export async function keepCapabilities(cache: string, libvirtCache: string): Promise<void> {
  const folder = path.join(libvirtCache, CAPABILITIES);
  await mkdir(cache, { recursive: true });
  for (const name of await listFiles(folder)) {
    const content = await readFile(path.join(folder, name));
    const known = await readFile(path.join(cache, name)).catch(() => undefined);
    if (known?.equals(content) !== true) await writeFileAtomically(path.join(cache, name), content);
  }
}

/** Complete files only: libvirt and we write beside them first. */
async function listFiles(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => /^[0-9a-f]+\.xml$/.test(name));
}
