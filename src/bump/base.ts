/** What a bump starts from: the CVL files of a folder and their lock, in the working tree or in a commit. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { decodeText } from "../cvl/parse/decode-text.ts";
import { MAX_FILE_CHARACTERS } from "../cvl/limits.ts";
import { placeDiagnostic, renderDiagnostic } from "../diagnostics.ts";
import { CollectiveError } from "../errors.ts";
import type { Git } from "../git/git.ts";
import { openCommitFolder } from "../git/commit-folder.ts";
import { EMPTY_LOCK, LOCK_FILE, MAX_LOCK_BYTES, parseLock } from "../appliance/lock.ts";
import type { Lock } from "../appliance/loaded-appliance.ts";
import { baseUrlOf } from "../appliance/root-file.ts";

export interface BumpBase {
  /** Absolute. */
  readonly folder: string;
  /** Undefined: the working tree. */
  readonly commit: string | undefined;
  /** Path of a file of the folder inside its repository; its name for a working tree. */
  readonly pathOf: (name: string) => string;
  /** What relative URLs are relative to. */
  readonly url: string;
  /** Texts by name, in order. */
  readonly cvlFiles: ReadonlyMap<string, string>;
  readonly lock: Lock;
  /** Whether there is a lock file. */
  readonly isLocked: boolean;
  /** The other files that were asked for, as far as they are there. */
  readonly others: ReadonlyMap<string, string>;
}

export interface BumpBaseOptions {
  readonly git: Git;
  /** A commit, which may be checked out nowhere; undefined: the working tree. */
  readonly rev: string | undefined;
  /** Names of other files to read. */
  readonly also: readonly string[];
}

const MAX_CVL_FILES = 1000;
const MAX_OTHER_BYTES = 4 * 1024 * 1024;

/**
 * @throws CollectiveError INVALID_INPUT without a CVL file, or with a lock that cannot be read; REPOSITORY_REVISION_MISSING.
 */
export async function readBumpBase(options: BumpBaseOptions): Promise<BumpBase> {
  const { git, rev } = options;
  if (rev === undefined) {
    return complete(options, { ...workingFiles(git.folder), commit: undefined, pathOf: (name) => name });
  }
  const committed = await openCommitFolder({ git, rev });
  try {
    return await complete(options, {
      list: async () =>
        (await committed.listFolder()).filter(({ kind }) => kind === "file").map(({ name }) => name),
      read: (name, maxBytes) => committed.readFileIfThere(name, { maxBytes }),
      commit: committed.commit,
      pathOf: (name) => committed.pathOf(name),
    });
  } finally {
    await committed.close();
  }
}

interface Files {
  /** Names of the plain files. */
  readonly list: () => Promise<string[]>;
  readonly read: (name: string, maxBytes: number) => Promise<Buffer | undefined>;
}

function workingFiles(folder: string): Files {
  const list = async (): Promise<string[]> =>
    (await readdir(folder, { withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
  return {
    list,
    read: async (name, maxBytes) => {
      if (!(await list()).includes(name)) return undefined;
      const content = await readFile(path.join(folder, name));
      if (content.length <= maxBytes) return content;
      throw new CollectiveError("REPOSITORY_FILE_TOO_LARGE", `${name} has more than ${maxBytes} bytes`);
    },
  };
}

async function complete(
  { git, also }: BumpBaseOptions,
  { list, read, commit, pathOf }: Files & Pick<BumpBase, "commit" | "pathOf">,
): Promise<BumpBase> {
  const { folder } = git;
  const names = (await list()).filter((name) => name.endsWith(".cvl")).sort();
  if (names.length === 0 || names.length > MAX_CVL_FILES) {
    const at = commit === undefined ? "" : ` at commit ${commit.slice(0, 12)}`;
    throw new CollectiveError(
      "INVALID_INPUT",
      names.length === 0
        ? `there is no CVL file in ${folder}${at}`
        : `${folder}${at} has more than ${MAX_CVL_FILES} CVL files`,
      { hint: "run the command in the folder of an appliance or a site" },
    );
  }
  const cvlFiles = new Map<string, string>();
  for (const name of names) {
    const content = (await read(name, MAX_FILE_CHARACTERS)) ?? Buffer.alloc(0);
    cvlFiles.set(name, decodeText(content, name).text);
  }
  const others = new Map<string, string>();
  for (const name of also) {
    const content = await read(name, MAX_OTHER_BYTES);
    if (content !== undefined) others.set(name, content.toString("utf8"));
  }
  const lockText = (await read(LOCK_FILE, MAX_LOCK_BYTES))?.toString("utf8");
  const isLocked = lockText !== undefined;
  const lock = isLocked ? readLock(lockText) : EMPTY_LOCK;
  return { folder, commit, pathOf, url: await baseUrlOf(git), cvlFiles, lock, isLocked, others };
}

function readLock(text: string): Lock {
  const { lock, diagnostics } = parseLock(text, LOCK_FILE);
  if (lock !== undefined) return lock;
  const rendered = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, () => text)).join("\n");
  throw new CollectiveError("INVALID_INPUT", `${LOCK_FILE} cannot be read\n${rendered}`, {
    hint: "take its last good version out of git; `cui lock` writes it anew",
    diagnostics: diagnostics.map((diagnostic) => placeDiagnostic(diagnostic, () => text)),
  });
}
