/** zstd in this thread: Node's own where it has it (22.15 and later), else WebAssembly. Used by the workers only. */
import * as zlib from "node:zlib";

export interface Zstd {
  /** One frame that states its content size. */
  compress(plain: Uint8Array): Uint8Array;
  /** At most `maxBytes` come out, else it throws; the caller has checked the size the frame states. */
  decompress(frame: Uint8Array, maxBytes: number, dictionary: Uint8Array | undefined): Uint8Array;
}

/** Level of the writer; a reader does not care. */
const LEVEL = 3;

export async function loadZstd(): Promise<Zstd> {
  return nativeZstd() ?? (await wasmZstd());
}

interface NativeOptions {
  readonly params?: Record<number, number>;
  readonly dictionary?: Uint8Array;
  readonly maxOutputLength?: number;
}

/** @see Node.js zlib, "Zstd" */
interface NativeZlib {
  readonly zstdCompressSync?: (plain: Uint8Array, options?: NativeOptions) => Uint8Array;
  readonly zstdDecompressSync?: (frame: Uint8Array, options?: NativeOptions) => Uint8Array;
  readonly constants: Readonly<Record<string, number>>;
}

function nativeZstd(): Zstd | undefined {
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as NativeZlib;
  const levelKey = constants["ZSTD_c_compressionLevel"];
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined || levelKey === undefined) {
    return undefined;
  }
  const params = { [levelKey]: LEVEL };
  return {
    compress: (plain) => zstdCompressSync(plain, { params }),
    decompress: (frame, maxBytes, dictionary) =>
      zstdDecompressSync(frame, {
        maxOutputLength: Math.max(1, maxBytes),
        ...(dictionary === undefined ? {} : { dictionary }),
      }),
  };
}

async function wasmZstd(): Promise<Zstd> {
  const { init, compressUsingDict, decompressUsingDict, createCCtx, createDCtx } =
    await import("@bokuweb/zstd-wasm");
  await init();
  const none = new Uint8Array(0);
  const compressContext = createCCtx();
  const decompressContext = createDCtx();
  return {
    compress: (plain) => compressUsingDict(compressContext, plain, none, LEVEL),
    decompress: (frame, maxBytes, dictionary) => {
      const plain = decompressUsingDict(decompressContext, frame, dictionary ?? none);
      if (plain.length > maxBytes) throw new Error(`more than ${maxBytes} bytes came out`);
      return plain;
    },
  };
}
