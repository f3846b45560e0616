/**
 * URLs of repositories as an import writes them: which are understood, what a relative one means, what a policy allows.
 *
 *     https://host/path   ssh://[user@]host[:port]/path   user@host:path   http://host/path (with a warning)
 *     file:///path        /path                           ../path (relative to the importing repository's own URL)
 *
 * Everything else is refused: other schemes, `ext::` and the like, what looks like an option, credentials in the URL.
 */

import { makeDiagnostic, type Diagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";

export type UrlKind = "https" | "http" | "ssh" | "scp" | "file" | "path";

export interface RepositoryUrl {
  /** Normalised: no `.` and `..` parts, no trailing slash, host in lower case. The same repository gives the same text. */
  readonly url: string;
  readonly kind: UrlKind;
}

export interface UrlPolicy {
  /** URL prefixes imports may come from; undefined allows all. */
  readonly allow?: readonly string[] | undefined;
  /** Refuse path and file URLs. */
  readonly refusePaths?: boolean | undefined;
  /** Refuse path and file URLs that lead out of this folder (absolute). */
  readonly pathsBelow?: string | undefined;
}

const FORMS =
  "write https://…, ssh://…, git@host:path, file://…, a path, or a URL relative to this repository";
const MAX_URL_LENGTH = 2048;

/**
 * Resolves `written` as found in a file of the repository `base` (a normalised URL or an absolute path). One that is refused is
 * an IMPORT_URL_REFUSED without a place.
 */
export function resolveUrl(written: string, base: string): RepositoryUrl | Diagnostic {
  const problem = textProblem(written);
  if (problem !== undefined) return refuse(problem);
  return absoluteUrl(written) ?? relativeUrl(written, base);
}

/** As `resolveUrl`. @throws CollectiveError REPOSITORY_URL_REFUSED for one that is refused. */
export function requireUrl(written: string, base: string): RepositoryUrl {
  const target = resolveUrl(written, base);
  if (!isRefusedUrl(target)) return target;
  const { message, hint } = target;
  throw new CollectiveError("REPOSITORY_URL_REFUSED", message, { hint });
}

/** Whether policy lets `target` be fetched; undefined when it does. */
export function policyProblem(target: RepositoryUrl, policy: UrlPolicy): Diagnostic | undefined {
  if (policy.refusePaths === true && isLocal(target)) {
    return refuse(`${target.url} is a path, which is not allowed here`, "import it by its https URL");
  }
  const outside = pathProblem(target, policy.pathsBelow);
  if (outside !== undefined) return outside;
  if (policy.allow === undefined) return undefined;
  if (policy.allow.some((prefix) => hasPrefix(target, prefix))) return undefined;
  return refuse(
    `${target.url} begins with none of the prefixes that imports.allow lists`,
    policy.allow.length === 0 ? "imports.allow is empty" : `allowed are ${policy.allow.join(", ")}`,
  );
}

function pathProblem(target: RepositoryUrl, below: string | undefined): Diagnostic | undefined {
  const folder = localFolder(target);
  if (below === undefined || folder === undefined) return undefined;
  if (folder.startsWith(below.endsWith("/") ? below : `${below}/`)) return undefined;
  return refuse(
    `${target.url} is a path outside the folder of this repository, which is not allowed here`,
    "import it by its https URL, or by one relative to this repository (../Name)",
  );
}

/** Whether the repository lies on this machine's file system. */
export function isLocal(target: RepositoryUrl): boolean {
  return target.kind === "path" || target.kind === "file";
}

/** Whether the repository is reached over HTTP, with TLS or without. */
export function isHttp(target: RepositoryUrl): boolean {
  return target.kind === "https" || target.kind === "http";
}

/** The folder of a local repository; undefined for a remote one. */
export function localFolder(target: RepositoryUrl): string | undefined {
  if (target.kind === "path") return target.url;
  return target.kind === "file" ? decodeURIComponent(target.url.slice("file://".length)) : undefined;
}

/** Whether a normalised URL names a folder of this machine. */
export function isLocalUrl(url: string): boolean {
  const target = parseUrl(url);
  return !isRefusedUrl(target) && localFolder(target) !== undefined;
}

/** A URL that was normalised before (a lock entry, a Source). */
export function parseUrl(url: string): RepositoryUrl | Diagnostic {
  return resolveUrl(url, "/");
}

/** Whether `written` needs the importing repository's URL to mean anything. */
export function isRelativeUrl(written: string): boolean {
  return textProblem(written) === undefined && absoluteUrl(written) === undefined;
}

/** Narrowing for the two results of `resolveUrl`. */
export function isRefusedUrl(result: RepositoryUrl | Diagnostic): result is Diagnostic {
  return "code" in result;
}

function refuse(message: string, hint = FORMS): Diagnostic {
  return makeDiagnostic("IMPORT_URL_REFUSED", message, undefined, { hint });
}

function textProblem(written: string): string | undefined {
  if (written === "") return "the URL is empty";
  if (written.length > MAX_URL_LENGTH) return `the URL is longer than ${MAX_URL_LENGTH} characters`;
  if (/[\u0000-\u0020\u007f\\]/.test(written)) {
    return "the URL has a space, a control character or a backslash";
  }
  if (written.startsWith("-")) return `the URL ${written} looks like an option`;
  if (/^[A-Za-z0-9.+-]*::/.test(written)) return `the URL ${written} asks git to run a helper program`;
  return undefined;
}

/** Undefined when `written` is relative. */
function absoluteUrl(written: string): RepositoryUrl | Diagnostic | undefined {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(written)?.[1]?.toLowerCase();
  if (scheme !== undefined) return schemeUrl(written, scheme);
  if (written.startsWith("/")) return pathUrl(written);
  const scp = /^([^/:@]+)@([^/:@]+):(.+)$/.exec(written);
  if (scp !== null) return scpUrl(written, scp[1] ?? "", scp[2] ?? "", scp[3] ?? "");
  return /^[^/]*:/.test(written) ? refuse(`the URL ${written} is of no known form`) : undefined;
}

function schemeUrl(written: string, scheme: string): RepositoryUrl | Diagnostic {
  if (scheme === "file") return fileUrl(written);
  if (scheme !== "https" && scheme !== "http" && scheme !== "ssh") {
    return refuse(`the scheme ${scheme}:// is not allowed`);
  }
  const parsed = URL.canParse(written) ? new URL(written) : undefined;
  if (parsed === undefined || parsed.hostname === "") {
    return refuse(`the URL ${written} is malformed`);
  }
  const problem = remoteProblem(parsed, scheme);
  if (problem !== undefined) return problem;
  const user = scheme === "ssh" && parsed.username !== "" ? `${parsed.username}@` : "";
  const path = trimSlashes(parsed.pathname.replace(/\/{2,}/g, "/"));
  return { url: `${scheme}://${user}${parsed.host.toLowerCase()}${path}`, kind: scheme };
}

function remoteProblem(parsed: URL, scheme: string): Diagnostic | undefined {
  if (parsed.password !== "" || (scheme !== "ssh" && parsed.username !== "")) {
    return refuse(
      `the URL of ${parsed.host}${parsed.pathname} holds credentials`,
      "leave them to git's credential helper",
    );
  }
  if (parsed.search !== "" || parsed.hash !== "") {
    return refuse(`the URL of ${parsed.host} has a query or a fragment`);
  }
  if (/%(2f|5c|0[0-9a-f]|1[0-9a-f]|7f)/i.test(parsed.pathname)) {
    return refuse(`the URL of ${parsed.host} hides a separator in its path`);
  }
  if (!isHost(parsed.hostname) || !/^([A-Za-z0-9_][A-Za-z0-9._-]*)?$/.test(parsed.username)) {
    return refuse(`${parsed.hostname} is not the name of a host`);
  }
  return undefined;
}

function fileUrl(written: string): RepositoryUrl | Diagnostic {
  const parsed = URL.canParse(written) ? new URL(written) : undefined;
  if (
    parsed === undefined ||
    parsed.host !== "" ||
    parsed.pathname === "/" ||
    parsed.search + parsed.hash !== ""
  ) {
    return refuse(`the URL ${written} is malformed`, "write file:///folder");
  }
  if (/%(2f|00)/i.test(parsed.pathname) || !isDecodable(parsed.pathname)) {
    return refuse(`the URL ${written} hides a separator in its path`, "write file:///folder");
  }
  return { url: `file://${trimSlashes(parsed.pathname.replace(/\/{2,}/g, "/"))}`, kind: "file" };
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function scpUrl(written: string, user: string, host: string, path: string): RepositoryUrl | Diagnostic {
  const parts = normalise(path);
  if (
    !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(user) ||
    !isHost(host) ||
    parts === undefined ||
    path.startsWith("-")
  ) {
    return refuse(`the URL ${written} is malformed`);
  }
  return {
    url: `${user}@${host.toLowerCase()}:${path.startsWith("/") ? "/" : ""}${parts.join("/")}`,
    kind: "scp",
  };
}

function pathUrl(written: string): RepositoryUrl | Diagnostic {
  const parts = normalise(written);
  if (parts === undefined || parts.length === 0) {
    return refuse(`the path ${written} leads nowhere`, "write the folder of a repository");
  }
  return { url: `/${parts.join("/")}`, kind: "path" };
}

function relativeUrl(written: string, base: string): RepositoryUrl | Diagnostic {
  const from = absoluteUrl(base);
  if (from === undefined || isRefusedUrl(from)) {
    return refuse(`${written} is relative, and ${base} is no URL to start from`);
  }
  const { root, path } = splitRoot(from);
  const parts = normalise(`${path}/${written}`);
  if (parts === undefined || parts.length === 0) {
    return refuse(`${written} leads out of ${root === "/" ? base : root}`, `it is relative to ${base}`);
  }
  return absoluteUrl(root + parts.join("/")) ?? refuse(`${written} leads nowhere`);
}

/** What a relative URL cannot leave, and the path below it. */
function splitRoot({ url, kind }: RepositoryUrl): { root: string; path: string } {
  const length = (/^[a-z]+:\/\/[^/]*\/?/.exec(url) ?? /^[^/:]+@[^:]+:\/?/.exec(url) ?? /^\//.exec(url))?.[0]
    .length;
  const root = url.slice(0, length ?? 0);
  return { root: kind === "scp" || root.endsWith("/") ? root : `${root}/`, path: url.slice(length ?? 0) };
}

/** The parts of a path without `.`, `..` and empty ones; undefined when it climbs above its start. */
function normalise(path: string): string[] | undefined {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts;
}

/** Whether `target` lies under `prefix`, at a path boundary: `https://h/acme` is no prefix of `https://h/acme-evil/x`. */
function hasPrefix(target: RepositoryUrl, prefix: string): boolean {
  const parsed = absoluteUrl(prefix);
  const normal = parsed === undefined || isRefusedUrl(parsed) ? prefix : parsed.url;
  if (normal === "") return false;
  if (target.url === normal) return true;
  return target.url.startsWith(/[/:]$/.test(normal) ? normal : `${normal}/`);
}

function isHost(host: string): boolean {
  return /^(\[[0-9a-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9._-]*))$/i.test(host);
}

function trimSlashes(path: string): string {
  return path.replace(/\/+$/, "");
}
