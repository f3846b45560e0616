/** Parameters on the host: files in memory only, which root and QEMU's user can read, gone with the machine or the host. */
import { mkdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { run, writeFileAtomically } from "../io.ts";
import { makePassable } from "./passable-folder.ts";
import type { MachineSpec } from "./host.ts";
import { existingFolder, type MachinePaths } from "./machine-paths.ts";
import { parseParameterFile, renderParameterFile, renderParameterMessage } from "./parameter-lines.ts";

/** @see linux/magic.h */
const MEMORY_FILE_SYSTEMS = new Set([0x01021994 /* tmpfs */, 0x858458f6 /* ramfs */]);

/** @throws CollectiveError HOST_SECRETS_ON_DISK when `directory` does not lie in memory. */
export async function makeSecretsDirectory(directory: string): Promise<void> {
  await checkInMemory(directory);
  await makePassable(directory);
}

/** Looks at the folder, or where it would be made. @throws CollectiveError HOST_SECRETS_ON_DISK */
export async function checkInMemory(directory: string): Promise<void> {
  const { type } = await statfs(await existingFolder(directory));
  if (MEMORY_FILE_SYSTEMS.has(type)) return;
  throw new CollectiveError("HOST_SECRETS_ON_DISK", `${directory} is not on a file system in memory`, {
    data: { directory },
    hint: "parameters may be secret and are never written to a disk: name a folder on a tmpfs with --secrets-directory",
  });
}

/** Writes the set the guest reads when it starts, as a fw_cfg file or a cloud-init seed, and for the channel. */
export async function writeParameters(paths: MachinePaths, spec: MachineSpec): Promise<void> {
  await makePassable(paths.secretsFolder, path.dirname(paths.secretsFolder));
  await replaceParameterLines(paths, spec.parameterLines);
  if (spec.image.description.parameters === "cloud-init") await writeSeed(paths, spec);
}

/** The set for the channel; fw_cfg keeps what QEMU read when it started. */
export async function replaceParameterLines(paths: MachinePaths, lines: readonly string[]): Promise<void> {
  await writeFileAtomically(paths.parameters, renderParameterFile(lines), { mode: 0o600 });
}

export async function dropParameters(paths: MachinePaths): Promise<void> {
  await rm(paths.secretsFolder, { recursive: true, force: true });
}

/** The message for the guest channel; undefined when the host has no set (after it restarted). */
export async function readSetMessage(paths: MachinePaths): Promise<string | undefined> {
  try {
    return renderParameterMessage(parseParameterFile(await readFile(paths.parameters, "utf8")));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function writeSeed(paths: MachinePaths, spec: MachineSpec): Promise<void> {
  const folder = path.join(paths.secretsFolder, "seed");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    const { renderSeedFiles } = await import("./cloud-init.ts"); // with a YAML library, which other machines do not need
    for (const [name, text] of Object.entries(renderSeedFiles(spec))) {
      await writeFile(path.join(folder, name), text, { mode: 0o600 });
    }
    await writeFile(paths.seed, "", { mode: 0o600 }); // genisoimage keeps the mode of what it overwrites
    await run({
      file: "genisoimage",
      args: ["-quiet", "-output", paths.seed, "-volid", "cidata", "-joliet", "-rational-rock", "--", folder],
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
