/** Real git and git-lfs in a folder of its own, away from the user's configuration and cache. */
import { openGit, type Environment, type Git } from "../../src/git/git.ts";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { serialize } from "node:v8";
import type { Test } from "tap";
import { isCommitId, type CommitId } from "../../src/git/commit-id.ts";

// For the code under test as for the tests' own calls.
process.env["GIT_CONFIG_GLOBAL"] = path.resolve("test/git/gitconfig");
process.env["GIT_CONFIG_NOSYSTEM"] = "1";
process.env["GIT_TERMINAL_PROMPT"] = "0";
for (const name of ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"]) Reflect.deleteProperty(process.env, name);

export const IDENTITY = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];

/** What `git lfs install` would put into the user's configuration. */
export const WITH_LFS = [
  ...["-c", "filter.lfs.process=git-lfs filter-process", "-c", "filter.lfs.required=true"],
  ...["-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.smudge=git-lfs smudge -- %f"],
];

/** Runs git as a user would; output without the last newline. */
export function git(folder: string, ...args: readonly string[]): string {
  return execFileSync("git", [...IDENTITY, ...WITH_LFS, ...args], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 300_000,
  }).replace(/\n$/, "");
}

/** The commit a name stands for. */
export function commitIdOf(folder: string, name = "HEAD"): CommitId {
  const commit = git(folder, "rev-parse", "--verify", `${name}^{commit}`);
  if (isCommitId(commit)) return commit;
  throw new Error(`no commit id: ${commit}`);
}

/** Whether git succeeds. */
export function gitSucceeds(folder: string, ...args: readonly string[]): boolean {
  try {
    git(folder, ...args);
    return true;
  } catch {
    return false;
  }
}

/** Files of a folder, made with their folders. */
export function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
}

type Versions = readonly Readonly<Record<string, string | Uint8Array>>[];

/** A work tree whose commits are versions: one object of files for each; tags v1, v2 …. */
export function makeVersions(folder: string, versions: Versions): void {
  if (existsSync(folder)) {
    commitVersions(folder, versions);
    return;
  }
  const made = createHash("sha256").update(serialize([versions, process.env["GIT_COMMITTER_DATE"]]));
  const model = path.join(modelsFolder(), made.digest("hex"));
  if (!existsSync(model)) commitVersions(model, versions);
  cpSync(model, folder, { recursive: true, preserveTimestamps: true });
}

let models: string | undefined;

/** Repositories that were made once; copying them costs a tenth. */
function modelsFolder(): string {
  if (models !== undefined) return models;
  const made = mkdtempSync(path.join(tmpdir(), "versions-"));
  process.on("exit", () => {
    rmSync(made, { recursive: true, force: true });
  });
  return (models = made);
}

function commitVersions(folder: string, versions: Versions): void {
  mkdirSync(folder, { recursive: true });
  git(folder, "init", "--quiet", "--initial-branch=main", ".");
  for (const [index, files] of versions.entries()) {
    writeFiles(folder, files);
    git(folder, "add", "--all");
    git(folder, "commit", "--quiet", "--allow-empty", "--message", `v${index + 1}`);
    git(folder, "tag", `v${index + 1}`);
  }
}

/** Waits for what must come, with a limit that only a hang reaches. */
export async function until(holds: () => boolean): Promise<void> {
  const endsAt = Date.now() + 120_000;
  while (!holds()) {
    if (Date.now() > endsAt) throw new Error(`it did not come: ${String(holds)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until no process of a group runs any more. */
export async function untilGroupEnded(group: number): Promise<void> {
  await until(() => {
    const listed = execFileSync("ps", ["-e", "-o", "pgid=,stat="], { encoding: "utf8" });
    return !listed.split("\n").some((line) => new RegExp(`^ *${group} +[^Z ]`).test(line));
  });
}

/** A folder and a cache of the test's own, removed with what is put beside it; outside the checkout, as users' are. */
export function scratch(t: Pick<Test, "teardown">): { readonly folder: string; readonly cache: string } {
  const top = mkdtempSync(path.join(tmpdir(), "scratch-"));
  const folder = path.join(top, "test");
  mkdirSync(folder);
  t.teardown(() => {
    rmSync(top, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
  return { folder, cache: path.join(folder, ".cache") };
}

/** git at a folder, with the environment of the tests. */
export function gitAt(folder = ".", env: Environment = {}): Git {
  return openGit({ folder, env: { ...process.env, ...env } });
}
