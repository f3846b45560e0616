/** Repositories with our hooks, and clients that know nothing of them. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import type { Test } from "tap";
import { createRepository } from "../../src/setup/create.ts";
import type { HookProgram } from "../../src/setup/install-hooks.ts";
import { git, IDENTITY, WITH_LFS, writeFiles, gitAt, scratch } from "../git/git-fixture.ts";

/** The command that `npm test` built. */
export const PROGRAM: HookProgram = { node: process.execPath, cui: path.resolve("dist/cui.js") };

export interface Ended {
  readonly status: number | null;
  /** What was said, on both outputs. */
  readonly said: string;
}

/** Runs git, which may fail. */
export function tryGit(folder: string, ...args: readonly string[]): Ended {
  return ended("git", [...IDENTITY, ...WITH_LFS, ...args], folder);
}

/** Runs the built command. */
export function cui(folder: string, ...args: readonly string[]): Ended {
  return ended(PROGRAM.node, [PROGRAM.cui, ...args], folder);
}

function ended(file: string, args: readonly string[], cwd: string): Ended {
  const { status, stdout, stderr } = spawnSync(file, args, {
    cwd,
    encoding: "utf8",
    timeout: 300_000,
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, XDG_CACHE_HOME: path.join(cwd, "../.cache") },
  });
  return { status, said: `${stdout}${stderr}` };
}

export const SMALL_CVL = "Small extends VMAppliance {\n  var domain;\n}\n";

/** `repos/Small`, whose hooks check every push, with v1, and `client`, a clone without any hook of ours. */
export async function publishSmall(
  t: Test,
): Promise<{ readonly folder: string; readonly repository: string; readonly client: string }> {
  const { folder } = scratch(t);
  const repository = path.join(folder, "repos/Small");
  const client = path.join(folder, "client");
  await createRepository(gitAt(repository), { hooks: PROGRAM });
  git(folder, "init", "--quiet", "--initial-branch=main", "client");
  git(client, "remote", "add", "origin", repository);
  commitFiles(client, { "Small.cvl": SMALL_CVL });
  git(client, "tag", "v1");
  const pushed = tryGit(client, "push", "--no-verify", "--quiet", "origin", "main", "v1");
  if (pushed.status !== 0) throw new Error(pushed.said);
  return { folder, repository, client };
}

/** Commits files of a clone; resolves to the commit. */
export function commitFiles(clone: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  writeFiles(clone, files);
  git(clone, "add", "--all");
  git(clone, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", "next");
  return git(clone, "rev-parse", "HEAD");
}
