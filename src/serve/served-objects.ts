/** The Git LFS objects of a served repository as files, none of them outside the served folder. */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, realpath, rename, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { IncomingMessage } from "node:http";
import type { Oid } from "../disk/object-store.ts";
import { temporaryFile } from "../disk/temporary-file.ts";
import { lfsStore } from "../lfs/local-store.ts";
import { piecesOf } from "./exchange.ts";
import { isBelow } from "./find-repository.ts";
import { Refusal } from "./refusal.ts";

export interface ObjectPlace {
  /** The served folder, without symbolic links. */
  readonly root: string;
  /** The repository's real folder. */
  readonly folder: string;
  readonly oid: Oid;
}

/** The size of an object; undefined when it is not there. */
export async function objectSize(place: ObjectPlace): Promise<number | undefined> {
  const file = fileOf(place);
  if (!(await isBelow(place.root, file))) return undefined;
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

/** Opens an object for reading; undefined when it is not there. */
export async function openObject(place: ObjectPlace): Promise<FileHandle | undefined> {
  const file = fileOf(place);
  if (!(await isBelow(place.root, file))) return undefined;
  return open(file, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
}

/**
 * Writes an object while it arrives; it appears under its name whole and verified, or not at all.
 * @throws Refusal 413, 422, 507, or 403 when the store is a link that leaves the served folder
 */
export async function storeObject(
  place: ObjectPlace,
  content: IncomingMessage,
  sizeBytes: number,
): Promise<void> {
  const target = fileOf(place);
  await makeFolder(place, path.dirname(target));
  const temporary = await temporaryFile(path.dirname(target));
  try {
    await writeVerified(temporary, { content, sizeBytes, oid: place.oid });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw isDiskFull(error) ? new Refusal(507, "the server's disk is full") : error;
  }
}

/** Each folder is looked at before the next one is made in it. */
async function makeFolder({ root, folder }: ObjectPlace, target: string): Promise<void> {
  let current = folder;
  for (const part of path.relative(folder, target).split(path.sep)) {
    current = path.join(current, part);
    await mkdir(current).catch((error: unknown) => {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    });
    const real = await realpath(current).catch(() => "");
    if (!real.startsWith(`${root}${path.sep}`)) throw new Refusal(403, "the store leaves the served folder");
  }
}

async function writeVerified(
  file: string,
  { content, sizeBytes, oid }: { content: IncomingMessage; sizeBytes: number; oid: Oid },
): Promise<void> {
  const handle = await open(file, "wx", 0o444);
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const piece of piecesOf(content)) {
      bytes += piece.length;
      if (bytes > sizeBytes) throw new Refusal(413, `expected ${sizeBytes} bytes, got more`);
      hash.update(piece);
      await handle.write(piece);
    }
    if (bytes !== sizeBytes) throw new Refusal(422, `expected ${sizeBytes} bytes, got ${bytes}`);
    const digest = hash.digest("hex");
    if (digest !== oid) throw new Refusal(422, `expected the SHA-256 ${oid}, got ${digest}`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function fileOf({ folder, oid }: ObjectPlace): string {
  return lfsStore(folder).pathOf(oid);
}

function isDiskFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
