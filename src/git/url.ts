/**
 * URLs of repositories as an import writes them: which are understood, what a relative one means.
 *
 *     https://host/path   ssh://[user@]host[:port]/path   user@host:path   http://host/path (with a warning)
 *     file:///path        /path                           ../path (relative to the importing repository's own URL)
 *
 * Everything else is refused: other schemes, `ext::` and the like, what looks like an option, credentials in the URL.
 */

import { domainToASCII } from "node:url";
import { makeDiagnostic, visible, type Diagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";

export type UrlKind = "https" | "http" | "ssh" | "scp" | "file" | "path";

export interface RepositoryUrl {
  /** Normalised: no `.` and `..` parts, no trailing slash, host in lower case. The same repository gives the same text. */
  readonly url: string;
  readonly kind: UrlKind;
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
  if (problem !== undefined) return refuseUrl(problem);
  return absoluteUrl(written) ?? relativeUrl(written, base);
}

/** As `resolveUrl`. @throws CollectiveError REPOSITORY_URL_REFUSED for one that is refused. */
export function requireUrl(written: string, base: string): RepositoryUrl {
  const target = resolveUrl(written, base);
  if (!isRefusedUrl(target)) return target;
  const { message, hint } = target;
  throw new CollectiveError("REPOSITORY_URL_REFUSED", message, { hint });
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

export function refuseUrl(message: string, hint = FORMS): Diagnostic {
  return makeDiagnostic("IMPORT_URL_REFUSED", message, undefined, { hint });
}

function textProblem(written: string): string | undefined {
  if (written === "") return "the URL is empty";
  if (written.length > MAX_URL_LENGTH) return `the URL is longer than ${MAX_URL_LENGTH} characters`;
  if (/[\u0000-\u001f\u007f\\]/.test(written)) return "the URL has a control character or a backslash";
  if (/^ | $/.test(written)) return "the URL begins or ends with a space";
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
  return /^[^/]*:/.test(written) ? refuseUrl(`the URL ${written} is of no known form`) : undefined;
}

function schemeUrl(written: string, scheme: string): RepositoryUrl | Diagnostic {
  if (scheme === "file") return fileUrl(written);
  if (scheme !== "https" && scheme !== "http" && scheme !== "ssh") {
    return refuseUrl(`the scheme ${scheme}:// is not allowed`);
  }
  const parsed = URL.canParse(written) ? new URL(written) : undefined;
  if (parsed === undefined || parsed.hostname === "") {
    return refuseUrl(`the URL ${written} is malformed`);
  }
  const host = hostName(parsed.hostname);
  const problem = remoteProblem(parsed, { scheme, host });
  if (problem !== undefined) return problem;
  const user = scheme === "ssh" && parsed.username !== "" ? `${parsed.username}@` : "";
  const port = parsed.port === "" || (scheme === "ssh" && parsed.port === "22") ? "" : `:${parsed.port}`;
  return { url: `${scheme}://${user}${host}${port}${normalPath(parsed.pathname)}`, kind: scheme };
}

/** In lower case, in ASCII, without the dot that ends a whole name. */
function hostName(written: string): string {
  const plain = isDecodable(written) ? decodeURIComponent(written) : written;
  const host = /[^\u0000-\u007f]/.test(plain) ? domainToASCII(plain) : plain;
  return host.toLowerCase().replace(/\.$/, "");
}

/** What needs no `%` is written without; the rest in upper case. */
function normalPath(path: string): string {
  const plain = path.replaceAll(/%[0-9a-f]{2}/gi, (code) => {
    const character = String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : code.toUpperCase();
  });
  return trimSlashes(plain.replace(/\/{2,}/g, "/"));
}

function remoteProblem(
  parsed: URL,
  { scheme, host }: { readonly scheme: string; readonly host: string },
): Diagnostic | undefined {
  if (parsed.password !== "" || (scheme !== "ssh" && parsed.username !== "")) {
    return refuseUrl(
      `the URL of ${parsed.host}${parsed.pathname} holds credentials`,
      "leave them to git's credential helper",
    );
  }
  if (parsed.search !== "" || parsed.hash !== "") {
    return refuseUrl(`the URL of ${parsed.host} has a query or a fragment`);
  }
  if (/%(2f|5c|0[0-9a-f]|1[0-9a-f]|7f)/i.test(parsed.pathname)) {
    return refuseUrl(`the URL of ${parsed.host} hides a separator in its path`);
  }
  if (!isHost(host) || !/^([A-Za-z0-9_][A-Za-z0-9._-]*)?$/.test(parsed.username)) {
    return refuseUrl(`${parsed.hostname} is not the name of a host`);
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
    return refuseUrl(`the URL ${written} is malformed`, "write file:///folder");
  }
  if (/%(2f|00)/i.test(parsed.pathname) || !isDecodable(parsed.pathname)) {
    return refuseUrl(`the URL ${written} hides a separator in its path`, "write file:///folder");
  }
  return { url: `file://${normalPath(parsed.pathname)}`, kind: "file" };
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
  const name = hostName(host);
  if (
    !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(user) ||
    !isHost(name) ||
    parts === undefined ||
    path.startsWith("-")
  ) {
    return refuseUrl(`the URL ${written} is malformed`);
  }
  return {
    url: `${user}@${name}:${path.startsWith("/") ? "/" : ""}${parts.join("/")}`,
    kind: "scp",
  };
}

function pathUrl(written: string): RepositoryUrl | Diagnostic {
  const parts = normalise(written);
  if (parts === undefined || parts.length === 0) {
    return refuseUrl(`the path ${written} leads nowhere`, "write the folder of a repository");
  }
  return { url: `/${parts.join("/")}`, kind: "path" };
}

function relativeUrl(written: string, base: string): RepositoryUrl | Diagnostic {
  const from = absoluteUrl(base);
  if (from === undefined || isRefusedUrl(from)) {
    return refuseUrl(`${written} is relative, and ${base} is no URL to start from`);
  }
  const { root, path } = splitRoot(from);
  const parts = normalise(`${path}/${written}`);
  if (parts === undefined || parts.length === 0) {
    return refuseUrl(`${written} leads out of ${root === "/" ? base : root}`, `it is relative to ${base}`);
  }
  const found = root + parts.join("/");
  const problem = textProblem(found);
  if (problem !== undefined) return refuseUrl(`${written} is relative to ${visible(base)}: ${problem}`);
  return absoluteUrl(found) ?? refuseUrl(`${written} leads nowhere`);
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

function isHost(host: string): boolean {
  return /^(\[[0-9a-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9._-]*))$/i.test(host);
}

function trimSlashes(path: string): string {
  return path.replace(/\/+$/, "");
}
