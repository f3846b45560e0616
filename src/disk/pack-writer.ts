/** Writes stored chunks into packs, one after the other, and names each finished pack by its SHA-256. */
import { createHash, type Hash } from "node:crypto";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { ChunkRecord } from "./disk-index.ts";
import { MAX_PACK_BYTES, MAX_PACK_CHUNKS } from "./format.ts";
import type { Oid } from "./object-store.ts";
import {
  encodePackHead,
  encodePackTail,
  PACK_HEAD_BYTES,
  packTailBytes,
  type PackEntry,
} from "./pack-format.ts";
import { temporaryFile } from "./temporary-file.ts";

/** A finished pack: `<oid>.pack` in the writer's folder. */
export interface WrittenPack {
  readonly oid: Oid;
  readonly sizeBytes: number;
  readonly path: string;
}

export interface PackWriter {
  /** Appends stored chunks, back to back in `bytes`; they may go to different packs. */
  append(entries: readonly Omit<PackEntry, "offset">[], bytes: Uint8Array): Promise<void>;
  /** Finishes the last pack and gives all packs their names; where every appended chunk went. */
  finish(): Promise<{ readonly packs: readonly WrittenPack[]; readonly records: readonly ChunkRecord[] }>;
  /** Deletes everything that has no name yet. */
  discard(): Promise<void>;
}

interface OpenPack {
  readonly file: string;
  readonly handle: FileHandle;
  readonly hash: Hash;
  readonly entries: PackEntry[];
  bases: number;
  end: number;
}

export function createPackWriter(options: {
  readonly folder: string;
  /** At most 256 MiB, head and tail included. */
  readonly maxPackBytes?: number;
}): PackWriter {
  const maxBytes = Math.min(options.maxPackBytes ?? MAX_PACK_BYTES, MAX_PACK_BYTES);
  const packs: (WrittenPack & { readonly temporary: string })[] = [];
  const records: ChunkRecord[] = [];
  let current: OpenPack | undefined;

  const close = async (): Promise<void> => {
    if (current === undefined) return;
    const { pack, entries } = await finishPack(current, options.folder);
    current = undefined;
    packs.push(pack);
    for (const { digest, offset, storedBytes, codec, bases } of entries) {
      records.push({ digest, pack: pack.oid, offset, storedBytes, codec, bases });
    }
  };
  return {
    append: async (entries, bytes) => {
      let from = 0;
      let to = 0;
      for (const entry of entries) {
        if (current !== undefined && !fits(current, entry, maxBytes)) {
          await write(current, bytes.subarray(from, to));
          from = to;
          await close();
        }
        current ??= await startPack(options.folder);
        current.entries.push({ ...entry, offset: current.end });
        current.bases += entry.bases.length;
        current.end += entry.storedBytes;
        to += entry.storedBytes;
      }
      if (current !== undefined) await write(current, bytes.subarray(from, to));
    },
    finish: async () => {
      await close();
      for (const pack of packs) await rename(pack.temporary, pack.path);
      return {
        packs: packs.map(({ oid, sizeBytes, path: file }) => ({ oid, sizeBytes, path: file })),
        records,
      };
    },
    discard: async () => {
      await current?.handle.close();
      const files = [
        ...packs.map(({ temporary }) => temporary),
        ...(current === undefined ? [] : [current.file]),
      ];
      await Promise.all(files.map((file) => rm(file, { force: true })));
    },
  };
}

async function startPack(folder: string): Promise<OpenPack> {
  const file = await temporaryFile(folder);
  const handle = await open(file, "wx", 0o644);
  const pack = { file, handle, hash: createHash("sha256"), entries: [], bases: 0, end: PACK_HEAD_BYTES };
  await write(pack, encodePackHead());
  return pack;
}

/** A pack takes at least one chunk, whatever its limit. */
function fits(pack: OpenPack, entry: Omit<PackEntry, "offset">, maxBytes: number): boolean {
  const tail = packTailBytes(pack.entries.length + 1, pack.bases + entry.bases.length);
  return pack.entries.length < MAX_PACK_CHUNKS && pack.end + entry.storedBytes + tail <= maxBytes;
}

async function write(pack: OpenPack, bytes: Uint8Array): Promise<void> {
  if (bytes.length === 0) return;
  pack.hash.update(bytes);
  await pack.handle.writeFile(bytes);
}

async function finishPack(
  pack: OpenPack,
  folder: string,
): Promise<{
  readonly pack: WrittenPack & { readonly temporary: string };
  readonly entries: readonly PackEntry[];
}> {
  const tail = encodePackTail(pack.entries);
  await write(pack, tail);
  await pack.handle.datasync();
  await pack.handle.close();
  const oid = pack.hash.digest("hex") as Oid;
  const named = { oid, sizeBytes: pack.end + tail.length, path: path.join(folder, `${oid}.pack`) };
  return { pack: { ...named, temporary: pack.file }, entries: pack.entries };
}
