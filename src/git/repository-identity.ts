/**
 * Which URLs name one repository. A URL is written in many ways: `https://github.com/Acme/Web.git`, `git@github.com:acme/Web`,
 * `ssh://git@ssh.github.com:443/acme/%57eb` are one. Wherever repositories are compared, these keys are, and no text.
 */
import { isRefusedUrl, localFolder, parseUrl, type RepositoryUrl } from "./url.ts";

/**
 * The same text for the same repository, however it is written and reached. Different users of a server keep different keys, and so do
 * ports: they may lead elsewhere. A URL that is none is its own key.
 */
export function repositoryKey(url: string): string {
  const target = parseUrl(url);
  return isRefusedUrl(target) ? url : strictKey(target);
}

/**
 * Whether a pattern of a list (the blacklist, say) names a repository: its URL, or a prefix that ends with `*`. In doubt it does: users and
 * ssh's port, which are no part of a repository, do not count.
 */
export function matchesRepository(pattern: string, url: string): boolean {
  const target = parseUrl(url);
  const isPrefix = pattern.endsWith("*");
  const text = isPrefix ? pattern.slice(0, -1) : pattern;
  const named = isPrefix ? keyOfPrefix(text, looseKey) : keyOf(text, looseKey);
  if (isRefusedUrl(target) || named === undefined) {
    return isPrefix ? url.startsWith(text) : withoutSuffix(url) === withoutSuffix(text);
  }
  const key = looseKey(target);
  return isPrefix ? key.startsWith(named) : key === named;
}

/**
 * Whether `target` lies at or under `prefix`, at a path boundary (`https://h/acme` is no prefix of `https://h/acme-evil/x`), and is reached
 * no less safely: without encryption only where the prefix says so.
 */
export function isUnder(target: RepositoryUrl, prefix: string): boolean {
  if (prefix === "" || (target.kind === "http" && !/^http:/i.test(prefix))) return false;
  const named = keyOf(prefix, strictKey) ?? keyOfPrefix(prefix, strictKey)?.replace(/\/$/, "");
  if (named === undefined || /^[a-z]+:\/\/$/i.test(prefix)) return target.url.startsWith(prefix);
  const key = strictKey(target);
  return key === named || key.startsWith(`${named}/`);
}

/**
 * What the copy of a repository in the cache goes by. On a forge every way leads to the same repository; elsewhere each way has a copy of
 * its own, since what ssh shows may not be what the web server shows.
 */
export function mirrorKey(url: string): string {
  const target = parseUrl(url);
  if (isRefusedUrl(target) || !isForge(partsOf(target)?.host ?? "")) return url;
  return `${target.kind === "http" ? "http:" : ""}${strictKey(target)}`;
}

type KeyOf = (target: RepositoryUrl) => string;

function keyOf(url: string, key: KeyOf): string | undefined {
  const target = parseUrl(url);
  return isRefusedUrl(target) ? undefined : key(target);
}

/** Of text that ends anywhere, in the middle of a name or after a slash: with one letter more it is a URL. */
function keyOfPrefix(text: string, key: KeyOf): string | undefined {
  return keyOf(`${text}x`, key)?.slice(0, -1);
}

function strictKey(target: RepositoryUrl): string {
  const parts = partsOf(target);
  if (parts === undefined) return `file:${localFolder(target) ?? ""}`;
  const { host, user, port, path } = parts;
  const isShared = isForge(host);
  const who = isShared || user === "" || user === "git" ? "" : `${user}@`;
  const door = isShared && target.kind !== "https" && target.kind !== "http" ? "" : port;
  const place = who === "" ? path.replace(/^~\//, "") : path;
  return joined(`//${who}${host}${door}`, isShared ? place.toLowerCase() : place);
}

function looseKey(target: RepositoryUrl): string {
  const parts = partsOf(target);
  if (parts === undefined) return `file:${withoutSuffix(localFolder(target) ?? "").replace(/\/$/, "")}`;
  const { host, port, path } = parts;
  const place = path.replace(/^~\//, "");
  return joined(
    `//${host}${port.startsWith(SSH_PORT) ? "" : port}`,
    isForge(host) ? place.toLowerCase() : place,
  );
}

function joined(host: string, path: string): string {
  return path === "" ? host : `${host}/${path}`;
}

interface Parts {
  readonly user: string;
  readonly host: string;
  /** With its colon; empty for the usual one. */
  readonly port: string;
  /** Decoded, without slashes at its ends and without `.git`; `~/…` in the home of a user of ssh. */
  readonly path: string;
}

const SSH_PORT = ":ssh-";

/** Undefined for a folder of this machine. */
function partsOf({ url, kind }: RepositoryUrl): Parts | undefined {
  if (kind === "path" || kind === "file") return undefined;
  if (kind === "scp") {
    const [, user = "", host = "", path = ""] = /^([^@]+)@([^:]+):(.*)$/.exec(url) ?? [];
    return { user, host: hostOf(host), port: "", path: trimmed(path.startsWith("/") ? path : `~/${path}`) };
  }
  const { username, hostname, port, pathname } = new URL(url);
  const door = port === "" ? "" : `${kind === "ssh" ? SSH_PORT : ":"}${port}`;
  return { user: username, host: hostOf(hostname), port: door, path: trimmed(decoded(pathname)) };
}

function trimmed(path: string): string {
  return withoutSuffix(path).replace(/^\/+/, "");
}

/** `…/DNS`, `…/DNS/` and `…/DNS.git` are one repository. */
function withoutSuffix(url: string): string {
  return url.replace(/\/+$/, "").replace(/\.git$/, "");
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Doors of a forge for those who cannot use the usual one. */
const ALIASES: Readonly<Record<string, string>> = {
  "ssh.github.com": "github.com",
  "www.github.com": "github.com",
  "altssh.gitlab.com": "gitlab.com",
  "www.gitlab.com": "gitlab.com",
  "altssh.bitbucket.org": "bitbucket.org",
  "www.bitbucket.org": "bitbucket.org",
};

function hostOf(host: string): string {
  return ALIASES[host] ?? host;
}

const FORGES = new Set(["github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "gitea.com"]);

/** Where owner and name are without case, and one repository is reached by https and by ssh, whose user is always the same. */
function isForge(host: string): boolean {
  return FORGES.has(host) || host.endsWith(".ghe.com") || /^(github|gitlab|gitea|forgejo)\./.test(host);
}
