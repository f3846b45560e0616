/** Which folder a requested name stands for: a bare repository below the served folder, and nothing else. */
import { readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";

const MAX_CONFIG_BYTES = 1024 * 1024;

/**
 * The real folder of a repository; undefined when there is none. `DNS` and `DNS.git` name the same one.
 * @param root the served folder, without symbolic links
 * @param names checked by `parseRoute`
 */
export async function findRepository(root: string, names: readonly string[]): Promise<string | undefined> {
  let folder = root;
  for (const name of names.slice(0, -1)) {
    folder = path.join(folder, name);
    // What lies inside a repository is no repository of its own, whatever it looks like.
    if (await isBareRepository(root, folder)) return undefined;
  }
  for (const name of spellings(names.at(-1) ?? "")) {
    const candidate = path.join(folder, name);
    if (await isBareRepository(root, candidate)) return realpath(candidate);
  }
  return undefined;
}

/** Whether `file`, all its symbolic links followed, lies below `root`; false when it does not exist. */
export async function isBelow(root: string, file: string): Promise<boolean> {
  const real = await realpath(file).catch(() => undefined);
  return real?.startsWith(`${root}${path.sep}`) === true;
}

function spellings(name: string): readonly string[] {
  return name.endsWith(".git") ? [name, name.slice(0, -".git".length)] : [name, `${name}.git`];
}

async function isBareRepository(root: string, folder: string): Promise<boolean> {
  for (const part of ["HEAD", "config", "objects", "refs"]) {
    if (!(await isBelow(root, path.join(folder, part)))) return false;
  }
  const config = path.join(folder, "config");
  const { size } = await stat(config);
  if (size > MAX_CONFIG_BYTES) return false;
  return /^\s*bare\s*(?:=\s*"?(?:true|yes|on|1)"?\s*)?(?:[#;].*)?$/im.test(await readFile(config, "utf8"));
}
