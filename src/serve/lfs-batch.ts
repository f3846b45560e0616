/**
 * The batch API: for each object a client wants to have or to give, where and with which grant.
 * @see git-lfs docs/api/batch.md
 */
import path from "node:path";
import * as z from "zod";
import type { Oid } from "../disk/object-store.ts";
import { readJson, sendJson, type Exchange } from "./exchange.ts";
import type { Grant, Granter } from "./grant.ts";
import { Refusal } from "./refusal.ts";
import { objectSize } from "./served-objects.ts";

export interface BatchOptions {
  readonly root: string;
  /** The repository's real folder. */
  readonly folder: string;
  /** `https://host/repository/info/lfs` as the client sees it. */
  readonly endpoint: string;
  readonly name: string | undefined;
  readonly granter: Granter;
  readonly maxObjectBytes: number;
  /** @throws Refusal unless the caller may */
  require(right: "read" | "write"): void;
}

const MAX_OBJECTS = 1000;
const MAX_BODY_BYTES = 256 * MAX_OBJECTS;
const GRANT_SECONDS = 1800;

const REQUEST = z.object({
  operation: z.enum(["download", "upload"]),
  transfers: z.array(z.string()).optional(),
  hash_algo: z.string().optional(),
  objects: z.array(z.object({ oid: z.string(), size: z.number() })),
});

type Operation = Grant["operation"];
interface Wanted {
  readonly oid: string;
  readonly size: number;
}

/** @throws Refusal 400, 409, 413, 422, and those of `require` */
export async function serveBatch(exchange: Exchange, options: BatchOptions): Promise<void> {
  const { success, data } = REQUEST.safeParse(await readJson(exchange, MAX_BODY_BYTES));
  if (!success) throw new Refusal(422, "expected a batch request: operation and objects");
  options.require(data.operation === "upload" ? "write" : "read");
  if ((data.hash_algo ?? "sha256") !== "sha256") throw new Refusal(409, "only sha256 is understood");
  if (data.objects.length > MAX_OBJECTS) throw new Refusal(413, `expected at most ${MAX_OBJECTS} objects`);
  const objects: unknown[] = [];
  for (const wanted of data.objects) objects.push(await answerFor(wanted, data.operation, options));
  sendJson(exchange, 200, { transfer: "basic", objects, hash_algo: "sha256" });
}

async function answerFor(wanted: Wanted, operation: Operation, options: BatchOptions): Promise<unknown> {
  const { oid, size } = wanted;
  if (!/^[0-9a-f]{64}$/.test(oid) || !Number.isSafeInteger(size) || size < 0) {
    return failed(wanted, 422, "expected a SHA-256 and a size");
  }
  const found = await objectSize({ root: options.root, folder: options.folder, oid: oid as Oid });
  if (operation === "download") {
    if (found === undefined) return failed(wanted, 404, "the object is not here");
    if (found !== size) return failed(wanted, 422, `the object has ${found} bytes, not ${size}`);
    return { oid, size, authenticated: true, actions: { download: action(wanted, operation, options) } };
  }
  if (found === size) return { oid, size };
  if (size > options.maxObjectBytes) {
    return failed(wanted, 422, `an object may have at most ${options.maxObjectBytes} bytes`);
  }
  const upload = action(wanted, operation, options);
  const verify = { ...upload, href: `${options.endpoint}/verify` };
  return { oid, size, authenticated: true, actions: { upload, verify } };
}

function action({ oid, size }: Wanted, operation: Operation, options: BatchOptions): object {
  const grant = options.granter.grant({
    repository: path.relative(options.root, options.folder),
    oid: oid as Oid,
    operation,
    sizeBytes: size,
    expiresAtMs: Date.now() + GRANT_SECONDS * 1000,
    name: options.name,
  });
  return {
    href: `${options.endpoint}/objects/${oid}`,
    header: { Authorization: `Bearer ${grant}` },
    expires_in: GRANT_SECONDS,
  };
}

function failed({ oid, size }: Wanted, code: number, message: string): unknown {
  return { oid, size, error: { code, message } };
}
