/** What a zstd frame says about itself, read before any of it is decoded. @see RFC 8878, "Frame Header" */

const ZSTD_MAGIC = 0xfd2fb528;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;

/**
 * The plain size a frame states; undefined when it is not one zstd frame of ours: no content size, or a dictionary id.
 * Decoders allocate what a frame asks for, so this is compared with the chunk size first.
 */
export function frameContentSize(frame: Uint8Array): number | undefined {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  if (bytes.length < 6 || bytes.readUInt32LE(0) !== ZSTD_MAGIC) return undefined;
  const descriptor = bytes.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0 || DICTIONARY_ID_BYTES[descriptor & 3] !== 0) return undefined;
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag === 0 && singleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
  const at = 5 + (singleSegment ? 0 : 1);
  if (sizeBytes === 0 || bytes.length < at + sizeBytes) return undefined;
  if (sizeBytes === 1) return bytes.readUInt8(at);
  if (sizeBytes === 2) return bytes.readUInt16LE(at) + 256;
  if (sizeBytes === 4) return bytes.readUInt32LE(at);
  const size = bytes.readBigUInt64LE(at);
  return size > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(size);
}
