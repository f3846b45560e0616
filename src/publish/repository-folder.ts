/** An appliance's working folder as a git repository: what git keeps how, what it ignores, what a plain `git push` sends. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { writeFileAtomically } from "../io.ts";
import { git, gitStatus } from "../git/git.ts";
import { gitFolderOf } from "../git/folder.ts";
import { configValue } from "../git/config.ts";

export interface InitFolderOptions {
  /** Sets `origin` where there is none: a URL or an absolute path. */
  readonly origin?: string;
}

/**
 * Makes `folder` a git repository that publishes with `git tag v6 && git push`; on a clone it adds what is missing. Running it
 * again changes nothing.
 */
export async function initRepositoryFolder(folder: string, options: InitFolderOptions = {}): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (
    (await gitStatus({ folder, args: ["rev-parse", "--resolve-git-dir", path.join(folder, ".git")] }))
      .exitCode !== 0
  ) {
    await git({ folder, args: ["init", "--quiet", "--initial-branch=main", "--template=", "--", "."] });
  }
  await keepInLfs(folder, []);
  if (options.origin !== undefined && (await configValue(folder, "remote.origin.url")) === undefined) {
    await git({ folder, args: ["remote", "add", "--", "origin", options.origin] });
  }
  await configureClone(folder);
}

/** What a work tree's own configuration says: what `git push` sends, Git LFS, how indexes are shown. */
export async function configureClone(folder: string): Promise<void> {
  await configurePush(folder);
  await configureLfs(folder);
  await git({ folder, args: ["config", "diff.cui-index.textconv", "cui disk show --textconv"] });
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
async function configurePush(folder: string): Promise<void> {
  const { stdout } = await gitStatus({ folder, args: ["config", "--get-all", "remote.origin.push"] });
  if (stdout.trim() !== "") return;
  if ((await configValue(folder, "remote.origin.url")) !== undefined) {
    for (const refspec of PUSHED) {
      await git({ folder, args: ["config", "--add", "remote.origin.push", refspec] });
    }
    return;
  }
  const content = `[remote "origin"]\n${PUSHED.map((refspec) => `\tpush = ${refspec}\n`).join("")}`;
  await writeFile(path.join(await gitFolderOf(folder), PUSH_CONFIG), content);
  await git({ folder, args: ["config", "includeIf.hasconfig:remote.*.url:**.path", PUSH_CONFIG] });
}

/** The filters, and the pre-push hook that sends the objects; a hook of the user's own is left alone. */
async function configureLfs(folder: string): Promise<void> {
  await git({ folder, args: ["lfs", "install", "--local", "--skip-repo"] });
  const hooks = path.join(await gitFolderOf(folder), "hooks");
  await mkdir(hooks, { recursive: true });
  await git({ folder, args: ["lfs", "update"], configuredHooks: true, allowedExitCodes: [0, 2] });
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
  await writeFileAtomically(file, `${start}${missing.join("\n")}\n`);
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  });
}
