/** The program disks of published versions, or of a working folder: what `cui disk show|verify|export` work on. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { DiskIndex } from "../disk/disk-index.ts";
import type { ObjectStore } from "../disk/object-store.ts";
import { CollectiveError } from "../errors.ts";
import { readIndex } from "./read-disk-index.ts";
import { openImageTree, type ImageTree } from "./version-files.ts";
import { withMirrors, type Mirrors } from "./mirrors.ts";
import type { Git } from "../git/git.ts";
import { requireUrl } from "../git/url.ts";
import { diskIndexPath } from "./disk-name.ts";
import { maxVmDescriptionBytes, parseVmDescription } from "./vm-description.ts";

export interface VersionDisk {
  /** `disks/root.index` is `root`. */
  readonly name: string;
  readonly indexPath: string;
  /** What VM descriptions of this version call it: `vda`. */
  readonly devices: readonly string[];
  /** Its image in a working folder: `root.qcow2`; undefined when no VM description names it. */
  readonly source: string | undefined;
  readIndex(): Promise<DiskIndex>;
}

export interface DiskVersion {
  /** Null for a working folder. */
  readonly version: number | null;
  /** Names the version, or the folder, for people. */
  readonly where: string;
  readonly disks: readonly VersionDisk[];
  /** Fetches a pack when it is opened. */
  readonly store: ObjectStore;
}

export interface DiskVersionsOptions {
  /** Path (relative to `cwd`) or URL; without one, the working folder `cwd` itself. */
  readonly repository?: string;
  /** Without one, every version, ascending. */
  readonly version?: number;
  readonly cwd: string;
  /** Folder of the mirrors; default `$XDG_CACHE_HOME/cui`. */
  readonly cache?: string;
}

/**
 * Calls `work` for each version that was asked for, one after the other.
 * @throws CollectiveError REPOSITORY_VERSION_MISSING, and as openMirror
 */
export async function eachDiskVersion(
  git: Git,
  options: DiskVersionsOptions,
  work: (version: DiskVersion) => Promise<void>,
): Promise<void> {
  const { repository, cwd, cache } = options;
  await withMirrors(
    git,
    async (mirrors) => {
      if (repository === undefined) {
        const names = await readdir(path.join(cwd, "disks")).catch(() => []);
        const source = { url: path.resolve(cwd), version: null, commit: null };
        await withTree(mirrors, { source, names, rootFiles: await readdir(cwd) }, work);
        return;
      }
      const target = requireUrl(repository, cwd);
      const mirror = await mirrors.get(target.url);
      await mirror.fetch();
      for (const { version, commit } of await wantedVersions(mirror, options.version)) {
        const files = mirror.files(commit);
        const top = await files.listFolder("");
        const disks = top.some(({ name }) => name === "disks") ? await files.listFolder("disks") : [];
        const source = { url: target.url, version, commit };
        const listed = { source, names: disks.map(nameOf), rootFiles: top.map(nameOf) };
        await withTree(mirrors, listed, work);
      }
    },
    { cache },
  );
}

/**
 * The disks that `name` may mean: a device (of several machines, say), an image's name, or the name of an index.
 * @throws CollectiveError REPOSITORY_FILE_MISSING when it means none
 */
export function findDisks(
  { disks, where }: DiskVersion,
  name: string,
): readonly [VersionDisk, ...VersionDisk[]] {
  const found = disks.filter((disk) =>
    [disk.name, disk.indexPath, disk.source, ...disk.devices].includes(name),
  );
  const [first, ...others] = found;
  if (first !== undefined) return [first, ...others];
  const names = disks.map((disk) => [disk.name, ...disk.devices].join(" = ")).join(", ");
  throw new CollectiveError("REPOSITORY_FILE_MISSING", `${where} has no program disk ${name}`, {
    data: { name },
    hint: names === "" ? "it has no program disk at all" : `it has ${names}`,
  });
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

async function wantedVersions(
  mirror: Awaited<ReturnType<Mirrors["get"]>>,
  wanted: number | undefined,
): Promise<readonly { readonly version: number; readonly commit: string }[]> {
  const versions = await mirror.versions();
  if (wanted === undefined) return versions;
  const found = versions.filter(({ version }) => version === wanted);
  if (found.length > 0) return found;
  const newest = versions.at(-1)?.version;
  throw new CollectiveError("REPOSITORY_VERSION_MISSING", `${mirror.url} has no version ${wanted}`, {
    data: { url: mirror.url, version: wanted },
    hint: newest === undefined ? "it has no published version" : `the newest is ${newest}`,
  });
}

interface Listed {
  readonly source: Parameters<typeof openImageTree>[0];
  /** What lies in `disks/`. */
  readonly names: readonly string[];
  readonly rootFiles: readonly string[];
}

async function withTree(
  mirrors: Mirrors,
  { source, names, rootFiles }: Listed,
  work: (version: DiskVersion) => Promise<void>,
): Promise<void> {
  const tree = await openImageTree(source, mirrors);
  try {
    const described = await describedDisks(tree, rootFiles);
    const disks = names
      .filter((name) => name.endsWith(".index"))
      .map((name): VersionDisk => {
        const indexPath = `disks/${name}`;
        const users = described.filter((disk) => diskIndexPath(disk.source) === indexPath);
        return {
          name: name.slice(0, -".index".length),
          indexPath,
          devices: [...new Set(users.map(({ device }) => device))],
          source: users[0]?.source,
          readIndex: () => readIndex(tree, indexPath),
        };
      });
    await work({ version: source.version, where: tree.where, disks, store: fetchingStore(tree) });
  } finally {
    await tree.close();
  }
}

interface DescribedDisk {
  readonly device: string;
  readonly source: string;
}

/** Disks as the VM descriptions at the top name them; a description with mistakes names none. */
async function describedDisks(tree: ImageTree, rootFiles: readonly string[]): Promise<DescribedDisk[]> {
  const described: DescribedDisk[] = [];
  for (const file of rootFiles.filter((name) => /\.(vm\.yaml|vmx)$/i.test(name))) {
    const content = await tree
      .readFile(file, { maxBytes: maxVmDescriptionBytes(file) })
      .catch(() => undefined);
    if (content === undefined) continue;
    const { description } = parseVmDescription(content.toString("utf8"), file);
    for (const { device, source } of description?.disks ?? []) {
      if (source !== undefined) described.push({ device, source });
    }
  }
  return described;
}

function fetchingStore(tree: ImageTree): ObjectStore {
  return {
    open: async (oid) => {
      await tree.ensureObjects([{ oid, path: `disks/packs/${oid}.pack` }]);
      return await (await tree.store()).open(oid);
    },
  };
}
