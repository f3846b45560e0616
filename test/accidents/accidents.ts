/** What happens behind cui's back, and how it is undone. */
import { existsSync } from "node:fs";
import {
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  truncate,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { signal, type HostSide } from "./host-side.ts";
import { type AccidentKind, type AccidentStep } from "./sequence.ts";
import type { World } from "./world.ts";

/** Undefined: nothing to undo, or nothing was there for it to happen to. */
export type Undo = (() => Promise<void>) | undefined;

export interface Scene {
  readonly world: World;
  /** Copies of the state, the oldest first. */
  readonly copies: string[];
  /** A number for each thing that is put aside. */
  count: number;
}

export async function happen(scene: Scene, step: AccidentStep): Promise<Undo> {
  const host = scene.world.hosts[step.host % scene.world.hosts.length];
  if (host === undefined) return undefined;
  return TABLE[step.kind](scene, host, step.choice);
}

type Accident = (scene: Scene, host: HostSide, choice: number) => Promise<Undo>;

const TABLE: Readonly<Record<AccidentKind, Accident>> = {
  "manager-killed": async (_, host) => {
    await host.kill("manager");
    return () => host.ensure("manager");
  },
  "manager-hangs": async (_, host, choice) => {
    const pids = await host.pids("manager");
    for (const pid of pids) signal(pid, "SIGSTOP");
    const goOn = (): void => {
      for (const pid of pids) signal(pid, "SIGCONT");
    };
    // Shorter, and longer, than a command waits for a host.
    setTimeout(goOn, choice % 2 === 0 ? choice % 4000 : choice % 60_000);
    return () => {
      goOn();
      return Promise.resolve();
    };
  },
  "libvirtd-killed": async (_, host) => {
    await host.kill("libvirtd");
    return () => host.ensure("libvirtd");
  },
  "machine-killed": async (_, host, choice) => {
    const pids = await host.pids("machine");
    const pid = pids[choice % pids.length];
    if (pid !== undefined) signal(pid, "SIGKILL");
    return undefined;
  },
  "machine-paused": async (_, host, choice) => {
    const names = await host.running();
    const name = names[choice % names.length];
    if (name === undefined) return undefined;
    await host.virsh("suspend", name).catch(() => undefined);
    return async () => {
      await host.virsh("resume", name).catch(() => undefined);
    };
  },
  "disk-moved": async (scene, host, choice) => {
    const file = await pickDataDisk(host, choice);
    if (file === undefined) return undefined;
    const place = await asidePlace(scene, host);
    await rename(file, place);
    return async () => {
      await mkdir(path.dirname(file), { recursive: true });
      if (existsSync(place) && !existsSync(file)) await rename(place, file);
    };
  },
  "disk-copied": async (scene, host, choice) => {
    const file = await pickDataDisk(host, choice);
    const other = scene.world.hosts.find((candidate) => candidate !== host);
    if (file === undefined || other === undefined) return undefined;
    const target = path.join(other.folder, path.relative(host.folder, file));
    if (other.isFolderAway || existsSync(target)) return undefined;
    await mkdir(path.dirname(target), { recursive: true });
    await cp(file, target).catch(() => undefined); // the other host may be full
    return async () => {
      if (existsSync(target)) await rename(target, await asidePlace(scene, other));
    };
  },
  "folder-moved": async (_, host, choice) => {
    if (!existsSync(host.folder) || host.isFolderAway) return undefined;
    await host.moveFolderAway();
    if (choice % 2 === 0) await mkdir(host.folder, { recursive: true });
    return () => host.moveFolderBack();
  },
  "state-deleted": async (scene) => {
    const { state } = scene.world;
    const place = path.join(scene.world.aside, `state${scene.count++}.git`);
    if (!existsSync(state)) return undefined;
    await rename(state, place);
    return async () => {
      if (existsSync(state)) await rename(state, path.join(scene.world.aside, `state${scene.count++}.git`));
      await rename(place, state);
    };
  },
  "state-damaged": async (scene, _, choice) => damage(scene.world.state, choice),
  "state-older": async (scene, _, choice) => {
    const { state } = scene.world;
    const copy = scene.copies[choice % scene.copies.length];
    if (copy === undefined) return undefined;
    if (existsSync(state)) await rename(state, path.join(scene.world.aside, `state${scene.count++}.git`));
    await cp(copy, state, { recursive: true });
    return undefined;
  },
  "site-copied": async ({ world }) => {
    await rm(world.copiedSite, { recursive: true, force: true });
    await cp(world.site, world.copiedSite, { recursive: true });
    return undefined;
  },
  "cache-deleted": async ({ world }) => {
    await rm(path.join(world.cache, "cui/mirrors"), { recursive: true, force: true });
    return undefined;
  },
  "cache-damaged": async ({ world }, _, choice) => {
    await damage(path.join(world.cache, "cui/mirrors"), choice);
    return undefined;
  },
  "images-deleted": async (_, host) => {
    await rm(path.join(host.folder, "images"), { recursive: true, force: true });
    return undefined;
  },
  "images-damaged": async (_, host, choice) => damage(path.join(host.folder, "images"), choice),
  "host-full": async ({ world }) => {
    const host = world.hosts.find((candidate) => candidate.hasOwnFileSystem);
    if (host === undefined || !existsSync(path.join(host.folder, "images"))) return undefined;
    const filler = path.join(host.folder, "filler");
    const { bavail, bsize } = await statfs(host.folder);
    await writeFile(filler, Buffer.alloc(bavail * bsize)).catch(() => undefined);
    return () => rm(filler, { force: true });
  },
};

/** Cuts a file to half or fills it with zeros; undone unless it has been written since. */
async function damage(folder: string, choice: number): Promise<Undo> {
  const files = (await filesBelow(folder)).filter((file) => !/\.lock$|\.keep$/.test(file)).sort();
  const file = files[choice % files.length];
  if (file === undefined) return undefined;
  const before = await readFile(file);
  const isCut = choice % 3 !== 0;
  const damaged = isCut
    ? before.subarray(0, choice % 2 === 0 ? 0 : before.length >> 1)
    : Buffer.alloc(before.length);
  if (isCut) await truncate(file, damaged.length);
  else await writeFile(file, damaged);
  return async () => {
    const now = await readFile(file).catch(() => undefined);
    if (now?.equals(damaged) === true) await writeFile(file, before);
  };
}

async function pickDataDisk(host: HostSide, choice: number): Promise<string | undefined> {
  const folder = path.join(host.folder, "networks");
  const disks = (await filesBelow(folder)).filter((file) => /\/data-[^/]*\.qcow2$/.test(file)).sort();
  return disks[choice % disks.length];
}

/** On the mount the host's folder lies on, so that a file that is in use can be moved there. */
async function asidePlace(scene: Scene, host: HostSide): Promise<string> {
  const folder = host.hasOwnFileSystem ? path.join(host.folder, "aside") : `${host.folder}.disks`;
  await mkdir(folder, { recursive: true });
  return path.join(folder, `disk${scene.count++}.qcow2`);
}

/** Regular files at any depth; those that go meanwhile are left out. */
export async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const files: string[] = [];
  for (const name of names) {
    const file = path.join(folder, name);
    if ((await stat(file).catch(() => undefined))?.isFile() === true) files.push(file);
  }
  return files;
}
