/**
 * What a request is for. Only these are served; everything else in a repository (its files, the dumb protocol) has no route.
 *
 *     GET  <repository>/info/refs?service=git-upload-pack|git-receive-pack
 *     POST <repository>/git-upload-pack, <repository>/git-receive-pack
 *     POST <repository>/info/lfs/objects/batch
 *     GET  <repository>/info/lfs/objects/<oid>      PUT the same      POST <repository>/info/lfs/verify
 *     any  <repository>/info/lfs/locks…             (404, which tells git-lfs that there are no locks)
 */
import type { Oid } from "../disk/object-store.ts";
import { notFound, Refusal } from "./refusal.ts";

export type GitService = "git-upload-pack" | "git-receive-pack";

/** `repository` is the path below the served folder, each part a checked name. */
export type Route = { readonly repository: readonly string[] } & (
  | { readonly kind: "refs"; readonly service: GitService }
  | { readonly kind: "service"; readonly service: GitService }
  | { readonly kind: "lfs-batch" | "lfs-verify" | "lfs-locks" }
  | { readonly kind: "lfs-object"; readonly oid: Oid; readonly isUpload: boolean }
);

const MAX_PATH_LENGTH = 1024;
const MAX_DEPTH = 8;
/** No leading dot (`.git`, `..`) and no leading dash. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._+~-]{0,127}$/;

const ROUTE =
  /^\/(.+?)\/(info\/refs|git-upload-pack|git-receive-pack|info\/lfs\/(?:objects\/batch|objects\/([0-9a-f]{64})|verify|locks(?:\/.*)?))$/;

/**
 * @param target as in the request line: a path with a query
 * @throws Refusal 404, 403 for git's dumb protocol, 405
 */
export function parseRoute(method: string, target: string): Route {
  const [path = "", query = ""] = target.split("?", 2);
  const match = ROUTE.exec(path);
  if (match === null || path.length > MAX_PATH_LENGTH) throw notFound();
  const repository = (match[1] ?? "").split("/").map(decodeName);
  if (repository.length > MAX_DEPTH) throw notFound();
  return { repository, ...routeBelow(method, match[2] ?? "", { query, oid: match[3] }) };
}

type Below<R = Route> = R extends Route ? Omit<R, "repository"> : never;

function routeBelow(method: string, path: string, rest: { query: string; oid: string | undefined }): Below {
  if (rest.oid !== undefined) {
    expectMethod(method, "GET", "HEAD", "PUT");
    return { kind: "lfs-object", oid: rest.oid as Oid, isUpload: method === "PUT" };
  }
  if (path.startsWith("info/lfs/locks")) return { kind: "lfs-locks" };
  if (path === "info/refs") {
    expectMethod(method, "GET");
    return { kind: "refs", service: advertisedService(rest.query) };
  }
  expectMethod(method, "POST");
  if (path === "info/lfs/objects/batch") return { kind: "lfs-batch" };
  if (path === "info/lfs/verify") return { kind: "lfs-verify" };
  return { kind: "service", service: path as GitService };
}

function advertisedService(query: string): GitService {
  const service = new URLSearchParams(query).get("service");
  if (service === "git-upload-pack" || service === "git-receive-pack") return service;
  throw new Refusal(403, "only git's smart protocol is served here");
}

function decodeName(part: string): string {
  let name: string;
  try {
    name = decodeURIComponent(part);
  } catch {
    throw notFound();
  }
  if (!NAME.test(name)) throw notFound();
  return name;
}

function expectMethod(method: string, ...allowed: readonly string[]): void {
  if (!allowed.includes(method)) {
    throw new Refusal(405, `expected ${allowed.join(" or ")}`, { Allow: allowed.join(", ") });
  }
}
