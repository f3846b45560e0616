/**
 * The one door for writing files that a user names or keeps: what is not a regular file is never replaced, a symbolic link stays
 * one, and the file keeps its mode and its owner.
 */
import type { Stats } from "node:fs";
import { chown, lstat, realpath, rm, stat } from "node:fs/promises";
import { CollectiveError } from "./errors.ts";
import { writeFileAtomically } from "./io.ts";
import { readRegularFile, requireRegular } from "./regular-file.ts";

/** What an option like `--out` writes. */
export interface OutputKind {
  /** With its article: `a plan`. */
  readonly name: string;
  /** Whether what is there already was written by the same option before. */
  readonly isOurs: (content: Buffer) => boolean;
}

/**
 * Refuses a place where such an output must not go, for before the work is done. An empty file, as `mktemp` makes it, may be replaced.
 * @throws CollectiveError FILE_NOT_REGULAR, FILE_EXISTS, FILE_TOO_LARGE; and what the file system says
 */
export async function checkOutputFile(file: string, { name, isOurs }: OutputKind): Promise<void> {
  if ((await findWritten(file)) === undefined) return;
  const content = await readRegularFile(file);
  if (content.length === 0 || isOurs(content)) return;
  throw exists(`${file} is there and is not ${name}`, file);
}

/** Writes it as a whole. @throws CollectiveError as `checkOutputFile`. */
export async function writeOutputFile(
  file: string,
  content: string | Uint8Array,
  kind: OutputKind,
): Promise<void> {
  await checkOutputFile(file, kind);
  await rewriteFile(file, content);
}

/** For what is too large to be written twice. @throws CollectiveError FILE_EXISTS, also for a link that leads nowhere. */
export async function requireAbsent(file: string): Promise<void> {
  if ((await lstatOf(file)) !== undefined) throw exists(`${file} is there already`, file);
}

/** Where a program is to listen there is nothing, or what another left when it ended. @throws CollectiveError FILE_EXISTS. */
export async function checkSocketPlace(file: string): Promise<void> {
  const found = await lstatOf(file);
  if (found !== undefined && !found.isSocket())
    throw exists(`${file} is there and is not a unix socket`, file);
}

/** Makes room for a unix socket. @throws CollectiveError as `checkSocketPlace`. */
export async function removeSocket(file: string): Promise<void> {
  await checkSocketPlace(file);
  await rm(file, { force: true });
}

/**
 * Replaces the content of a file that was read before, or makes the file. `mode` is that of a new one.
 * @throws CollectiveError FILE_NOT_REGULAR; and what the file system says
 */
export async function rewriteFile(
  file: string,
  content: string | Uint8Array,
  { mode }: { readonly mode?: number } = {},
): Promise<void> {
  const before = await findWritten(file);
  if (before === undefined) {
    await writeFileAtomically(file, content, mode === undefined ? {} : { mode });
    return;
  }
  await writeFileAtomically(await realpath(file), content, {
    mode: before.mode & 0o7777,
    prepare: (temporary) => keepOwner(temporary, before),
  });
}

type Found = Stats;

/** The regular file that is written to; undefined when there is none yet. */
async function findWritten(file: string): Promise<Found | undefined> {
  const link = await lstatOf(file);
  if (link === undefined) return undefined;
  const found = link.isSymbolicLink() ? await stat(file).catch(noTarget(file)) : link;
  requireRegular(file, found);
  return found;
}

async function lstatOf(file: string): Promise<Found | undefined> {
  return lstat(file).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
}

function noTarget(file: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    throw new CollectiveError("FILE_NOT_REGULAR", `${file} is a symbolic link that leads nowhere`, {
      data: { file },
      hint: "remove the link, or make the file it leads to",
      cause: error,
    });
  };
}

/** Only root can give files away; for everybody else the new file is their own, as with any editor. */
async function keepOwner(temporary: string, { uid, gid }: Found): Promise<void> {
  const own = await stat(temporary);
  if (own.uid === uid && own.gid === gid) return;
  await chown(temporary, uid, gid).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) throw error;
  });
}

function exists(message: string, file: string): CollectiveError {
  return new CollectiveError("FILE_EXISTS", message, {
    data: { file },
    hint: "it was left alone: name another file, or move this one away",
  });
}
