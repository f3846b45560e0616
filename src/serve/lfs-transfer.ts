/**
 * Basic transfers: an object whole or in part, one that is uploaded, and the question whether it arrived.
 * @see git-lfs docs/api/basic-transfers.md
 */
import type { FileHandle } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import * as z from "zod";
import type { Oid } from "../disk/object-store.ts";
import { parseByteRange, type ByteRange } from "./byte-range.ts";
import { readJson, sendJson, type Exchange } from "./exchange.ts";
import { notFound, Refusal } from "./refusal.ts";
import { objectSize, openObject, storeObject, type ObjectPlace } from "./served-objects.ts";

const MAX_VERIFY_BYTES = 4096;
const READ_BYTES = 256 * 1024;

/** @throws Refusal 404, 416 */
export async function sendObject(exchange: Exchange, place: ObjectPlace): Promise<void> {
  const handle = await openObject(place);
  if (handle === undefined) throw notFound();
  try {
    const { size } = await handle.stat();
    const range = parseByteRange(exchange.request.headers.range, size);
    if (range === "unsatisfiable") {
      throw new Refusal(416, `the object has ${size} bytes`, { "Content-Range": `bytes */${size}` });
    }
    await sendPart(exchange, handle, { range, sizeBytes: size, oid: place.oid });
  } finally {
    await handle.close();
  }
}

async function sendPart(
  { request, response }: Exchange,
  handle: FileHandle,
  { range, sizeBytes, oid }: { range: ByteRange | undefined; sizeBytes: number; oid: Oid },
): Promise<void> {
  const { start, end } = range ?? { start: 0, end: sizeBytes - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    "Content-Type": "application/octet-stream",
    "Content-Length": end - start + 1,
    "Accept-Ranges": "bytes",
    ETag: `"${oid}"`,
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    ...(range === undefined ? {} : { "Content-Range": `bytes ${start}-${end}/${sizeBytes}` }),
  });
  if (request.method === "HEAD" || end < start) {
    response.end();
    return;
  }
  await pipeline(
    handle.createReadStream({ start, end, highWaterMark: READ_BYTES, autoClose: false }),
    response,
  );
}

/** `sizeBytes` is what the grant says; without one, Content-Length counts. @throws Refusal 411, 413, 422, 507 */
export async function receiveObject(
  exchange: Exchange,
  place: ObjectPlace,
  { sizeBytes, maxObjectBytes }: { readonly sizeBytes: number | undefined; readonly maxObjectBytes: number },
): Promise<void> {
  const { headers } = exchange.request;
  if ((headers["content-encoding"] ?? "identity") !== "identity") {
    throw new Refusal(415, "expected a body without Content-Encoding");
  }
  const declared = headers["content-length"] === undefined ? sizeBytes : Number(headers["content-length"]);
  if (declared === undefined) throw new Refusal(411, "expected Content-Length");
  if (declared > maxObjectBytes) throw new Refusal(413, `expected at most ${maxObjectBytes} bytes`);
  if (declared !== (sizeBytes ?? declared)) {
    throw new Refusal(422, `expected ${sizeBytes ?? 0} bytes, got ${declared}`);
  }
  await storeObject(place, exchange.request, declared);
  exchange.response.writeHead(200, { "Content-Length": 0 }).end();
}

const VERIFY = z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number() });

/**
 * Answers whether an uploaded object is here.
 * @param allowed the object of the grant; undefined for a caller who may write anything
 * @throws Refusal 403, 404, 422
 */
export async function verifyObject(
  exchange: Exchange,
  place: Omit<ObjectPlace, "oid">,
  allowed: Oid | undefined,
): Promise<void> {
  const { success, data } = VERIFY.safeParse(await readJson(exchange, MAX_VERIFY_BYTES));
  if (!success) throw new Refusal(422, "expected oid and size");
  if (allowed !== undefined && data.oid !== allowed)
    throw new Refusal(403, "the grant is for another object");
  const found = await objectSize({ ...place, oid: data.oid as Oid });
  if (found === undefined) throw notFound();
  if (found !== data.size) throw new Refusal(422, `the object has ${found} bytes, not ${data.size}`);
  sendJson(exchange, 200, {});
}
