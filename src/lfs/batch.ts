/**
 * The batch API from the client's side: at most 100 objects a call, fewer where the server says 413.
 * @see git-lfs docs/api/batch.md
 */
import * as z from "zod";
import type { Oid } from "../disk/object-store.ts";
import type { LfsPointer } from "./pointer.ts";
import type { LfsApi } from "./api.ts";
import { expiryOf } from "./endpoint.ts";
import { addressOf, statusError, unexpectedReply } from "./lfs-errors.ts";

export type Operation = "download" | "upload";

/** What may be done with one object, and with which headers. */
export interface LfsAction {
  readonly href: string;
  /** For the host of `href` alone. */
  readonly headers: Readonly<Record<string, string>>;
  /** As Date.now() counts: when to ask again, at three quarters of its life. */
  readonly renewAtMs: number;
}

export interface BatchedObject {
  readonly oid: Oid;
  readonly actions: Readonly<Partial<Record<Operation | "verify", LfsAction>>>;
  /** Why there are none. */
  readonly error: { readonly code: number; readonly message: string } | undefined;
}

export const BATCH_SIZE = 100;
const MAX_HEADER_LENGTH = 16 * 1024;
/** The client's own affair, or another host's: a server cannot set them. */
const OWN_HEADERS = new Set([
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "range",
  "te",
  "upgrade",
]);

const ACTION = z.object({
  href: z.string().max(MAX_HEADER_LENGTH),
  header: z.record(z.string().regex(/^[A-Za-z0-9-]{1,100}$/), z.string().max(MAX_HEADER_LENGTH)).nullish(),
  expires_in: z.number().nullish(),
  expires_at: z.string().max(100).nullish(),
});

const ANSWER = z.object({
  transfer: z.string().nullish(),
  objects: z.array(
    z.object({
      oid: z.string(),
      size: z.number().nullish(),
      actions: z
        .object({ download: ACTION.nullish(), upload: ACTION.nullish(), verify: ACTION.nullish() })
        .nullish(),
      error: z.object({ code: z.number(), message: z.string().nullish() }).nullish(),
    }),
  ),
});

/**
 * Asks what may be done with each object; every one is in the answer.
 * @throws CollectiveError as LfsApi.batch
 */
export async function askBatch(
  api: LfsApi,
  operation: Operation,
  objects: readonly LfsPointer[],
): Promise<readonly BatchedObject[]> {
  const answers: BatchedObject[] = [];
  let size = BATCH_SIZE;
  for (let from = 0; from < objects.length;) {
    const part = objects.slice(from, from + size);
    const { status, content } = await api.batch({
      operation,
      transfers: ["basic"],
      objects: part.map(({ oid, sizeBytes }) => ({ oid, size: sizeBytes })),
      hash_algo: "sha256",
    });
    if (status === 413) {
      if (part.length === 1) throw statusError({ status, where: await api.where(), said: "" });
      size = Math.ceil(part.length / 2);
      continue;
    }
    answers.push(...readAnswer(content, part, await api.where()));
    from += part.length;
  }
  return answers;
}

function readAnswer(content: unknown, asked: readonly LfsPointer[], where: string): readonly BatchedObject[] {
  const { success, data } = ANSWER.safeParse(content);
  if (!success) throw unexpectedReply(where, "what is no answer of the batch API");
  if ((data.transfer ?? "basic") !== "basic")
    throw unexpectedReply(where, "with a transfer that was not offered");
  const byOid = new Map(data.objects.map((object) => [object.oid, object]));
  return asked.map(({ oid }) => {
    const object = byOid.get(oid);
    if (object === undefined) throw unexpectedReply(where, `without the object ${oid}`);
    const { download, upload, verify } = object.actions ?? {};
    return {
      oid,
      actions: {
        ...(download ? { download: readAction(download, where) } : {}),
        ...(upload ? { upload: readAction(upload, where) } : {}),
        ...(verify ? { verify: readAction(verify, where) } : {}),
      },
      error: object.error ? { code: object.error.code, message: object.error.message ?? "" } : undefined,
    };
  });
}

function readAction(given: z.infer<typeof ACTION>, where: string): LfsAction {
  const href = URL.canParse(given.href, where) ? new URL(given.href, where) : undefined;
  const isAllowed = href?.protocol === "https:" || (href?.protocol === "http:" && where.startsWith("http:"));
  if (href === undefined || !isAllowed || href.username !== "" || href.password !== "") {
    throw unexpectedReply(
      where,
      `with a link that is not followed: ${href === undefined ? "none" : addressOf(href.href)}`,
    );
  }
  const headers = Object.entries(given.header ?? {}).filter(
    ([name, value]) => !OWN_HEADERS.has(name.toLowerCase()) && /^[\u0020-\u007e]*$/.test(value),
  );
  const expiresAtMs = expiryOf({
    expires_in: given.expires_in ?? undefined,
    expires_at: given.expires_at ?? undefined,
  });
  const lifeMs = expiresAtMs === undefined ? Infinity : Math.max(0, expiresAtMs - Date.now());
  return { href: href.href, headers: Object.fromEntries(headers), renewAtMs: Date.now() + lifeMs * 0.75 };
}
