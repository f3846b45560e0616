/** Entry point of a worker thread: compresses, or decodes and verifies, one batch of chunks a message. */
import * as crypto from "node:crypto";
import { parentPort } from "node:worker_threads";
import type {
  CodecAnswer,
  CodecJob,
  CompressJob,
  CompressResult,
  DecodeItem,
  DecodeJob,
  DecodeResult,
} from "./codec-messages.ts";
import { CHUNK_BYTES } from "./format.ts";
import { frameContentSize } from "./zstd-frame.ts";
import { compressFrame, decompressFrame } from "./zstd.ts";
import { messageOf } from "../errors.ts";

const port = parentPort;
if (port === null) throw new Error("codec-worker runs as a worker thread only");

port.on("message", (job: CodecJob) => {
  const message = answer(job);
  port.postMessage(message, message.result === undefined ? [] : [message.result.buffer]);
});

function answer(job: CodecJob): CodecAnswer {
  try {
    return { result: job.kind === "compress" ? compressChunks(job) : decodeChunks(job) };
  } catch (error) {
    return { failure: messageOf(error) };
  }
}

/** Stored bytes are never longer than plain ones, so they are put into the same buffer from its start. */
function compressChunks({ buffer, plainBytes }: CompressJob): CompressResult {
  const bytes = new Uint8Array(buffer);
  let from = 0;
  let to = 0;
  const stored = plainBytes.map((length) => {
    const plain = bytes.subarray(from, from + length);
    const frame = compressFrame(plain);
    const raw = frame.length >= length;
    bytes.set(raw ? plain : frame, to);
    from += length;
    to += raw ? length : frame.length;
    return raw
      ? ({ storedBytes: length, codec: "raw" } as const)
      : ({ storedBytes: frame.length, codec: "zstd" } as const);
  });
  return { buffer, stored };
}

function decodeChunks({ buffer, output, items }: DecodeJob): DecodeResult {
  const plain = new Uint8Array(output);
  const chunks = items.map((item, at) => {
    const stored = new Uint8Array(buffer, item.offset, item.storedBytes);
    const decoded = decodeChunk(stored, item);
    if (typeof decoded === "string") return { problem: decoded };
    plain.set(decoded, at * CHUNK_BYTES);
    return { plainBytes: decoded.length };
  });
  return { buffer: output, chunks };
}

/** The plain bytes, or in words what is wrong with the stored ones. */
function decodeChunk(stored: Uint8Array, item: DecodeItem): Uint8Array | string {
  const limit = item.plainBytes ?? CHUNK_BYTES;
  let plain: Uint8Array;
  if (item.codec === "raw") {
    plain = stored;
  } else {
    const size = frameContentSize(stored);
    if (size === undefined) return "its stored bytes are not a zstd frame that states its size";
    if (size > limit) return `its frame states ${size} plain bytes, more than ${limit}`;
    try {
      plain = decompressFrame(stored, limit, item.dictionary);
    } catch {
      return "its zstd frame does not decode";
    }
    // Newer Nodes decode what follows the frame as well.
    if (plain.length !== size) return `it has ${plain.length} plain bytes, expected ${size}`;
  }
  if (plain.length > limit || (item.plainBytes !== undefined && plain.length !== limit)) {
    return `it has ${plain.length} plain bytes, expected ${limit}`;
  }
  return crypto.hash("sha256", plain, "hex") === item.digest
    ? plain
    : "its plain bytes do not have its SHA-256";
}
