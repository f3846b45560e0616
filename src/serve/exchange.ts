/** One request and its answer, with what the log says about it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { Peer } from "./peers.ts";
import { Refusal } from "./refusal.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly peer: Peer;
}

const PIECE_BYTES = 64 * 1024;

/**
 * The body as it arrives, each piece full but the last: a chunk of Node is a view of all that was read with it, which may be far more.
 * Who stops early can still answer (Node would otherwise close the connection).
 */
export async function* piecesOf(request: Readable): AsyncGenerator<Buffer, undefined, undefined> {
  let piece = Buffer.allocUnsafe(PIECE_BYTES);
  let filled = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length;) {
      const copied = chunk.copy(piece, filled, at);
      at += copied;
      filled += copied;
      if (filled < piece.length) continue;
      yield piece;
      piece = Buffer.allocUnsafe(PIECE_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
  return undefined;
}

const MAX_DISCARDED_BYTES = 64 * 1024 * 1024;
const MAX_DISCARD_MS = 30_000;

/** Reads on and throws away, so that a client that still sends gets to read the answer; within bounds. */
export function discardRest(request: IncomingMessage): void {
  let bytes = 0;
  const timer = setTimeout(() => request.destroy(), MAX_DISCARD_MS).unref();
  request.on("close", () => {
    clearTimeout(timer);
  });
  request.on("error", () => undefined);
  request.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > MAX_DISCARDED_BYTES) request.destroy();
  });
}

/** A GET has no body; one that comes all the same is neither waited for nor kept. */
export function ignoreBody({ request, response }: Exchange): void {
  const { method, headers } = request;
  const hasBody = Number(headers["content-length"] ?? 0) > 0 || headers["transfer-encoding"] !== undefined;
  if (!hasBody || (method !== "GET" && method !== "HEAD")) return;
  response.setHeader("Connection", "close");
  discardRest(request);
}

export const LFS_MEDIA_TYPE = "application/vnd.git-lfs+json";

export function sendJson({ response }: Exchange, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, { "Content-Type": LFS_MEDIA_TYPE, "Content-Length": Buffer.byteLength(text) })
    .end(text);
}

/**
 * A JSON body of at most `maxBytes`.
 * @throws Refusal 400, 413, 415
 */
export async function readJson({ request }: Exchange, maxBytes: number): Promise<unknown> {
  if ((request.headers["content-encoding"] ?? "identity") !== "identity") {
    throw new Refusal(415, "expected a body without Content-Encoding");
  }
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of piecesOf(request)) {
    bytes += piece.length;
    if (bytes > maxBytes) throw new Refusal(413, `expected at most ${maxBytes} bytes`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8")) as unknown;
  } catch {
    throw new Refusal(400, "expected JSON");
  }
}
