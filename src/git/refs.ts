/** Refs: of this repository, and of one that is only asked. */
import type { Git } from "./git.ts";

export interface Ref {
  /** Whole: `refs/tags/v6`. */
  readonly name: string;
  /** What it points at: a commit, or an annotated tag's own object. */
  readonly oid: string;
}

export interface ListRefsOptions {
  /** `refs/heads`, `refs/tags/v*` */
  readonly pattern: string;
  /** Only those that HEAD's history reaches. */
  readonly inHead?: boolean;
  /** Only those at this commit. */
  readonly pointsAt?: string;
  /** At most so many, the first by name. */
  readonly limit?: number;
}

/** By name. @throws CollectiveError PROCESS_FAILED outside a repository, or where HEAD has no commit and it counts. */
export async function listRefs(git: Git, options: ListRefsOptions): Promise<readonly Ref[]> {
  const { pattern, inHead, pointsAt, limit } = options;
  const text = await git.run({
    args: [
      ...["for-each-ref", "--format=%(objectname) %(refname)"],
      ...(inHead === true ? ["--merged=HEAD"] : []),
      ...(pointsAt === undefined ? [] : [`--points-at=${pointsAt}`]),
      ...(limit === undefined ? [] : [`--count=${limit}`]),
      ...["--", pattern],
    ],
  });
  return text.split("\n").flatMap((line) => {
    const [oid = "", name = ""] = line.split(" ");
    return name === "" ? [] : [{ name, oid }];
  });
}

/** The branch HEAD names, whole (`refs/heads/main`), whether it has a commit or not; undefined when HEAD is on none. */
export async function headBranch(git: Git): Promise<string | undefined> {
  const { stdout, exitCode } = await git.status({ args: ["symbolic-ref", "--quiet", "HEAD"] });
  return exitCode === 0 ? stdout.trim() : undefined;
}

export async function setHead(git: Git, branch: string): Promise<void> {
  await git.run({ args: ["symbolic-ref", "HEAD", branch] });
}

/** Points all of them at one commit, wherever they were, or none. */
export async function pointRefs(git: Git, names: readonly string[], commit: string): Promise<void> {
  const input = names.map((name) => `update ${name}\0${commit}\0\0`).join("");
  await git.run({ args: ["update-ref", "--stdin", "-z"], input });
}

/** No-op where there is none. */
export async function deleteRef(git: Git, name: string): Promise<void> {
  await git.run({ args: ["update-ref", "-d", name] });
}

export interface RemoteRefs {
  /** The branch its HEAD names, whole. */
  readonly head: string | undefined;
  /** Ids by whole name; `refs/tags/v6^{}` is the commit of an annotated tag. */
  readonly ids: ReadonlyMap<string, string>;
}

/** Asks another repository; nothing is fetched. @throws CollectiveError PROCESS_FAILED, PROCESS_TIMED_OUT. */
export async function listRemoteRefs(
  git: Git,
  options: {
    /** A remote's name, or a URL. */
    readonly of: string;
    /** `HEAD`, `refs/tags/v*`; without any, all. */
    readonly patterns?: readonly string[];
    readonly timeoutMs?: number;
  },
): Promise<RemoteRefs> {
  const { of, patterns = [], timeoutMs } = options;
  const text = await git.run({
    args: ["ls-remote", "--quiet", "--symref", "--", of, ...patterns],
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  let head: string | undefined;
  const ids = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [value = "", name = ""] = line.split("\t");
    if (value.startsWith("ref: ")) {
      if (name === "HEAD" && value.startsWith(BRANCH)) head = value.slice("ref: ".length);
    } else if (isObjectId(value)) ids.set(name, value);
  }
  return { head, ids };
}

const BRANCH = "ref: refs/heads/";

/** A server may say anything. */
function isObjectId(text: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}
