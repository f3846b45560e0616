/**
 * Puts the git hooks of `hooks/` into a repository. They are small shell scripts that call `cui hook <name>`; which `cui` that is
 * stands in the repository's own configuration (`cui.path`, `cui.node`). A hook that is there already is kept beside ours with
 * the ending `.kept`, and ours runs it.
 */
import { link, lstat, mkdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { CollectiveError } from "../errors.ts";
import { writeFileAtomically } from "../io.ts";
import type { Git } from "../git/git.ts";
import { packageFolder } from "./package-folder.ts";
import { readRegularFile } from "../regular-file.ts";

/** How `cui` is called: a JavaScript file and the Node.js that runs it, both absolute. */
export interface HookProgram {
  readonly cui: string;
  readonly node: string;
}

/** In a repository that is pushed to, and in one that is worked in. */
export const SERVER_HOOKS = ["pre-receive", "post-receive"] as const;
export const CLIENT_HOOKS = ["pre-commit", "pre-push"] as const;

export interface InstalledHooks {
  /** Where git looks for this repository's hooks. */
  readonly folder: string;
  /** Names of hooks that were there before and run as well. */
  readonly kept: readonly string[];
}

/**
 * Installs hooks where git looks for them (`core.hooksPath`, else the git folder's `hooks`). At every moment each hook is the one
 * before or ours, whole. Running it again changes nothing.
 * @throws CollectiveError HOOKS_MISSING, HOOK_IN_THE_WAY
 */
export async function installHooks(
  git: Git,
  names: readonly string[],
  program: HookProgram,
): Promise<InstalledHooks> {
  const source = await findHooks();
  const folder = await hooksFolder(git);
  await mkdir(folder, { recursive: true });
  await git.run({ args: ["config", "cui.path", program.cui] });
  await git.run({ args: ["config", "cui.node", program.node] });
  const kept: string[] = [];
  for (const name of names) {
    await installHook(path.join(folder, name), await readFile(path.join(source, name), "utf8"));
    if (await isExecutable(keptHook(path.join(folder, name)))) kept.push(name);
  }
  return { folder, kept };
}

/** The folder of the installed package that holds our hooks. @throws CollectiveError HOOKS_MISSING. */
export async function findHooks(): Promise<string> {
  const folder = await packageFolder("hooks", "pre-receive");
  if (folder !== undefined) return folder;
  throw new CollectiveError("HOOKS_MISSING", "the folder hooks is not where cui is installed", {
    hint: "install cui anew; its package holds dist and hooks side by side",
  });
}

/** Where the hook that was there before lies. */
function keptHook(hook: string): string {
  return `${hook}.kept`;
}

async function hooksFolder(git: Git): Promise<string> {
  const args = ["rev-parse", "--path-format=absolute", "--git-path", "hooks"];
  return (await git.run({ args, configuredHooks: true })).replace(/\n$/, "");
}

async function installHook(hook: string, text: string): Promise<void> {
  const before = await readHook(hook);
  if (before !== undefined && !isOurs(before)) await keep(hook);
  if (before === text && (await isExecutable(hook))) return;
  await writeFileAtomically(hook, text, { mode: 0o755 });
}

/** The words every version of our hooks has. */
function isOurs(text: string): boolean {
  return text.includes("# A git hook of Collective.");
}

/** A second name first, so that a hook is in force at every moment; what an installation that was killed left is taken up. */
async function keep(hook: string): Promise<void> {
  const kept = keptHook(hook);
  try {
    await link(hook, kept);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    if ((await readHook(kept)) === (await readHook(hook))) return;
    throw new CollectiveError("HOOK_IN_THE_WAY", `both ${hook} and ${kept} are hooks of somebody else`, {
      data: { hook, kept },
      hint: `make one of the two (ours will run ${kept}), remove the other, and install again`,
    });
  }
}

/** Undefined where there is nothing; a link that leads nowhere is a hook git ignores. */
async function readHook(file: string): Promise<string | undefined> {
  if ((await lstat(file).catch(() => undefined)) === undefined) return undefined;
  return readRegularFile(file).then(
    (bytes) => bytes.toString("latin1"),
    () => "",
  );
}

async function isExecutable(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true && (found.mode & 0o111) !== 0;
}
