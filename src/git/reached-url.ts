/** Where git goes for a URL: the user's `url.<base>.insteadOf` may lead to another host, with a token, or to a folder. */
import type { Git } from "./git.ts";
import { isHttp, isRefusedUrl, localFolder, parseUrl } from "./url.ts";

/** What git would take from the URL itself. */
export interface UrlCredential {
  readonly username: string;
  /** Empty where the URL names a user alone. */
  readonly password: string;
}

export type ReachedUrl =
  | {
      readonly kind: "http";
      /** Normalised, and without credentials. */
      readonly url: string;
      readonly credential: UrlCredential | undefined;
    }
  | { readonly kind: "local"; readonly folder: string }
  /** ssh, in whatever form: git and git-lfs understand it. */
  | { readonly kind: "ssh"; readonly url: string };

/** @param url normalised */
export async function reachedUrl(git: Git, url: string, direction: "fetch" | "push"): Promise<ReachedUrl> {
  const rewritten = rewrite(url, await readRewrites(git), direction);
  const { bare, credential } = splitCredential(rewritten);
  const target = parseUrl(bare);
  if (isRefusedUrl(target)) return { kind: "ssh", url: rewritten };
  const folder = localFolder(target);
  if (folder !== undefined) return { kind: "local", folder };
  return isHttp(target) ? { kind: "http", url: target.url, credential } : { kind: "ssh", url: target.url };
}

interface Rewrite {
  readonly base: string;
  readonly insteadOf: string;
  readonly isForPush: boolean;
}

/** `url.<base>.insteadof LF <prefix> NUL` … */
async function readRewrites(git: Git): Promise<readonly Rewrite[]> {
  const args = ["config", "--null", "--get-regexp", "^url\\..*\\.(push)?insteadof$"];
  const { stdout } = await git.status({ args });
  return stdout.split("\0").flatMap((entry) => {
    const match = /^url\.([^]*)\.(push)?insteadof\n([^]*)$/.exec(entry);
    if (match === null) return [];
    return [{ base: match[1] ?? "", insteadOf: match[3] ?? "", isForPush: match[2] !== undefined }];
  });
}

/** The longest prefix counts; of a push, those for pushes first. @see git-config(1), "url.<base>.insteadOf" */
function rewrite(url: string, rewrites: readonly Rewrite[], direction: "fetch" | "push"): string {
  const longest = (isForPush: boolean): Rewrite | undefined =>
    rewrites
      .filter((entry) => entry.isForPush === isForPush && url.startsWith(entry.insteadOf))
      .reduce<Rewrite | undefined>(
        (best, entry) =>
          best === undefined || entry.insteadOf.length > best.insteadOf.length ? entry : best,
        undefined,
      );
  const found = (direction === "push" ? longest(true) : undefined) ?? longest(false);
  return found === undefined ? url : `${found.base}${url.slice(found.insteadOf.length)}`;
}

function splitCredential(url: string): {
  readonly bare: string;
  readonly credential: UrlCredential | undefined;
} {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) return { bare: url, credential: undefined };
  const parsed = new URL(url);
  const { username, password } = parsed;
  if (username === "" && password === "") return { bare: url, credential: undefined };
  parsed.username = "";
  parsed.password = "";
  return { bare: parsed.href, credential: { username: decoded(username), password: decoded(password) } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
