/** All files of one commit, listed at once. */
import { CollectiveError } from "../errors.ts";
import { startProgram } from "../io.ts";
import type { Git } from "./git.ts";

export interface ListedFile {
  readonly kind: "file" | "symlink" | "submodule";
  readonly oid: string;
  readonly sizeBytes: number;
  readonly path: string;
}

export interface ListingOptions {
  readonly git: Git;
  /** A commit or a tree. */
  readonly commit: string;
  /** Listing ends when there are more: a tree may hold itself over and over. */
  readonly maxFiles: number;
}

/**
 * Undefined when there are more than `maxFiles`.
 * @throws CollectiveError PROCESS_FAILED when git cannot read the commit
 */
export async function listCommit({
  git,
  commit,
  maxFiles,
}: ListingOptions): Promise<readonly ListedFile[] | undefined> {
  const args = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit];
  const program = startProgram(git.command({ args }));
  const files: ListedFile[] = [];
  let rest = "";
  for await (const piece of program.stdout.setEncoding("utf8") as AsyncIterable<string>) {
    const lines = `${rest}${piece}`.split("\0");
    rest = lines.pop() ?? "";
    for (const line of lines) files.push(...parseLine(line));
    if (files.length > maxFiles) {
      program.kill();
      program.stdout.destroy(); // what nobody reads would keep it open
      await program.ended;
      return undefined;
    }
  }
  const error = await program.ended;
  if (error !== undefined) throw error;
  return files;
}

/** Bounds a listing where the caller has no bound of its own: a tree may hold itself over and over. */
const MAX_FILES = 1_000_000;

/**
 * As listCommit, where a commit that cannot be listed cannot be judged.
 * @param where names the commit in the message
 * @throws CollectiveError REPOSITORY_TOO_MANY_FILES, and as listCommit
 */
export async function listWhole({
  git,
  commit,
  where,
  maxFiles = MAX_FILES,
}: {
  readonly git: Git;
  readonly commit: string;
  readonly where: string;
  readonly maxFiles?: number;
}): Promise<readonly ListedFile[]> {
  const files = await listCommit({ git, commit, maxFiles });
  if (files !== undefined) return files;
  const count = maxFiles.toLocaleString("en");
  throw new CollectiveError(
    "REPOSITORY_TOO_MANY_FILES",
    `${where} has more than ${count} files; no more are looked at`,
    {
      data: { commit, maxFiles },
      hint: "take what is no part of the appliance out of it: `git rm -r --cached`, and name it in .gitignore",
    },
  );
}

/** `<mode> SP <type> SP <oid> SP+ <size or -> TAB <path>` */
function parseLine(line: string): ListedFile[] {
  const match = /^(\d{6}) \w+ ([0-9a-f]{40,64}) +(\d+|-)\t([^]*)$/.exec(line);
  if (match === null) return [];
  const [, mode, oid = "", size = "0", path = ""] = match;
  const kind = mode === "120000" ? "symlink" : mode === "160000" ? "submodule" : "file";
  return [{ kind, oid, sizeBytes: size === "-" ? 0 : Number(size), path }];
}
