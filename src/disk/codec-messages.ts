/** What the codec pool and its workers say to each other. Buffers are moved, not copied: the sender loses them. */
import type { Codec } from "./format.ts";

/** Chunks to store: plain bytes back to back, answered in the same buffer. */
export interface CompressJob {
  readonly kind: "compress";
  readonly buffer: ArrayBuffer;
  readonly plainBytes: readonly number[];
}

/** The stored bytes back to back from the start of the buffer that came. */
export interface CompressResult {
  readonly buffer: ArrayBuffer;
  readonly stored: readonly { readonly storedBytes: number; readonly codec: Codec }[];
}

export interface DecodeItem {
  /** From the start of the job's buffer. */
  readonly offset: number;
  readonly storedBytes: number;
  readonly codec: Codec;
  readonly digest: string;
  /** Undefined where any length up to a chunk's is right. */
  readonly plainBytes: number | undefined;
  /** The dictionary of a delta, prefix included. */
  readonly dictionary?: Uint8Array;
}

export interface DecodeJob {
  readonly kind: "decode";
  readonly buffer: ArrayBuffer;
  /** Room for the plain chunks, 64 KiB for each item; answered as the result's buffer. */
  readonly output: ArrayBuffer;
  readonly items: readonly DecodeItem[];
}

/** Plain chunks, item n from byte n * 64 KiB on; a problem instead of a length where an item is not what it should be. */
export interface DecodeResult {
  readonly buffer: ArrayBuffer;
  readonly chunks: readonly (
    | { readonly plainBytes: number; readonly problem?: undefined }
    | { readonly plainBytes?: undefined; readonly problem: string }
  )[];
}

export type CodecJob = CompressJob | DecodeJob;
export type CodecAnswer =
  | { readonly result: CompressResult | DecodeResult }
  | { readonly failure: string; readonly result?: undefined };
