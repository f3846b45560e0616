/** The index a commit is made of, and the work tree beside it. */
import { lstat } from "node:fs/promises";
import path from "node:path";
import type { Git, GitCall } from "../git/git.ts";
import { workTreeTop } from "../git/folder.ts";
import { CollectiveError } from "../errors.ts";

export interface StagedFile {
  /** `100644`, `100755`, `120000` … */
  readonly mode: string;
  readonly oid: string;
  readonly path: string;
}

export interface Stage {
  /** The top of the work tree. */
  readonly top: string;
  /** Called there, without the index. */
  readonly git: Git;
  /** Whether named files alone are committed (`git commit DNS.cvl`): git then throws away what is staged meanwhile. */
  readonly isPartial: boolean;
  /** Runs git on the index that is being committed. */
  run(call: GitCall): Promise<string>;
  /** What the commit adds or changes. */
  changedFiles(): Promise<readonly StagedFile[]>;
  /** The entry of one file; undefined when the index does not have it. */
  entry(file: string): Promise<StagedFile | undefined>;
  /** The tree of the index. */
  writeTree(): Promise<string>;
  /** Whether the work tree has what the index has: nothing in the file is left unstaged. */
  isClean(file: StagedFile): Promise<boolean>;
}

/** The environment, a hook's, names the index that is being committed. @throws CollectiveError REPOSITORY_MISSING outside a work tree. */
export async function openStage(at: Git): Promise<Stage> {
  const { folder, env } = at;
  const top = await workTreeTop(at);
  if (top === undefined) {
    throw new CollectiveError("REPOSITORY_MISSING", `${folder} is no work tree of a git repository`, {
      hint: "git runs this hook by itself when it commits",
    });
  }
  const index = env["GIT_INDEX_FILE"];
  const git = at.at(top);
  const onIndex = index === undefined ? git : git.with({ GIT_INDEX_FILE: path.resolve(folder, index) });
  const run: Stage["run"] = (call) => onIndex.run(call);
  return {
    top,
    git,
    isPartial: path.basename(index ?? "").startsWith("next-index-"),
    run,
    changedFiles: async () => {
      const base = await headOrEmpty(git);
      const args = ["diff-index", "--cached", "-z", "--no-renames", "--diff-filter=ACMT", base];
      return parseDiff(await run({ args }));
    },
    entry: async (file) => parseEntries(await run({ args: ["ls-files", "--stage", "-z", "--", file] }))[0],
    writeTree: async () => (await run({ args: ["write-tree"] })).trim(),
    isClean: (file) => isClean(git, file),
  };
}

/** Before the first commit everything is new. */
async function headOrEmpty(git: Git): Promise<string> {
  const args = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
  const { stdout, exitCode } = await git.status({ args });
  if (exitCode === 0) return stdout.trim();
  return (await git.run({ args: ["hash-object", "-t", "tree", "--stdin"], input: "" })).trim();
}

/** `:<mode> <mode> <oid> <oid> <status> NUL <path> NUL` */
function parseDiff(text: string): StagedFile[] {
  const fields = text.split("\0");
  const files: StagedFile[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [, mode, , oid] = (fields[at] ?? "").split(" ");
    if (mode !== undefined && oid !== undefined) files.push({ mode, oid, path: fields[at + 1] ?? "" });
  }
  return files;
}

/** `<mode> <oid> <stage> TAB <path> NUL` */
function parseEntries(text: string): StagedFile[] {
  return text.split("\0").flatMap((line) => {
    const match = /^(\d{6}) ([0-9a-f]+) 0\t([^]*)$/.exec(line);
    return match === null ? [] : [{ mode: match[1] ?? "", oid: match[2] ?? "", path: match[3] ?? "" }];
  });
}

/** Through the filters of that path, as `git add` would store it. */
async function isClean(git: Git, { oid, path: file }: StagedFile): Promise<boolean> {
  const found = await lstat(path.join(git.folder, file)).catch(() => undefined);
  if (found?.isFile() !== true) return false;
  const args = ["hash-object", "--", file];
  const { stdout, exitCode } = await git.status({ args, lfsFilters: true });
  return exitCode === 0 && stdout.trim() === oid;
}
