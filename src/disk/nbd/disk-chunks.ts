/** The content of a disk behind NBD, without what is zero. */
import { CHUNK_BYTES, isAllZero, plainBytesAt } from "../format.ts";
import type { NbdClient } from "./nbd-client.ts";

export interface PlainChunk {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** Of whole chunks, at most 1 MiB; from the end of the disk to itself when nothing more follows. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

const MAX_STRETCH_BYTES = 1024 * 1024;
/** Much more would make QEMU list a fragmented disk again and again. */
const MAX_QUERY_BYTES = 64 * 1024 * 1024;

/** The next stretch that may hold something; `offset` is where a chunk begins. */
export async function nextStretch(client: NbdClient, offset: number): Promise<Stretch> {
  const { sizeBytes } = client;
  for (let at = offset; at < sizeBytes;) {
    const asked = Math.min(sizeBytes - at, MAX_QUERY_BYTES);
    const before = at;
    for (const { lengthBytes, isZero } of await client.extents(at, asked)) {
      if (!isZero) return stretchAt(at, at + lengthBytes, sizeBytes);
      at += lengthBytes;
    }
    if (at === before) throw new Error("a disk that does not say what it has");
  }
  return { start: sizeBytes, end: sizeBytes };
}

function stretchAt(from: number, to: number, sizeBytes: number): Stretch {
  const start = Math.floor(from / CHUNK_BYTES) * CHUNK_BYTES;
  const end = Math.ceil(to / CHUNK_BYTES) * CHUNK_BYTES;
  return { start, end: Math.min(end, start + MAX_STRETCH_BYTES, sizeBytes) };
}

/** Every chunk that is not all zeros, ascending. */
export async function* readChunks(client: NbdClient): AsyncGenerator<PlainChunk, void> {
  for (let offset = 0; ;) {
    const { start, end } = await nextStretch(client, offset);
    if (start === end) return;
    yield* chunksIn(await client.read(start, end - start), start, client.sizeBytes);
    offset = end;
  }
}

/** Those that are not all zeros, of bytes that begin with a chunk. */
export function* chunksIn(bytes: Uint8Array, start: number, sizeBytes: number): Generator<PlainChunk, void> {
  for (let at = 0; at < bytes.length;) {
    const position = (start + at) / CHUNK_BYTES;
    const chunk = bytes.subarray(at, at + plainBytesAt(sizeBytes, position));
    if (!isAllZero(chunk)) yield { position, bytes: chunk };
    at += chunk.length;
  }
}
