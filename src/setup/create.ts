/** `cui create`: a bare repository for one appliance. */
import { randomUUID } from "node:crypto";
import { lstat, mkdir, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import { installHooks, SERVER_HOOKS, type HookProgram } from "./install-hooks.ts";

/** Versions are never moved: a push may only add; and one that is too large ends while it comes in. */
const RECEIVE_SETTINGS = [
  ["receive.denyNonFastForwards", "true"],
  ["receive.denyDeletes", "true"],
  ["receive.fsckObjects", "true"],
  ["receive.maxInputSize", "512m"],
] as const;

/** Sets what git itself refuses in a repository that is pushed to; what is set already stays. */
export async function protectReceiving(git: Git): Promise<void> {
  for (const [name, value] of RECEIVE_SETTINGS) {
    const { exitCode } = await git.status({ args: ["config", "--get", name] });
    if (exitCode !== 0) await git.run({ args: ["config", name, value] });
  }
}

/**
 * Creates an empty bare repository at the folder of `git`, an absolute path, whole or not at all; with `hooks` that program checks every push.
 * @throws CollectiveError REPOSITORY_EXISTS when something is there already, HOOKS_MISSING
 */
export async function createRepository(
  git: Git,
  options: { readonly hooks?: HookProgram | undefined } = {},
): Promise<void> {
  const { folder } = git;
  const content = await readdir(folder).catch(async (error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    await lstat(folder).catch(() => {
      throw error; // nothing is there: it is the way to it that fails
    });
    throw exists(folder, error);
  });
  if (content.length > 0) throw exists(folder);
  await mkdir(path.dirname(folder), { recursive: true });
  const unfinished = path.join(
    path.dirname(folder),
    `.${path.basename(folder).slice(0, 40)}.${randomUUID()}`,
  );
  try {
    const init = ["init", "--quiet", "--bare", "--initial-branch=main", "--template=", "--", unfinished];
    await git.at(path.dirname(folder)).run({ args: init });
    const made = git.bare(unfinished);
    await protectReceiving(made);
    if (options.hooks !== undefined) await installHooks(made, SERVER_HOOKS, options.hooks);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

function exists(folder: string, cause?: unknown): CollectiveError {
  return new CollectiveError("REPOSITORY_EXISTS", `there is something at ${folder} already`, {
    data: { folder },
    hint: "name a folder that does not exist yet, or an empty one",
    cause,
  });
}
