/** Who asks, and what they may do. */
import { timingSafeEqual } from "node:crypto";
import { stat } from "node:fs/promises";
import { isGrant, type Grant, type Granter } from "./grant.ts";
import { Refusal, unauthorized } from "./refusal.ts";
import { digestOf, readTokens, type TokenEntry, type TokenRights } from "./token-file.ts";
import { messageOf } from "../errors.ts";

/** Where a request's credentials lead. */
export interface Caller {
  /** The name of the token; undefined for an anonymous reader. */
  readonly name: string | undefined;
  readonly rights: TokenRights | "none";
  /** Instead of a token: what the batch API allowed for one object. */
  readonly grant: Grant | undefined;
}

export interface AccessOptions {
  readonly tokensFile: string | undefined;
  readonly isPrivate: boolean;
  readonly isWritable: boolean;
  readonly granter: Granter;
  readonly warn: (message: string) => void;
}

export interface Access {
  /** @throws Refusal 401 for credentials that are wrong, 503 while the token file cannot be used */
  callerOf(authorization: string | undefined): Promise<Caller>;
  /** @throws Refusal 401 or 403 unless the caller may do that to all repositories here. */
  require(caller: Caller, right: TokenRights): void;
}

const ANONYMOUS: Caller = { name: undefined, rights: "none", grant: undefined };

export function createAccess(options: AccessOptions): Access {
  const tokens = tokenReader(options);
  return {
    callerOf: async (authorization) => {
      if (authorization === undefined) return ANONYMOUS;
      const token = tokenOf(authorization);
      if (token === undefined) throw unauthorized("expected a token as Basic password or Bearer");
      if (isGrant(token)) return grantCaller(token, options.granter);
      const entry = findToken(await tokens(), token);
      if (entry === undefined) throw unauthorized("this token is not known here");
      return { name: entry.name, rights: entry.rights, grant: undefined };
    },
    require: (caller, right) => {
      requireRight(caller, right, options);
    },
  };
}

function requireRight(
  caller: Caller,
  right: TokenRights,
  options: Pick<AccessOptions, "isPrivate" | "isWritable">,
): void {
  if (right === "write" && !options.isWritable) throw new Refusal(403, "this server is read-only");
  if (right === "read" && !options.isPrivate) return;
  if (caller.rights === "none") throw unauthorized(`a token is needed to ${right}`);
  if (right === "write" && caller.rights !== "write") {
    throw new Refusal(403, `the token ${caller.name ?? ""} may read only`);
  }
}

function grantCaller(token: string, granter: Granter): Caller {
  const grant = granter.verify(token);
  if (grant === undefined) throw unauthorized("the grant is not valid, or no longer");
  return { name: grant.name, rights: "none", grant };
}

/** The password of Basic (git and git-lfs send nothing else), or the token of Bearer. */
function tokenOf(authorization: string): string | undefined {
  const [, scheme = "", value = ""] =
    /^(Basic|Bearer) +([A-Za-z0-9+/=._~-]{1,4096})$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() === "bearer") return value;
  const decoded = Buffer.from(value, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  return colon === -1 ? undefined : decoded.slice(colon + 1);
}

/** Compares with every entry, in the same time wherever the match is. */
function findToken(entries: readonly TokenEntry[], token: string): TokenEntry | undefined {
  const digest = digestOf(token);
  let found: TokenEntry | undefined;
  for (const entry of entries) {
    if (timingSafeEqual(Buffer.from(entry.sha256, "hex"), digest)) found = entry;
  }
  return found;
}

/** Reads the file again whenever it changed, so that adding and revoking need no restart. */
function tokenReader({ tokensFile, warn }: AccessOptions): () => Promise<readonly TokenEntry[]> {
  let stamp = "";
  let entries: readonly TokenEntry[] | undefined = [];
  if (tokensFile === undefined) return () => Promise.resolve([]);
  return async () => {
    const found = await stat(tokensFile, { bigint: true }).catch(() => undefined);
    const current = found === undefined ? "none" : `${found.mtimeNs} ${found.ino} ${found.size}`;
    if (current !== stamp) {
      entries = await readTokens(tokensFile).catch((error: unknown) => {
        warn(messageOf(error));
        return undefined;
      });
      stamp = current;
    }
    // Neither "unknown token" (git would forget it) nor the old list (a token may just have been revoked).
    if (entries === undefined)
      throw new Refusal(503, "the token file cannot be used", { "Retry-After": "30" });
    return entries;
  };
}
