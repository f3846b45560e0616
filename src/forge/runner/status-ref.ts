/** What became of a commit, as a ref everybody who can fetch the site can read: `refs/collective/status/<commit>`, a blob of JSON. */
import type { Git } from "../../git/git.ts";
import { push } from "../../git/push.ts";
import { messageOf, unlessCode } from "../../errors.ts";
import { listRemoteRefs } from "../../git/refs.ts";

const STATUS_REFS = "refs/collective/status";
const ATTEMPTS = 3;
const PUSH_TIMEOUT_MS = 60_000;

/**
 * Pushes the status in the place of the one there is, by compare-and-swap. Resolves to why it could not be pushed, or to
 * undefined: a remote that takes no such refs holds up nothing.
 */
export async function pushStatusRef(options: {
  readonly git: Git;
  /** Work folder of the runner: hooks that this push starts call no runner on it. */
  readonly dir: string;
  readonly url: string;
  readonly commit: string;
  readonly status: unknown;
  /** Leave a status that is there. */
  readonly isFallback?: boolean;
}): Promise<string | undefined> {
  const { git, url, commit, dir } = options;
  const ref = `${STATUS_REFS}/${commit}`;
  const input = `${JSON.stringify(options.status, undefined, 2)}\n`;
  const oid = (await git.run({ args: ["hash-object", "-w", "--stdin"], input })).trim();
  let problem = "";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await remoteRef(git, url, ref);
    if (before === oid || (before !== undefined && options.isFallback === true)) return undefined;
    const result = await push(git.with({ CUI_RUNNER: dir }), {
      to: url,
      refspecs: [`${oid}:${ref}`],
      lease: { ref, commit: before },
      timeoutMs: PUSH_TIMEOUT_MS,
    }).catch((error: unknown) => ({ kind: "unreachable" as const, said: messageOf(error), remote: [] }));
    if (result.kind === "ok") return undefined;
    problem = [result.said, ...result.remote].join("; ");
  }
  return problem;
}

/** Undefined where there is none, or the remote does not say: then the push tells why. */
async function remoteRef(git: Git, url: string, ref: string): Promise<string | undefined> {
  const asked = listRemoteRefs(git, { of: url, patterns: [ref], timeoutMs: PUSH_TIMEOUT_MS });
  return (await unlessCode("PROCESS_FAILED", asked))?.ids.get(ref);
}
