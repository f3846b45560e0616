/** What a bump starts from: the CVL files of a folder and their lock, in the working tree or in a commit. */
import { readdir, readFile, realpath } from "node:fs/promises";
import path from "node:path";
import { decodeText } from "../../cvl/decode-text.ts";
import { MAX_FILE_CHARACTERS } from "../../cvl/limits.ts";
import { renderDiagnostic } from "../../diagnostics.ts";
import { CollectiveError } from "../../errors.ts";
import { openGitObjects } from "../git-objects.ts";
import { commitFiles } from "../git-tree.ts";
import { EMPTY_LOCK, LOCK_FILE, MAX_LOCK_BYTES, parseLock } from "../lock.ts";
import type { Lock } from "../loaded-appliance.ts";
import { baseUrlOf, resolveRevision } from "../root-file.ts";

export interface BumpBase {
  /** Absolute. */
  readonly folder: string;
  /** Of the folder inside its repository, `/` between parts; undefined for the working tree. */
  readonly inside: string | undefined;
  /** Undefined: the working tree. */
  readonly commit: string | undefined;
  /** What relative URLs are relative to. */
  readonly url: string;
  /** Texts by name, in order. */
  readonly cvlFiles: ReadonlyMap<string, string>;
  readonly lock: Lock;
  /** Whether there is a lock file. */
  readonly isLocked: boolean;
  /** Another file of the folder; undefined when it is not there. */
  readonly readText: (name: string) => Promise<string | undefined>;
}

const MAX_CVL_FILES = 1000;
const MAX_OTHER_BYTES = 4 * 1024 * 1024;

/**
 * Reads a folder; `rev` may be a commit that is nowhere checked out.
 * @throws CollectiveError INVALID_INPUT without a CVL file, or with a lock that cannot be read; REPOSITORY_REVISION_MISSING.
 */
export async function readBumpBase({
  folder,
  rev,
}: {
  readonly folder: string;
  readonly rev?: string | undefined;
}): Promise<BumpBase> {
  if (rev === undefined) return completeBase({ folder, ...workingFiles(folder) });
  const { top, commit } = await resolveRevision(folder, rev);
  const inside = path
    .relative(await realpath(top), await realpath(folder))
    .split(path.sep)
    .join("/");
  const objects = openGitObjects(top);
  try {
    const files = commitFiles(objects, commit, `commit ${commit.slice(0, 12)}`);
    const readFrom = async (name: string, maxBytes: number): Promise<Buffer | undefined> =>
      files.readFile(inside === "" ? name : `${inside}/${name}`, { maxBytes }).catch(ignoreMissing);
    const list = async (): Promise<string[]> => {
      const entries = await files.listFolder(inside).catch(ignoreMissing);
      return (entries ?? []).filter(({ kind }) => kind === "file").map(({ name }) => name);
    };
    const base = await completeBase({ folder, inside, commit, list, read: readFrom });
    // The reader of objects ends with this function: what may be asked for later is read on its own.
    return { ...base, readText: (name) => readCommitted({ top, commit, inside, name }) };
  } finally {
    await objects.close();
  }
}

interface Files {
  readonly list: () => Promise<string[]>;
  readonly read: (name: string, maxBytes: number) => Promise<Buffer | undefined>;
}

function workingFiles(folder: string): Files {
  return {
    list: async () =>
      (await readdir(folder, { withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name),
    read: async (name, maxBytes) => {
      const content = await readFile(path.join(folder, name)).catch((error: unknown) => {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
        throw error;
      });
      if (content === undefined || content.length <= maxBytes) return content;
      throw new CollectiveError("REPOSITORY_FILE_TOO_LARGE", `${name} has more than ${maxBytes} bytes`);
    },
  };
}

async function completeBase({
  folder,
  inside,
  commit,
  list,
  read,
}: Files & {
  readonly folder: string;
  readonly inside?: string;
  readonly commit?: string;
}): Promise<BumpBase> {
  const names = (await list()).filter((name) => name.endsWith(".cvl")).sort();
  if (names.length === 0 || names.length > MAX_CVL_FILES) {
    throw new CollectiveError(
      "INVALID_INPUT",
      names.length === 0
        ? `there is no CVL file in ${folder}${commit === undefined ? "" : ` at commit ${commit.slice(0, 12)}`}`
        : `${folder} has more than ${MAX_CVL_FILES} CVL files`,
      { hint: "run the command in the folder of an appliance or a site" },
    );
  }
  const cvlFiles = new Map<string, string>();
  for (const name of names) {
    const content = (await read(name, MAX_FILE_CHARACTERS)) ?? Buffer.alloc(0);
    cvlFiles.set(name, decodeText(content, name).text);
  }
  const lockText = (await read(LOCK_FILE, MAX_LOCK_BYTES))?.toString("utf8");
  return {
    folder,
    inside,
    commit,
    url: await baseUrlOf(folder),
    cvlFiles,
    lock: lockText === undefined ? EMPTY_LOCK : readLock(lockText),
    isLocked: lockText !== undefined,
    readText: async (name) => (await read(name, MAX_OTHER_BYTES))?.toString("utf8"),
  };
}

async function readCommitted({
  top,
  commit,
  inside,
  name,
}: {
  readonly top: string;
  readonly commit: string;
  readonly inside: string;
  readonly name: string;
}): Promise<string | undefined> {
  const objects = openGitObjects(top);
  try {
    const files = commitFiles(objects, commit, `commit ${commit.slice(0, 12)}`);
    const file = inside === "" ? name : `${inside}/${name}`;
    return (await files.readFile(file, { maxBytes: MAX_OTHER_BYTES }).catch(ignoreMissing))?.toString("utf8");
  } finally {
    await objects.close();
  }
}

function readLock(text: string): Lock {
  const { lock, diagnostics } = parseLock(text, LOCK_FILE);
  if (lock !== undefined) return lock;
  const rendered = diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, () => text)).join("\n");
  throw new CollectiveError("INVALID_INPUT", `${LOCK_FILE} cannot be read\n${rendered}`, {
    hint: "take its last good version out of git; `cui lock` writes it anew",
  });
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof CollectiveError && error.code === "REPOSITORY_FILE_MISSING") return undefined;
  throw error;
}
