/** One GET of an object or a part of it: answered exactly as asked, or an error; no error body becomes data. */
import type { Readable } from "node:stream";
import type { LfsPointer } from "./pointer.ts";
import type { LfsAction } from "./batch.ts";
import type { DownloadLinks } from "./download-links.ts";
import { replyError, type HttpReply, type LfsHttp } from "./http.ts";
import { addressOf, unexpectedReply } from "./lfs-errors.ts";

export interface Part {
  readonly start: number;
  /** Not included. */
  readonly end: number;
}

export interface GotPart {
  /** False when the server sends the whole object instead of the part. */
  readonly isPart: boolean;
  /** Exactly the bytes asked for, unless it is cut or goes on for too long. */
  readonly body: Readable;
  /** For messages. */
  readonly where: string;
}

export interface Getting {
  readonly http: LfsHttp;
  readonly links: DownloadLinks;
}

/**
 * @param part undefined for the whole object
 * @throws CollectiveError LFS_UNAUTHORIZED, LFS_REFUSED, LFS_UNEXPECTED_REPLY, REPOSITORY_OBJECT_MISSING and those of LfsHttp
 */
export async function getObject(
  { http, links }: Getting,
  object: LfsPointer,
  part: Part | undefined,
): Promise<GotPart> {
  let link = await links.linkTo(object);
  let reply = await get(http, link, part);
  if (reply.status === 401 || reply.status === 403) {
    // It ran out early, or was revoked: once, a new one.
    reply.body.on("error", () => undefined).destroy();
    links.forget(object.oid, link);
    link = await links.linkTo(object);
    reply = await get(http, link, part);
  }
  const { url, sentHeaders } = reply;
  const headers = Object.fromEntries(Object.entries(sentHeaders).filter(([name]) => name !== "Range"));
  links.moved(object.oid, link, { href: url, headers });
  const where = addressOf(url);
  if (reply.status !== 200 && reply.status !== 206) throw await replyError(reply);
  try {
    return { isPart: checkReply(reply, object, part), body: reply.body, where };
  } catch (error) {
    reply.body.on("error", () => undefined).destroy();
    throw error;
  }
}

function get(http: LfsHttp, link: LfsAction, part: Part | undefined): Promise<HttpReply> {
  const range = part === undefined ? {} : { Range: `bytes=${part.start}-${part.end - 1}` };
  return http.send({ method: "GET", url: link.href, headers: { ...link.headers, ...range } });
}

function checkReply(
  { status, headers, url }: HttpReply,
  object: LfsPointer,
  part: Part | undefined,
): boolean {
  const where = addressOf(url);
  if (headers["content-encoding"] !== undefined && headers["content-encoding"] !== "identity") {
    throw unexpectedReply(where, "with a Content-Encoding nobody asked for");
  }
  const isPart = status === 206;
  const [start, end] = isPart && part !== undefined ? [part.start, part.end] : [0, object.sizeBytes];
  if (isPart) {
    const expected = `bytes ${start}-${end - 1}/${object.sizeBytes}`;
    const found = headers["content-range"];
    if (part === undefined || found !== expected) {
      throw unexpectedReply(where, `with another part than asked: ${String(found)}, not ${expected}`);
    }
  }
  const length = headers["content-length"];
  if (length !== undefined && Number(length) !== end - start) {
    throw unexpectedReply(where, `with ${String(length)} bytes, not ${end - start}`);
  }
  return isPart;
}
