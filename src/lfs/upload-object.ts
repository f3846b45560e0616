/** One object to the server: PUT, then `verify` where the server wants it. */
import { createReadStream } from "node:fs";
import type { LfsPointer } from "./pointer.ts";
import { LFS_MEDIA_TYPE } from "./api.ts";
import type { BatchedObject, LfsAction } from "./batch.ts";
import { replyError, type HttpReply, type LfsHttp } from "./http.ts";

/** A link that ran out meanwhile. */
export interface LinkRefused {
  readonly error: Error;
}

/**
 * Resolves to a refusal when a new link may help.
 * @throws CollectiveError LFS_REFUSED, LFS_STORAGE_FULL and those of LfsHttp.send
 */
export async function uploadObject(
  http: LfsHttp,
  object: LfsPointer & { readonly file: string },
  { upload, verify }: BatchedObject["actions"],
): Promise<LinkRefused | undefined> {
  if (upload !== undefined) {
    const refused = await finish(await put(http, object, upload));
    if (refused !== undefined) return refused;
  }
  if (upload === undefined || verify === undefined) return undefined;
  const body = JSON.stringify({ oid: object.oid, size: object.sizeBytes });
  const headers = { ...verify.headers, Accept: LFS_MEDIA_TYPE, "Content-Type": LFS_MEDIA_TYPE };
  return finish(await http.send({ method: "POST", url: verify.href, headers, body: () => body }));
}

function put(
  http: LfsHttp,
  { file, sizeBytes }: LfsPointer & { file: string },
  link: LfsAction,
): Promise<HttpReply> {
  const type = Object.keys(link.headers).some((name) => name.toLowerCase() === "content-type")
    ? {}
    : { "Content-Type": "application/octet-stream" };
  return http.send({
    method: "PUT",
    url: link.href,
    headers: { ...link.headers, ...type, "Content-Length": String(sizeBytes) },
    body: () => createReadStream(file, { highWaterMark: 256 * 1024 }),
  });
}

async function finish(reply: HttpReply): Promise<LinkRefused | undefined> {
  if (reply.status >= 200 && reply.status < 300) {
    reply.body.on("error", () => undefined).resume();
    return undefined;
  }
  const error = await replyError(reply);
  if (reply.status === 401 || reply.status === 403) return { error };
  throw error;
}
