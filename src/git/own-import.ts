/**
 * One commit as one `git fast-import`: blobs, trees, commit and the move of the branch in one process. It moves a branch only when
 * the new commit contains the old tip, so a change made on an outdated tip is refused.
 */
import { ownGit } from "./own-repository.ts";

export interface ImportOptions {
  readonly directory: string;
  /** `refs/heads/main` */
  readonly branch: string;
  /** What the branch must be at; null: it must not exist. */
  readonly parent: string | null;
  /** Text by path; null removes the file. */
  readonly files: ReadonlyMap<string, string | null>;
  readonly message: string;
  /** Seconds since 1970. */
  readonly committedAt: number;
}

/** Resolves to the commit; undefined when the branch was not moved. @throws CollectiveError PROCESS_FAILED. */
export async function importOwnCommit(options: ImportOptions): Promise<string | undefined> {
  const { directory, branch, parent, files, message, committedAt } = options;
  const parts = [
    `commit ${branch}\nmark :1\ncommitter cui <cui@localhost> ${committedAt} +0000\n`,
    data(message),
    parent === null ? "" : `from ${parent}\n`,
    ...[...files].flatMap(([file, content]) => (content === null ? [`D ${file}\n`] : [])),
    ...[...files].flatMap(([file, content]) =>
      content === null ? [] : [`M 100644 inline ${file}\n`, data(content)],
    ),
    "\nget-mark :1\ndone\n",
  ];
  return ownGit({
    directory,
    args: ["fast-import", "--quiet", "--done"],
    input: parts.join(""),
    // 1: the branch was not moved.
    allowedExitCodes: [0, 1],
    parse: (stdout, exitCode) => (exitCode === 1 ? undefined : stdout.trim()),
  });
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}
