/** The loop of `cui runner`: looks, waits, looks again, until it is told to stop; what fails is tried again later. */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Diagnostic } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import type { Git } from "../../git/git.ts";
import { resolveUrl, type RepositoryUrl } from "../../git/url.ts";
import { nextDelayMs } from "./backoff.ts";
import { runPass, type PassOptions, type PassResult } from "./run-pass.ts";
import { runnerForge } from "./runner-forge.ts";
import { openSiteMirror } from "./site-mirror.ts";
import { requireWorkFolder } from "./work-folder.ts";
import { inWorkFolder } from "./work-folder-lock.ts";

export interface RunnerOptions extends Omit<PassOptions, "mirror" | "github"> {
  readonly git: Git;
  /** URL of the site's repository, or an absolute path. */
  readonly url: string;
  readonly intervalMs: number;
  readonly once: boolean;
}

/** Resolves to the last look's outcome. With `once` whatever goes wrong is thrown; the daemon logs it and goes on. */
export async function runRunner(options: RunnerOptions): Promise<PassResult> {
  const { url, dir, log, signal, intervalMs } = options;
  await requireWorkFolder(dir);
  await mkdir(dir, { recursive: true });
  const mirror = await inWorkFolder(options, () => openSiteMirror(options.git, dir, url));
  if (mirror === undefined) return { outcome: "idle" };
  const github = runnerForge(url, options.env);
  if (options.once) return runPass({ ...options, mirror, github });
  log(`watches ${url} every ${intervalMs / 1000} s${github === undefined ? "" : ", and reports to GitHub"}`);
  let failures = 0;
  let last: PassResult = { outcome: "idle" };
  let said = "";
  // What a person said on the command line is said once, not for every commit to come.
  let wishes = { acceptRewind: options.acceptRewind, retry: options.retry };
  while (!signal.aborted) {
    try {
      last = await runPass({ ...options, ...wishes, mirror, github });
      wishes = { acceptRewind: undefined, retry: false };
      failures = last.outcome === "pending" ? failures + 1 : 0;
      said = "";
    } catch (error) {
      failures += 1;
      const text = error instanceof CollectiveError ? `${error.code}: ${error.message}` : String(error);
      // The same trouble every minute is said once.
      if (text !== said) log(`error: ${text}`);
      said = text;
      last = { outcome: "failed" };
    }
    await sleep(nextDelayMs(intervalMs, failures), undefined, { signal }).catch(() => undefined);
  }
  log("stops");
  return last;
}

/** Where a site's repository is, as a person writes it: a URL, or a path that is made absolute. Refused as by `resolveUrl`. */
export function siteUrlOf(text: string, cwd: string): RepositoryUrl | Diagnostic {
  // `ext::…` is no name of a folder, but what asks git to run a program: resolveUrl refuses it.
  const isPath = !/^[A-Za-z][A-Za-z0-9+.-]*:\/\/|^[^/@]+@[^/:]+:|^[A-Za-z0-9.+-]*::/.test(text);
  return resolveUrl(isPath ? path.resolve(cwd, text) : text, "/");
}

/** A folder's name for a site: readable, and different for every URL. */
export function workFolderName(url: string): string {
  const readable = path.posix
    .basename(url.replaceAll(":", "/"))
    .replace(/\.git$/, "")
    .replaceAll(/[^A-Za-z0-9]+/g, "-");
  return `${readable.slice(0, 40)}-${createHash("sha256").update(url).digest("hex").slice(0, 8)}`;
}
