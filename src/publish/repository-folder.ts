/** An appliance's working folder as a git repository: what git keeps how, what it ignores, what a plain `git push` sends. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { rewriteFile } from "../user-file.ts";
import type { Git } from "../git/git.ts";
import { gitFolderOf } from "../git/folder.ts";
import type { ObjectFormat } from "../git/object-format.ts";
import { configValue } from "../git/config.ts";
import { readRegularFile } from "../regular-file.ts";

export interface InitFolderOptions {
  /** Sets `origin` where there is none: a URL or an absolute path. */
  readonly origin?: string;
  /** How objects are named where the repository is made: as in the one it is published to; default the user's own. */
  readonly objectFormat?: ObjectFormat | undefined;
}

/**
 * Makes the folder a git repository that publishes with `git tag v6 && git push`; on a clone it adds what is missing. Running it
 * again changes nothing.
 */
export async function initRepositoryFolder(git: Git, options: InitFolderOptions = {}): Promise<void> {
  const { folder } = git;
  await mkdir(folder, { recursive: true });
  const args = ["rev-parse", "--resolve-git-dir", path.join(folder, ".git")];
  if ((await git.status({ args })).exitCode !== 0) {
    const format = options.objectFormat === undefined ? [] : [`--object-format=${options.objectFormat}`];
    await git.run({
      args: ["init", "--quiet", "--initial-branch=main", "--template=", ...format, "--", "."],
    });
  }
  await keepInLfs(folder, []);
  if (options.origin !== undefined && (await configValue(git, "remote.origin.url")) === undefined) {
    await git.run({ args: ["remote", "add", "--", "origin", options.origin] });
  }
  await configureClone(git);
}

/** What a work tree's own configuration says: what `git push` sends, Git LFS, how indexes are shown. */
export async function configureClone(git: Git): Promise<void> {
  await configurePush(git);
  await configureLfs(git);
  await git.run({ args: ["config", "diff.cui-index.textconv", "cui disk show --textconv"] });
}

const ATTRIBUTES = [
  "disks/packs/*.pack filter=lfs diff=lfs merge=lfs -text",
  "disks/*.index/* binary diff=cui-index",
];

/** Adds to `.gitattributes` what is missing: packs, kernels and initrds (`files`) in Git LFS, indexes as binary. */
export async function keepInLfs(folder: string, files: readonly string[]): Promise<void> {
  const lines = files.map((file) => `${attributePattern(file)} filter=lfs diff=lfs merge=lfs -text`);
  await appendLines(path.join(folder, ".gitattributes"), [...ATTRIBUTES, ...lines]);
}

/** Adds disk images to `.gitignore`: they never go into git. */
export async function keepOutOfGit(folder: string, images: readonly string[]): Promise<void> {
  const lines = images.flatMap((image) => {
    const pattern = `/${image.replace(/[*?[\]\\!# ]/g, "\\$&")}`;
    // A VMware disk may lie in several files: root.vmdk, root-flat.vmdk, root-s001.vmdk …
    return /\.vmdk$/i.test(pattern) ? [pattern, pattern.replace(/\.vmdk$/i, "-*.vmdk")] : [pattern];
  });
  const file = path.join(folder, ".gitignore");
  const present = new Set((await readText(file)).split("\n").map((line) => line.trim()));
  const isIgnored = (line: string): boolean =>
    present.has(line) || present.has(line.slice(1)) || present.has(`*${path.extname(line)}`);
  await appendLines(
    file,
    lines.filter((line) => !isIgnored(line)),
  );
}

/** The current branch, and every version. */
const PUSHED = ["HEAD", "refs/tags/v*:refs/tags/v*"];
const PUSH_CONFIG = "cui-push.config";

/**
 * Sets `remote.origin.push`. Where there is no `origin` yet, that setting alone would make `git remote add origin` refuse: it
 * goes into a file that git includes as soon as a remote has a URL.
 */
async function configurePush(git: Git): Promise<void> {
  const { stdout } = await git.status({ args: ["config", "--get-all", "remote.origin.push"] });
  if (stdout.trim() !== "") return;
  if ((await configValue(git, "remote.origin.url")) !== undefined) {
    for (const refspec of PUSHED) {
      await git.run({ args: ["config", "--add", "remote.origin.push", refspec] });
    }
    return;
  }
  const content = `[remote "origin"]\n${PUSHED.map((refspec) => `\tpush = ${refspec}\n`).join("")}`;
  await writeFile(path.join(await gitFolderOf(git), PUSH_CONFIG), content);
  await git.run({ args: ["config", "includeIf.hasconfig:remote.*.url:**.path", PUSH_CONFIG] });
}

/** The filters, and the pre-push hook that sends the objects; a hook of the user's own is left alone. */
async function configureLfs(git: Git): Promise<void> {
  await git.run({ args: ["lfs", "install", "--local", "--skip-repo"] });
  const hooks = path.join(await gitFolderOf(git), "hooks");
  await mkdir(hooks, { recursive: true });
  await git.run({ args: ["lfs", "update"], configuredHooks: true, allowedExitCodes: [0, 2] });
}

/** A path as a pattern of .gitattributes, which knows no escapes but those of a quoted string. */
function attributePattern(file: string): string {
  const escaped = `/${file.replace(/[*?[\]\\]/g, "\\$&")}`;
  return /[\s"\\#!]/.test(escaped) ? JSON.stringify(escaped) : escaped;
}

async function appendLines(file: string, lines: readonly string[]): Promise<void> {
  const text = await readText(file);
  const present = new Set(text.split("\n").map((line) => line.trim()));
  const missing = lines.filter((line) => !present.has(line));
  if (missing.length === 0) return;
  const start = text === "" || text.endsWith("\n") ? text : `${text}\n`;
  await rewriteFile(file, `${start}${missing.join("\n")}\n`);
}

async function readText(file: string): Promise<string> {
  return readRegularFile(file)
    .then(String)
    .catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
      throw error;
    });
}
