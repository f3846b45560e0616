/**
 * After a push to a site's repository: whether the site asks for a rollout, and starting it. The push never waits for it and never
 * fails by it.
 */
import { rename, stat } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { startBackground } from "../io.ts";
import type { Environment, Git } from "../git/git.ts";
import { openGitObjects, type GitObjects } from "../git/objects.ts";
import { commitFiles } from "../git/tree.ts";
import type { HookProgram } from "../setup/install-hooks.ts";
import type { RefUpdate } from "./ref-updates.ts";
import { parseInventory } from "../site/read-inventory.ts";
import type { RolloutPolicy } from "../site/inventory.ts";
import { INVENTORY_FILE } from "../site/site.ts";

/** In the repository's git folder: what the runner says. */
const ROLLOUT_LOG = "cui-rollout.log";
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const MAX_INVENTORY_BYTES = 4 * 1024 * 1024;

export interface RolloutDecision {
  readonly branch: string;
  /** The merged commit. */
  readonly commit: string;
}

/**
 * The branch that moved, when the commit before says that a merge into it rolls out, and the new one is a site still. The
 * policy is never read from what was pushed. Undefined: nothing is to be done.
 */
export async function decideRollout(
  git: Git,
  updates: readonly RefUpdate[],
): Promise<RolloutDecision | undefined> {
  const objects = openGitObjects(git);
  try {
    for (const { ref, before, after } of updates) {
      if (!ref.startsWith(BRANCHES) || before === undefined || after === undefined) continue;
      const branch = ref.slice(BRANCHES.length);
      const policy = await readPolicy(objects, before);
      if (policy?.on !== "merge" || policy.branch !== branch) continue;
      if ((await readInventory(objects, after)) !== undefined) return { branch, commit: after };
    }
    return undefined;
  } finally {
    await objects.close();
  }
}

const BRANCHES = "refs/heads/";

async function readPolicy(objects: GitObjects, commit: string): Promise<RolloutPolicy | undefined> {
  const text = await readInventory(objects, commit);
  return text === undefined ? undefined : parseInventory(text, INVENTORY_FILE).inventory?.rollout;
}

/** Undefined where the commit is of no site. */
async function readInventory(objects: GitObjects, commit: string): Promise<string | undefined> {
  try {
    const files = commitFiles(objects, commit, commit.slice(0, 12));
    return (await files.readFile(INVENTORY_FILE, { maxBytes: MAX_INVENTORY_BYTES })).toString("utf8");
  } catch (error) {
    if (error instanceof CollectiveError) return undefined;
    throw error;
  }
}

/** Starts `cui runner <repository> --once`, which outlives the push; resolves to the file its output goes to. */
export async function startRollout({ folder, env }: Git, program: HookProgram): Promise<string> {
  const logFile = path.join(folder, ROLLOUT_LOG);
  const size = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  if (size > MAX_LOG_BYTES) await rename(logFile, `${logFile}.1`);
  const runner = await startBackground({
    file: program.node,
    args: [program.cui, "runner", folder, "--once"],
    cwd: folder,
    env: withoutGit(env),
    logFile,
    stdin: "ignore",
  });
  runner.unref();
  return logFile;
}

/** What git sets for its hooks would lead the runner's own calls of git astray. */
function withoutGit(env: Environment): Record<string, undefined> {
  const names = Object.keys(env).filter((name) => /^GIT_(?!CONFIG_|SSH|ASKPASS|TRACE)/.test(name));
  return Object.fromEntries(names.map((name) => [name, undefined]));
}
