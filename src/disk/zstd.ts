/** zstd in this thread, by Node's own zlib. It blocks the thread: only the workers use it. */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** Level of the writer; a reader does not care. */
const params = { [constants.ZSTD_c_compressionLevel]: 3 };

/** One frame that states its content size. */
export function compressFrame(plain: Uint8Array): Uint8Array {
  return zstdCompressSync(plain, { params });
}

/**
 * The plain bytes of one frame; a `dictionary` is raw content.
 * @throws Error when more than `maxBytes` come out or the frame does not decode; the caller has checked the size it states.
 */
export function decompressFrame(
  frame: Uint8Array,
  maxBytes: number,
  dictionary: Uint8Array | undefined,
): Uint8Array {
  return zstdDecompressSync(frame, {
    maxOutputLength: Math.max(1, maxBytes),
    ...(dictionary === undefined ? {} : { dictionary }),
  });
}
