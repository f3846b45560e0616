/** Objects in a folder, laid out as Git LFS does: `ab/cd/<oid>` below `.git/lfs/objects`. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { constants, copyFile, mkdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { parseOid, type ObjectReader, type ObjectStore, type Oid } from "./object-store.ts";
import { corruptPack } from "./pack-format.ts";
import { temporaryFile } from "./temporary-file.ts";
import { wrapWriteErrors } from "./write-errors.ts";
import { openRegularFile } from "../regular-file.ts";

export interface PathStore extends ObjectStore {
  /** Where that object lies, or would lie. */
  pathOf(oid: Oid): string;
  has(oid: Oid): Promise<boolean>;
  /**
   * Reads the whole object once.
   * @throws CollectiveError DISK_PACK_MISSING, DISK_PACK_CORRUPT when its SHA-256 is not its name
   */
  verify(oid: Oid): Promise<void>;
  /**
   * Copies a file into the store; nothing is done when the object is there.
   * @throws CollectiveError DISK_PACK_CORRUPT when the file's SHA-256 is not `oid`: nothing unverified enters
   */
  add(oid: Oid, file: string): Promise<void>;
}

/** The store in the folder `root`, which need not exist. */
export function pathStore(root: string): PathStore {
  const pathOf = (oid: Oid): string => {
    const name = parseOid(oid);
    return path.join(root, name.slice(0, 2), name.slice(2, 4), name);
  };
  const has = (oid: Oid): Promise<boolean> =>
    stat(pathOf(oid)).then(
      (found) => found.isFile(),
      () => false,
    );
  return {
    pathOf,
    has,
    open: (oid) => openObject(oid, pathOf(oid)),
    verify: async (oid) => {
      const reader = await openObject(oid, pathOf(oid));
      await reader.close();
      await checkDigest(oid, pathOf(oid));
    },
    add: async (oid, file) => {
      if (await has(oid)) return;
      await wrapWriteErrors(pathOf(oid), () => addObject(oid, file, pathOf(oid)));
    },
  };
}

async function openObject(oid: Oid, file: string): Promise<ObjectReader> {
  const handle = await openRegularFile(file).catch((error: unknown) => {
    throw new CollectiveError(
      "DISK_PACK_MISSING",
      `the pack ${oid} is not in the store: there is no ${file}`,
      {
        data: { pack: oid, file },
        hint: "fetch the repository's Git LFS objects (git lfs fetch)",
        cause: error,
      },
    );
  });
  const { size } = await handle.stat();
  return {
    sizeBytes: size,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw corruptPack(`it ends before byte ${offset + length}`, { pack: oid });
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

async function addObject(oid: Oid, file: string, target: string): Promise<void> {
  await mkdir(path.dirname(target), { recursive: true });
  const temporary = await temporaryFile(path.dirname(target));
  try {
    await copyFile(file, temporary, constants.COPYFILE_FICLONE);
    await checkDigest(oid, temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function checkDigest(oid: Oid, file: string): Promise<void> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(file, { highWaterMark: 1024 * 1024 }))
    hash.update(part as Buffer);
  const digest = hash.digest("hex");
  if (digest !== oid) throw corruptPack(`the SHA-256 of its bytes is ${digest}`, { pack: oid, file });
}
