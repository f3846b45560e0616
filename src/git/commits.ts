/** Commits as git keeps them: `tree`, `parent`… and other headers, an empty line, the message. */
import type { Git } from "./git.ts";
import { isCommitId, type CommitId } from "./commit-id.ts";

export interface Commit {
  readonly tree: string;
  /** In their order; the first is what the branch was at before a merge. */
  readonly parents: readonly CommitId[];
  /** Seconds since 1970, as the committer's clock said. */
  readonly committedAt: number;
  readonly message: string;
}

/**
 * The commit itself, whose parents need not be here: a shallow clone knows them by name alone. Undefined where the repository
 * has no such commit.
 */
export async function readCommit(git: Git, commit: string): Promise<Commit | undefined> {
  const { stdout, exitCode } = await git.status({ args: ["cat-file", "commit", commit] });
  return exitCode === 0 ? parseCommit(stdout) : undefined;
}

function parseCommit(text: string): Commit {
  const end = text.indexOf("\n\n");
  const headers = (end === -1 ? text : text.slice(0, end)).split("\n");
  const values = (name: string): string[] =>
    headers.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  return {
    tree: values("tree")[0] ?? "",
    parents: values("parent").filter(isCommitId),
    committedAt: Number(/> (\d+) [+-]\d{4}$/.exec(values("committer")[0] ?? "")?.[1] ?? 0),
    message: end === -1 ? "" : text.slice(end + 2),
  };
}
