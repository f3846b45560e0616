/** An object whole into a store: hashed while it arrives, gone on with where a connection was cut. */
import { createHash, type Hash } from "node:crypto";
import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { corruptPack } from "../disk/pack-format.ts";
import type { PathStore } from "../disk/path-store.ts";
import { temporaryFile } from "../disk/temporary-file.ts";
import { wrapWriteErrors } from "../disk/write-errors.ts";
import type { LfsPointer } from "./pointer.ts";
import { getObject, type Getting } from "./get-object.ts";
import { unexpectedReply, unreachable } from "./lfs-errors.ts";

/**
 * Downloads an object that the store lacks; it appears there whole and verified, or not at all.
 * @throws CollectiveError DISK_PACK_CORRUPT when the server's bytes are others, and those of `getObject`
 */
export async function downloadObject(getting: Getting, object: LfsPointer, store: PathStore): Promise<void> {
  const target = store.pathOf(object.oid);
  await wrapWriteErrors(target, async () => {
    await mkdir(path.dirname(target), { recursive: true });
    const temporary = await temporaryFile(path.dirname(target));
    try {
      await writeObject(getting, object, temporary);
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  });
}

async function writeObject(getting: Getting, object: LfsPointer, file: string): Promise<void> {
  const handle = await open(file, "wx", 0o444);
  try {
    const arrived: Arrived = { bytes: 0, hash: createHash("sha256") };
    for (let failures = 0; arrived.bytes < object.sizeBytes;) {
      const before = arrived.bytes;
      const cut = await receive(getting, { object, handle, arrived });
      if (cut === undefined) break;
      failures = arrived.bytes > before ? 1 : failures + 1;
      await getting.http.pause(failures, cut);
    }
    const digest = arrived.hash.digest("hex");
    if (digest !== object.oid) {
      throw corruptPack(`the SHA-256 of the bytes that were sent is ${digest}`, { pack: object.oid });
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface Arrived {
  bytes: number;
  hash: Hash;
}

/** Resolves to the reason when the connection was cut; what arrived before stays. */
async function receive(
  getting: Getting,
  { object, handle, arrived }: { object: LfsPointer; handle: FileHandle; arrived: Arrived },
): Promise<Error | undefined> {
  const part = arrived.bytes === 0 ? undefined : { start: arrived.bytes, end: object.sizeBytes };
  const { isPart, body, where } = await getObject(getting, object, part);
  if (!isPart) {
    arrived.bytes = 0;
    arrived.hash = createHash("sha256");
  }
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      if (arrived.bytes + piece.length > object.sizeBytes) {
        throw unexpectedReply(where, `with more than the ${object.sizeBytes} bytes of ${object.oid}`);
      }
      await handle.write(piece, 0, piece.length, arrived.bytes);
      arrived.hash.update(piece);
      arrived.bytes += piece.length;
    }
  } catch (error) {
    if (!isCut(error)) throw error;
    return unreachable(where, error);
  }
  const isShort = arrived.bytes < object.sizeBytes;
  return isShort
    ? unreachable(where, new Error(`it ended after ${arrived.bytes} of ${object.sizeBytes} bytes`))
    : undefined;
}

/** Failures of the connection, not of this machine's disk and not of what was said. */
export function isCut(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const code = String(error.code);
  return (
    code.startsWith("UND_ERR_") ||
    ["ECONNRESET", "EPIPE", "ETIMEDOUT", "ERR_STREAM_PREMATURE_CLOSE"].includes(code)
  );
}
