/** The mirrors one command uses: each opened and fetched once, all closed at its end. */
import { cacheFolder } from "./mirror-cache.ts";
import { openMirror, type Mirror, type MirrorOptions } from "./mirror.ts";

export interface Mirrors {
  /** Folder of the cache. */
  readonly cache: string;
  /** Environment of git where commits of a local repository are read (of one that receives a push, say). */
  readonly localEnv: Readonly<Record<string, string | undefined>>;
  /** The mirror of a normalised URL. */
  get(url: string): Promise<Mirror>;
}

/** Runs `work` with a set of mirrors and closes them afterwards, whatever happens. */
export async function withMirrors<Result>(
  work: (mirrors: Mirrors) => Promise<Result>,
  options: MirrorOptions & { readonly localEnv?: Mirrors["localEnv"] } = {},
): Promise<Result> {
  const cache = options.cache ?? cacheFolder();
  const opened = new Map<string, Promise<Mirror>>();
  const get = (url: string): Promise<Mirror> => {
    const mirror = opened.get(url) ?? openMirror(url, { ...options, cache });
    opened.set(url, mirror);
    return mirror;
  };
  try {
    return await work({ cache, localEnv: options.localEnv ?? {}, get });
  } finally {
    for (const result of await Promise.allSettled(opened.values())) {
      if (result.status === "fulfilled") await result.value.close();
    }
  }
}
