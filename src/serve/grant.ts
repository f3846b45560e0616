/**
 * Grants: what the batch API hands out so that one object can be transferred for a while, without the caller's token.
 *
 *     cui-lfs.<base64url of JSON>.<base64url of HMAC-SHA256>
 *
 * The key lives as long as the server; after a restart a client gets a new grant from the batch API.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Oid } from "../disk/object-store.ts";

export interface Grant {
  /** The repository's folder below the served one: a grant is readable, and the server's own paths are nobody's business. */
  readonly repository: string;
  readonly oid: Oid;
  readonly operation: "download" | "upload";
  readonly sizeBytes: number;
  /** As Date.now() counts. */
  readonly expiresAtMs: number;
  /** Whose token it was made for; undefined for an anonymous reader. */
  readonly name: string | undefined;
}

export interface Granter {
  grant(grant: Grant): string;
  /** Undefined when it was not made here or has expired. */
  verify(text: string): Grant | undefined;
}

const PREFIX = "cui-lfs";

export function isGrant(text: string): boolean {
  return text.startsWith(`${PREFIX}.`);
}

export function createGranter(key: Uint8Array = randomBytes(32)): Granter {
  const mac = (payload: string): Buffer => createHmac("sha256", key).update(payload).digest();
  return {
    grant: (grant) => {
      const payload = Buffer.from(JSON.stringify(grant)).toString("base64url");
      return `${PREFIX}.${payload}.${mac(payload).toString("base64url")}`;
    },
    verify: (text) => {
      const [prefix, payload = "", given = "", ...rest] = text.split(".");
      if (prefix !== PREFIX || rest.length > 0) return undefined;
      const expected = mac(payload);
      const found = Buffer.from(given, "base64url");
      if (found.length !== expected.length || !timingSafeEqual(found, expected)) return undefined;
      const grant = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as Grant;
      return grant.expiresAtMs > Date.now() ? grant : undefined;
    },
  };
}
