/** `cui disk add|show|verify|export`: the program disks of a working folder and of published versions. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import { indexDigest, type DiskIndex } from "../../disk/disk-index.ts";
import { exportDisk } from "../../disk/export-disk.ts";
import { decodeIndex } from "../../disk/index-files.ts";
import { textconv } from "../../disk/index-text.ts";
import { verifyDisk } from "../../disk/verify.ts";
import { CollectiveError } from "../../errors.ts";
import { addDisks } from "../../publish/add-disks.ts";
import {
  eachDiskVersion,
  findDisks,
  type DiskVersion,
  type DiskVersionsOptions,
  type VersionDisk,
} from "../../appliance/each-disk-version.ts";
import type { Git } from "../../git/git.ts";
import type { CliContext } from "../context.ts";
import { printDiagnostics } from "../cvl-program.ts";
import { onlyCvlFile } from "../cvl-files.ts";
import { gitOf } from "../git-of.ts";
import { readRegularFile } from "../../regular-file.ts";
import { requireAbsent } from "../../user-file.ts";

export function configure(command: Command, context: CliContext): void {
  command.addHelpText("after", "\nExample:\n  cui disk add && git add . && git commit -m 'New disk'\n");
  configureAdd(command.command("add"), context);
  configureShow(command.command("show"), context);
  configureVerify(command.command("verify"), context);
  configureExport(command.command("export"), context);
}

function configureAdd(command: Command, context: CliContext): void {
  command
    .description("turn the disk images of the working folder into index and packs")
    .argument("[cvl]", "the CVL file; not needed where there is only one")
    .option("--object <name>", "the object, where the file has several")
    .option("--json", "print what was added as JSON")
    .addHelpText("after", "\nExample:\n  cui disk add DNS.cvl\n")
    .action(async (cvl: string | undefined, options: { object?: string; json?: boolean }) => {
      const { disks, diagnostics, textOf } = await addDisks(gitOf(context), {
        cwd: context.cwd,
        cvl: cvl ?? (await onlyCvlFile(context.cwd)),
        ...(options.object === undefined ? {} : { object: options.object }),
      });
      printDiagnostics(diagnostics, textOf, context);
      if (disks === undefined) {
        throw new CollectiveError("INVALID_INPUT", "the CVL file has errors; no disk was added");
      }
      if (options.json === true) {
        context.print(JSON.stringify(disks, undefined, 2));
        return;
      }
      if (disks.length === 0) context.print("There is no program disk.");
      for (const { source, indexPath, addedBytes, isUnchanged } of disks) {
        const change = isUnchanged
          ? "unchanged, the image is absent"
          : `${mebibytes(addedBytes)} of new chunks`;
        context.print(`${source}: ${change} (${indexPath})`);
      }
    });
}

function configureShow(command: Command, context: CliContext): void {
  command
    .description("show the program disks of a version, of the working folder, or of an index folder")
    .argument("[repository]", "path or URL of the repository, or an index folder")
    .argument("[version]", "default: every version", parseVersion)
    .option("--textconv <file>", "one file of an index as text, for git diff")
    .option("--json", "print it as JSON")
    .addHelpText("after", "\nExample:\n  cui disk show /srv/appliances/DNS 3\n")
    .action(async (repository: string | undefined, version: number | undefined, options: ShowOptions) => {
      if (options.textconv !== undefined) {
        const file = await readRegularFile(path.resolve(context.cwd, options.textconv)).catch(
          (error: unknown) => {
            throw new CollectiveError("USAGE", `cannot read ${options.textconv ?? ""}`, { cause: error });
          },
        );
        context.print(textconv(file).trimEnd());
        return;
      }
      const shown = await collectDisks(context, repository, version);
      if (options.json === true) context.print(JSON.stringify(shown, undefined, 2));
      else
        for (const line of shown.length === 0 ? ["There is no program disk."] : shown.flatMap(describe))
          context.print(line);
    });
}

interface ShowOptions {
  readonly textconv?: string;
  readonly json?: boolean;
}

interface ShownDisk {
  readonly version: number | null;
  readonly disk: string;
  readonly devices: readonly string[];
  readonly digest: string;
  readonly sizeBytes: number;
  /** Positions on the disk that are not all zeros, and the different chunks there. */
  readonly chunks: { readonly placed: number; readonly distinct: number; readonly storedBytes: number };
  readonly packs: readonly { readonly oid: string; readonly sizeBytes: number; readonly usedBytes: number }[];
}

async function collectDisks(
  context: CliContext,
  repository: string | undefined,
  version: number | undefined,
): Promise<ShownDisk[]> {
  const folder = repository === undefined ? undefined : path.resolve(context.cwd, repository);
  if (folder !== undefined && (await isFile(path.join(folder, "header")))) {
    const name = path.basename(folder).replace(/\.index$/, "");
    return [shownDisk({ version: null, disk: name, devices: [] }, await readIndexFolder(folder))];
  }
  const shown: ShownDisk[] = [];
  await eachDiskVersion(gitOf(context), versionOptions(context, repository, version), async (found) => {
    for (const disk of found.disks) {
      const { name, devices } = disk;
      shown.push(shownDisk({ version: found.version, disk: name, devices }, await disk.readIndex()));
    }
  });
  return shown;
}

function shownDisk(head: Pick<ShownDisk, "version" | "disk" | "devices">, index: DiskIndex): ShownDisk {
  const records = new Map(index.chunks.map(({ record }) => [record.digest, record]));
  for (const record of index.bases) records.set(record.digest, record);
  const used = new Map<string, number>();
  for (const { pack, storedBytes } of records.values()) used.set(pack, (used.get(pack) ?? 0) + storedBytes);
  const storedBytes = [...used.values()].reduce((sum, bytes) => sum + bytes, 0);
  return {
    ...head,
    digest: indexDigest(index),
    sizeBytes: index.sizeBytes,
    chunks: { placed: index.chunks.length, distinct: records.size, storedBytes },
    packs: index.packs.map(({ oid, sizeBytes }) => ({ oid, sizeBytes, usedBytes: used.get(oid) ?? 0 })),
  };
}

function describe({ version, disk, devices, digest, sizeBytes, chunks, packs }: ShownDisk): string[] {
  const name = [
    version === null ? "" : `v${version} `,
    disk,
    devices.length > 0 ? ` (${devices.join(", ")})` : "",
  ];
  return [
    `${name.join("")}: ${mebibytes(sizeBytes)}, digest ${digest}`,
    `  ${chunks.placed} chunks that are not zero, ${chunks.distinct} different, stored in ${mebibytes(chunks.storedBytes)}`,
    ...packs.map(
      ({ oid, sizeBytes: packBytes, usedBytes }) =>
        `  pack ${oid.slice(0, 16)} ${mebibytes(packBytes)}, ${mebibytes(usedBytes)} of it needed`,
    ),
  ];
}

function configureVerify(command: Command, context: CliContext): void {
  command
    .description("read every chunk of every program disk and compare it with its digest")
    .argument("[repository]", "path or URL; default: the working folder")
    .argument("[version]", "default: every version", parseVersion)
    .option("--json", "print what was found as JSON")
    .addHelpText("after", "\nExample:\n  cui disk verify https://example.org/appliances/DNS 3\n")
    .action(
      async (repository: string | undefined, version: number | undefined, options: { json?: boolean }) => {
        const results = await verifyVersions(
          gitOf(context),
          versionOptions(context, repository, version),
          (line) => {
            if (options.json !== true) context.print(line);
          },
        );
        const problems = results.flatMap((result) => result.problems);
        const [first] = problems;
        if (options.json === true) context.print(JSON.stringify(results.map(plainResult), undefined, 2));
        else if (results.length === 0) context.print("There is no program disk.");
        if (first === undefined) return;
        for (const { code, message } of problems) context.warn(`${code}: ${message}`);
        throw new CollectiveError(first.code, `found ${countOf(problems)}`, {
          hint: first.hint ?? "fetch the repository's Git LFS objects again",
        });
      },
    );
}

interface Verified {
  readonly version: number | null;
  readonly disk: string;
  /** Distinct chunks checked here; one that an earlier line checked is not checked again. */
  readonly goodChunks: number;
  readonly problems: readonly CollectiveError[];
}

function plainResult({ problems, ...rest }: Verified): object {
  return { ...rest, problems: problems.map(({ code, message, data }) => ({ code, message, ...data })) };
}

async function verifyVersions(
  git: Git,
  options: DiskVersionsOptions,
  print: (line: string) => void,
): Promise<Verified[]> {
  const results: Verified[] = [];
  const checked = new Set<string>();
  await eachDiskVersion(git, options, async ({ version, disks, store }) => {
    for (const disk of disks) {
      const { goodChunks, problems } = await verifyDisk(await disk.readIndex(), store, { checked });
      results.push({ version, disk: disk.name, goodChunks, problems });
      const verdict = problems.length === 0 ? "good" : countOf(problems);
      const name = `${version === null ? "" : `v${version} `}${disk.name}`;
      print(`${name}: ${goodChunks} chunks checked, ${verdict}`);
    }
  });
  return results;
}

function configureExport(command: Command, context: CliContext): void {
  command
    .description("write a program disk of a version to a file, bit for bit")
    .argument("<repository>", "path or URL of the repository")
    .argument("<version>", "its number", parseVersion)
    .argument("<disk>", "the device (vda), or the name of the disk (root)")
    .argument("<file>", "where to; it must not be there yet")
    .option("--format <format>", "raw or qcow2", "raw")
    .addHelpText("after", "\nExample:\n  cui disk export /srv/appliances/DNS 3 vda dns-v3.raw\n")
    .action(
      async (
        repository: string,
        version: number,
        name: string,
        file: string,
        options: { format: string },
      ) => {
        const format = options.format;
        if (format !== "raw" && format !== "qcow2") {
          throw new CollectiveError("USAGE", `expected --format raw or qcow2, got ${format}`);
        }
        const target = path.resolve(context.cwd, file);
        await requireAbsent(target);
        await eachDiskVersion(gitOf(context), versionOptions(context, repository, version), async (found) => {
          const index = await theDisk(found, name).readIndex();
          await exportDisk({ index, store: found.store, target, format });
          context.print(`${file}: ${mebibytes(index.sizeBytes)}, digest ${indexDigest(index)}`);
        });
      },
    );
}

/** @throws CollectiveError USAGE when several have the name. */
function theDisk(version: DiskVersion, name: string): VersionDisk {
  const found = findDisks(version, name);
  if (found.length === 1) return found[0];
  throw new CollectiveError("USAGE", `${name} is a device of several machines in ${version.where}`, {
    hint: `name the disk: ${found.map((disk) => disk.name).join(" or ")}`,
  });
}

function versionOptions(
  context: CliContext,
  repository: string | undefined,
  version: number | undefined,
): DiskVersionsOptions {
  return {
    cwd: context.cwd,
    ...(repository === undefined ? {} : { repository }),
    ...(version === undefined ? {} : { version }),
  };
}

async function readIndexFolder(folder: string): Promise<DiskIndex> {
  const names = await readdir(folder);
  return decodeIndex(
    await Promise.all(
      names.map(async (name) => ({ name, bytes: await readRegularFile(path.join(folder, name)) })),
    ),
  );
}

async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.isFile() === true;
}

function parseVersion(text: string): number {
  const match = /^v?([1-9]\d{0,8})$/.exec(text);
  if (match === null) throw new CollectiveError("USAGE", `expected a version such as 3, got ${text}`);
  return Number(match[1]);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 2 : 0)} MiB`;
}

function countOf({ length }: readonly CollectiveError[]): string {
  return `${length} ${length === 1 ? "problem" : "problems"}`;
}
