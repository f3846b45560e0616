/** The body of a request of git before its program starts: who announces one and does not send it gets none. */
import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { BodyShare } from "./body-memory.ts";
import { piecesOf } from "./exchange.ts";
import { Refusal } from "./refusal.ts";

/** Each request may have so much without being counted; most requests of git are smaller. */
const SMALL_BYTES = 64 * 1024;

export interface BodyOptions {
  readonly memory: BodyShare;
  /** Of the body, inflated where it comes compressed. */
  readonly maxBytes: number;
  /** All of it is read before `work`; else only its beginning. */
  readonly isWhole: boolean;
}

/**
 * Hands `work` the body, never compressed; what was read before takes memory until `work` ends.
 * @throws Refusal 400, 413, 415, 503, and as `work`
 */
export async function withBody<Result>(
  request: IncomingMessage,
  { memory, maxBytes, isWhole }: BodyOptions,
  work: (body: AsyncIterable<Buffer>) => Promise<Result>,
): Promise<Result> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const body = bounded(plain(request), maxBytes);
  const begun: Buffer[] = [];
  let bytes = 0;
  try {
    while (isWhole || bytes < SMALL_BYTES) {
      const next = await body.next();
      if (next.done === true) break;
      bytes += next.value.length;
      begun.push(next.value);
      if (!isWhole || bytes <= SMALL_BYTES) continue;
      memory.take(next.value.length);
    }
    return await work(
      (async function* () {
        yield* begun;
        yield* body;
      })(),
    );
  } finally {
    memory.giveBack();
    void body.return(undefined).catch(() => undefined); // it may still wait for the client
  }
}

async function* bounded(
  pieces: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<Buffer, undefined, undefined> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    yield piece;
  }
  return undefined;
}

/** git compresses what it asks for. It is inflated here, where it is bounded: a small body may become a very large one. */
function plain(request: IncomingMessage): AsyncIterable<Buffer> {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding === "identity") return piecesOf(request);
  if (encoding === "gzip" || encoding === "x-gzip") return inflated(piecesOf(request));
  throw new Refusal(415, "expected Content-Encoding gzip, or none");
}

async function* inflated(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  const feeding = pipeline(pieces, gunzip);
  feeding.catch(() => undefined); // reading says it
  try {
    for await (const piece of gunzip) yield piece as Buffer;
  } catch (error) {
    const isTheirs = error instanceof Error && "code" in error && /^Z_/.test(String(error.code));
    throw isTheirs ? new Refusal(400, "expected a body compressed by gzip") : error;
  } finally {
    gunzip.destroy();
  }
}

export function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, `expected at most ${maxBytes} bytes`);
}
