/**
 * The commit of a bump, made aside: no branch, index or file of the clone changes. The same bump of the same base is the same
 * commit wherever it is made, so that jobs that run at the same time push the same thing.
 */
import { createHash, randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { Git } from "../git/git.ts";
import { gitFolderOf } from "../git/folder.ts";
import { readCommit } from "../git/commits.ts";

const IDENTITY = { name: "Collective", email: "collective@localhost" };
const TRAILER = "Collective-Bump";

export interface BumpCommitOptions {
  /** Called in the clone. */
  readonly git: Git;
  /** The commit it is based on. */
  readonly base: string;
  /** Another parent, where a branch may only go forward: what the branch held before. */
  readonly previous?: string | undefined;
  /** Content by path from the top. */
  readonly files: ReadonlyMap<string, string>;
  readonly subject: string;
  readonly body: string;
  /** Milliseconds since 1970; not before the base's. */
  readonly date: number;
}

/** Resolves to the commit's id. */
export async function buildBumpCommit(options: BumpCommitOptions): Promise<string> {
  const { git, base, previous, subject, body } = options;
  const tree = await writeTree(options);
  const parents = previous === undefined ? [base] : [base, previous];
  const { committedAt = 0 } = (await readCommit(git, base)) ?? {};
  const date = `@${Math.max(committedAt, Math.floor(options.date / 1000))} +0000`;
  const env = {
    GIT_AUTHOR_NAME: IDENTITY.name,
    GIT_AUTHOR_EMAIL: IDENTITY.email,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: IDENTITY.name,
    GIT_COMMITTER_EMAIL: IDENTITY.email,
    GIT_COMMITTER_DATE: date,
  };
  const message = [subject, "", ...(body === "" ? [] : [body, ""]), `${TRAILER}: ${sealOf(tree, parents)}`];
  const args = ["commit-tree", ...parents.flatMap((parent) => ["-p", parent]), "-F", "-", tree];
  return (await git.run({ args, env, input: `${message.join("\n")}\n` })).trim();
}

/**
 * Whether a commit is a bump's own: made here, and neither amended, rebased nor built upon by a person. It tells persons'
 * work from ours; that nothing else is merged by itself is ensured by comparing commits.
 */
export async function isBumpCommit(git: Git, commit: string): Promise<boolean> {
  const found = await readCommit(git, commit);
  return found?.message.trimEnd().endsWith(`\n${TRAILER}: ${sealOf(found.tree, found.parents)}`) === true;
}

/** Whether `commit` says the same as `wanted`: the same files on the same base. */
export async function isSameBump(git: Git, commit: string, wanted: string): Promise<boolean> {
  if (commit === wanted) return true;
  const [a, b] = await Promise.all([readCommit(git, commit), readCommit(git, wanted)]);
  if (a === undefined || b === undefined) return false;
  return a.tree === b.tree && a.parents[0] === b.parents[0] && (await isBumpCommit(git, commit));
}

async function writeTree({ git, base, files }: BumpCommitOptions): Promise<string> {
  const indexFile = path.join(await gitFolderOf(git), `cui-index-${randomUUID()}`);
  const aside = git.with({ GIT_INDEX_FILE: indexFile });
  try {
    await aside.run({ args: ["read-tree", base] });
    const lines: string[] = [];
    for (const [file, content] of files) {
      const args = ["hash-object", "-w", "--no-filters", "--stdin"];
      const oid = (await git.run({ args, input: content })).trim();
      lines.push(`100644 ${oid}\t${file}\0`);
    }
    await aside.run({ args: ["update-index", "-z", "--index-info"], input: lines.join("") });
    return (await aside.run({ args: ["write-tree"] })).trim();
  } finally {
    await rm(indexFile, { force: true });
  }
}

function sealOf(tree: string, parents: readonly string[]): string {
  return createHash("sha256")
    .update([tree, ...parents].join(" "))
    .digest("hex")
    .slice(0, 40);
}
