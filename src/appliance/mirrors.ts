/** The mirrors one command uses: each opened and fetched once, all closed at its end. */
import type { Environment, Git } from "../git/git.ts";
import { cacheFolder } from "../cache-folder.ts";
import { openMirror, type Mirror, type MirrorOptions } from "./mirror.ts";

export interface Mirrors {
  /** Folder of the cache. */
  readonly cache: string;
  /** For repositories of this machine that are read where they are (one that receives a push, say). */
  readonly localGit: Git;
  /** The mirror of a normalised URL. */
  get(url: string): Promise<Mirror>;
}

export interface MirrorsOptions extends MirrorOptions {
  /** The cache's folder; default that of the environment. */
  readonly cache?: string | undefined;
  /** More variables for `localGit`. */
  readonly localEnv?: Environment;
}

/** Runs `work` with a set of mirrors and closes them afterwards, whatever happens. The folder of `git` does not matter. */
export async function withMirrors<Result>(
  git: Git,
  work: (mirrors: Mirrors) => Promise<Result>,
  options: MirrorsOptions = {},
): Promise<Result> {
  const cache = options.cache ?? cacheFolder(git.env);
  const opened = new Map<string, Promise<Mirror>>();
  const get = (url: string): Promise<Mirror> => {
    const mirror = opened.get(url) ?? openMirror(url, { git, cache, fetchTimeoutMs: options.fetchTimeoutMs });
    opened.set(url, mirror);
    return mirror;
  };
  try {
    return await work({ cache, localGit: git.with(options.localEnv ?? {}), get });
  } finally {
    for (const result of await Promise.allSettled(opened.values())) {
      if (result.status === "fulfilled") await result.value.close();
    }
  }
}
