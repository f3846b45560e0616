/**
 * The runner's own copy of a site's repository: a bare one in its work folder, never checked out, fetched with the protected
 * branch, the plans and the approvals. Nothing is ever removed from it, so that what a rewound branch dropped is still known.
 */
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { CollectiveError, unlessCode } from "../../errors.ts";
import { withFileLock } from "../../file-lock.ts";
import { overDeadLocks } from "../../git/lock-files.ts";
import type { Git } from "../../git/git.ts";
import { findCommit } from "../../git/history.ts";
import { APPROVAL_REFS } from "../../git/signatures.ts";
import { listPlanRefs, PLAN_REFS } from "../plan-refs.ts";
import { stderrOf } from "../../io.ts";
import { isCommitId, type CommitId } from "../../git/commit-id.ts";
import { listRemoteRefs } from "../../git/refs.ts";

export interface SiteMirror {
  /** The bare repository. */
  readonly git: Git;
  readonly url: string;
  /** Resolves to the tip of the branch. @throws CollectiveError REPOSITORY_UNREACHABLE, REPOSITORY_REVISION_MISSING. */
  fetch(branch: string): Promise<CommitId>;
  /** The branch a clone of the repository begins with. */
  defaultBranch(): Promise<string | undefined>;
  /** Tries to have the commits that were previewed too, so that a squash is recognized by its files. */
  fetchPreviewed(): Promise<void>;
}

/** In the work folder. */
export const MIRROR_NAME = "site.git";
/** By which a mirror is known from any other repository of that name. */
export const MIRROR_HEAD = "ref: refs/heads/cui-runner-without-head\n";

const FETCH_TIMEOUT_MS = 120_000;
const MOST_PREVIEWED = 50;

/** Opens the mirror of `url` in `folder`, and makes it when there is none. */
export async function openSiteMirror(at: Git, folder: string, url: string): Promise<SiteMirror> {
  const git = at.bare(path.join(folder, MIRROR_NAME));
  await ensureRepository(git);
  const overLocks = <Result>(work: () => Promise<Result>): Promise<Result> =>
    overDeadLocks(
      { folder: git.folder, exclusively: (removing) => withFileLock(lockOf(git), removing) },
      work,
    );
  await overLocks(() => git.run({ args: ["config", "remote.origin.url", url] }));
  const tried = new Set<string>();
  const fetchRefs = (refspecs: readonly string[]): Promise<string> =>
    overLocks(() =>
      git.run({
        timeoutMs: FETCH_TIMEOUT_MS,
        args: [
          ...["-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", "--prune", "--force"],
          ...["--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance", "--"],
          ...[url, ...refspecs],
        ],
      }),
    );
  return {
    git,
    url,
    fetch: async (branch) => {
      const own = `refs/remotes/origin/${branch}`;
      const refs = [
        `+refs/heads/${branch}:${own}`,
        ...[PLAN_REFS, APPROVAL_REFS].map((ref) => `+${ref}/*:${ref}/*`),
      ];
      try {
        await fetchRefs(refs);
      } catch (error) {
        throw unreachable(url, branch, error);
      }
      const tip = await findCommit(git, own);
      if (tip === undefined) throw branchMissing(url, branch);
      return tip;
    },
    defaultBranch: async () => {
      const asked = listRemoteRefs(git, { of: url, patterns: ["HEAD"], timeoutMs: FETCH_TIMEOUT_MS });
      return (await unlessCode("PROCESS_FAILED", asked))?.head?.slice("refs/heads/".length);
    },
    fetchPreviewed: async () => {
      for (const commit of [...(await listPlanRefs(git))].slice(-MOST_PREVIEWED)) {
        if (!isCommitId(commit) || tried.has(commit) || (await findCommit(git, commit)) !== undefined)
          continue;
        tried.add(commit);
        // Not every server gives a commit by its id; then a squash has no plan, and policy alone decides.
        await fetchRefs([`+${commit}:refs/collective/previewed/${commit}`]).catch(() => undefined);
      }
    },
  };
}

function lockOf({ folder, signal }: Git): Parameters<typeof withFileLock>[0] {
  return { file: `${folder}.lock`, purpose: "removing a lock file of git", signal };
}

async function ensureRepository(git: Git): Promise<void> {
  const { folder: repository } = git;
  if ((await stat(path.join(repository, "HEAD")).catch(() => undefined)) !== undefined) return;
  await mkdir(path.dirname(repository), { recursive: true });
  const unfinished = `${repository}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await git.at(path.dirname(repository)).run({
    args: ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", unfinished],
  });
  await writeFile(path.join(unfinished, "HEAD"), MIRROR_HEAD);
  await rename(unfinished, repository);
}

function unreachable(url: string, branch: string, error: unknown): CollectiveError {
  if (error instanceof CollectiveError && error.code === "REPOSITORY_LOCKED") return error;
  const stderr = stderrOf(error);
  if (stderr.includes(`couldn't find remote ref refs/heads/${branch}`)) return branchMissing(url, branch);
  const said = stderr.split("\n").find((line) => /^(fatal|error|remote|ssh):/.test(line));
  return new CollectiveError("REPOSITORY_UNREACHABLE", `${url} cannot be fetched: ${said ?? "git failed"}`, {
    data: { url },
    hint: "check the address and what git may use to log in there; the runner tries again",
    cause: error,
  });
}

function branchMissing(url: string, branch: string): CollectiveError {
  return new CollectiveError("REPOSITORY_REVISION_MISSING", `${url} has no branch ${branch}`, {
    data: { url, branch },
    hint: "push it, or name the protected branch: rollout.branch in utility.yaml, or --branch",
  });
}
