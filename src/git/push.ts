/**
 * Pushing, and what became of it. `git push --porcelain` says of each ref that was not taken
 *
 *     ! TAB <from>:<to> TAB [rejected] (<reason>)              by this git, before anything was sent
 *     ! TAB <from>:<to> TAB [remote rejected] (<reason>)       by the repository
 *
 * in English, because every call of git sets LC_ALL=C.
 */
import type { Git } from "./git.ts";
import { run } from "../io.ts";
import { visible } from "../diagnostics.ts";

export interface PushOptions {
  /** A remote's name, or a URL. */
  readonly to: string;
  /** `<commit>:refs/heads/main`; `:refs/heads/old` deletes. */
  readonly refspecs: readonly string[];
  /** All refs or none. */
  readonly atomic?: boolean;
  /** Where a ref must be for the push to replace it, whatever lies between; undefined commit: it must not exist. */
  readonly lease?: { readonly ref: string; readonly commit: string | undefined };
  readonly timeoutMs?: number;
}

/**
 * - `stale`: a ref is not where it was thought to be, because somebody else pushed: fetch, and decide again.
 * - `forward-only`: the repository lets no branch be rewound.
 * - `denied`: a hook or a rule of the repository refused it.
 * - `forbidden`: whoever pushes has no access.
 * - `unreachable`: everything else; nothing was sent, as far as is known.
 */
export type PushResult =
  | { readonly kind: "ok" }
  | {
      readonly kind: "stale" | "forward-only" | "denied" | "forbidden" | "unreachable";
      /** The line of git that says it. */
      readonly said: string;
      /** What the repository's hooks printed, `remote: …`; without control characters. */
      readonly remote: readonly string[];
    };

/** Hooks of this side are not run. @throws CollectiveError PROCESS_MISSING, PROCESS_TIMED_OUT. */
export async function push(git: Git, options: PushOptions): Promise<PushResult> {
  const { to, refspecs, atomic, lease, timeoutMs } = options;
  const args = [
    ...["push", "--quiet", "--porcelain", "--no-verify", "--no-follow-tags"],
    ...(atomic === true ? ["--atomic"] : []),
    ...(lease === undefined ? [] : [`--force-with-lease=${lease.ref}:${lease.commit ?? ""}`]),
    ...["--", to, ...refspecs],
  ];
  return run({
    ...git.command({
      args,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      allowedExitCodes: [0, 1, 128],
    }),
    parse: (stdout, exitCode, stderr) => (exitCode === 0 ? { kind: "ok" } : classify(stdout, stderr)),
  });
}

/** Of an atomic push every ref is refused because of one; that one says why. */
const FOLLOWS_FROM_ANOTHER = /^(atomic push|atomic transaction|transaction) fail/;
const STALE =
  /^(fetch first|non-fast-forward|needs force|stale info|already exists|remote ref updated since checkout)$/;
const STALE_AT_REMOTE =
  /already exists|cannot lock ref|failed to update ref|failed to lock|reference already exists/;
const NO_ACCESS =
  /returned error: 40[13]\b|Authentication failed|could not read Username|Permission( to .*)? denied|Access denied/i;

function classify(stdout: string, stderr: string): PushResult {
  const remote = stderr
    .split("\n")
    .filter((line) => /^remote: *\S/.test(line))
    .map((line) => visible(line.trimEnd()));
  const refused = stdout.split("\n").flatMap((line) => {
    const match = /^!\t[^\t]*\t\[(remote )?(?:rejected|failure)\] \((.*)\)$/.exec(line);
    return match === null ? [] : [{ isByRemote: match[1] !== undefined, reason: match[2] ?? "", line }];
  });
  const first = refused.find(({ reason }) => !FOLLOWS_FROM_ANOTHER.test(reason)) ?? refused[0];
  if (first === undefined) {
    const line = stderr.split("\n").find((text) => /^(fatal|error|ssh):/.test(text)) ?? stderr;
    return {
      kind: NO_ACCESS.test(stderr) ? "forbidden" : "unreachable",
      said: visible(line.trim()),
      remote,
    };
  }
  const said = visible(first.line.slice(2).replaceAll("\t", " "));
  return { kind: kindOf(first, stderr), said, remote };
}

function kindOf(
  { isByRemote, reason }: { readonly isByRemote: boolean; readonly reason: string },
  stderr: string,
): "stale" | "forward-only" | "denied" {
  if (!isByRemote) return STALE.test(reason) ? "stale" : "denied";
  if (reason === "non-fast-forward" || stderr.includes("denying non-fast-forward")) return "forward-only";
  // When the refs of an atomic push are moved at last, what keeps one of them is said beside the refusals.
  const why = FOLLOWS_FROM_ANOTHER.test(reason) ? stderr : reason;
  return STALE_AT_REMOTE.test(why) ? "stale" : "denied";
}
