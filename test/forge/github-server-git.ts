/** The git side of the test server: thin calls of real git on a bare repository. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "../../src/io.ts";

const environment = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "GitHub test server",
  GIT_AUTHOR_EMAIL: "server@example.org",
  GIT_COMMITTER_NAME: "GitHub test server",
  GIT_COMMITTER_EMAIL: "server@example.org",
};

export async function git(
  directory: string,
  args: readonly string[],
  options: { input?: string | Uint8Array; env?: Record<string, string> } = {},
): Promise<string> {
  const output = await run({
    file: "git",
    args: ["--git-dir", directory, ...args],
    env: { ...environment, ...options.env },
    ...(options.input === undefined ? {} : { input: options.input }),
  });
  return output.trimEnd();
}

/** Undefined where git fails: no such ref or object. */
export async function gitOrUndefined(
  directory: string,
  args: readonly string[],
): Promise<string | undefined> {
  return git(directory, args).catch(() => undefined);
}

export async function initializeRepository(directory: string, branch: string): Promise<void> {
  await run({ file: "git", args: ["init", "-q", "--bare", "-b", branch, directory], env: environment });
}

/** The commit of a branch; read from its file where it has one, which saves a process. */
export async function branchTip(directory: string, branch: string): Promise<string | undefined> {
  const file = path.join(directory, "refs/heads", path.normalize(`/${branch}`));
  const text = await readFile(file, "utf8").catch(() => "");
  return /^[0-9a-f]{40}\n$/.test(text)
    ? text.trim()
    : gitOrUndefined(directory, ["rev-parse", "-q", "--verify", `refs/heads/${branch}`]);
}

/** The commit a branch, tag or SHA means. */
export async function resolveCommit(directory: string, name: string): Promise<string | undefined> {
  if (/^[0-9a-f]{40}$/.test(name))
    return gitOrUndefined(directory, ["rev-parse", "-q", "--verify", `${name}^{commit}`]);
  for (const candidate of [`refs/heads/${name}`, `refs/tags/${name}`, name]) {
    const sha = await gitOrUndefined(directory, [
      "rev-parse",
      "-q",
      "--verify",
      "--end-of-options",
      `${candidate}^{commit}`,
    ]);
    if (sha !== undefined) return sha;
  }
  return undefined;
}

export interface TreeChange {
  readonly path: string;
  readonly mode: string;
  /** Null removes the path. */
  readonly sha: string | null;
}

export async function writeTree(
  directory: string,
  base: string | undefined,
  changes: readonly TreeChange[],
): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "github-server-index-"));
  const env = { GIT_INDEX_FILE: path.join(folder, "index") };
  try {
    if (base !== undefined) await git(directory, ["read-tree", base], { env });
    const none = "0".repeat(40);
    const lines = changes.map(({ path: name, mode, sha }) =>
      sha === null ? `0 ${none}\t${name}` : `${mode} ${sha}\t${name}`,
    );
    await git(directory, ["update-index", "--index-info"], { env, input: `${lines.join("\n")}\n` });
    return await git(directory, ["write-tree"], { env });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function writeBlob(directory: string, content: string | Uint8Array): Promise<string> {
  return git(directory, ["hash-object", "-w", "--stdin"], { input: content });
}

export async function writeCommit(
  directory: string,
  options: { tree: string; parents: readonly string[]; message: string },
): Promise<string> {
  const parents = options.parents.flatMap((parent) => ["-p", parent]);
  return git(directory, ["commit-tree", options.tree, ...parents], { input: options.message });
}

/** Commits `files` on top of `branch` (made from `from` where it does not exist) and moves the branch. */
export async function commitFiles(
  directory: string,
  options: { branch: string; files: Readonly<Record<string, string | null>>; message: string; from?: string },
): Promise<string> {
  const parent =
    (await branchTip(directory, options.branch)) ??
    (options.from === undefined ? undefined : await resolveCommit(directory, options.from));
  const changes: TreeChange[] = [];
  for (const [name, content] of Object.entries(options.files)) {
    const sha = content === null ? null : await writeBlob(directory, content);
    changes.push({ path: name, mode: "100644", sha });
  }
  const tree = await writeTree(directory, parent, changes);
  const parents = parent === undefined ? [] : [parent];
  const commit = await writeCommit(directory, { tree, parents, message: options.message });
  await git(directory, ["update-ref", `refs/heads/${options.branch}`, commit]);
  return commit;
}
