/**
 * The cluster manager's state: a bare git repository with one branch, each change a commit.
 *
 * - A commit is one `git fast-import`: blobs, trees, commit and the compare-and-swap of the branch in one process (about 9 ms);
 *   fast-import moves a branch only when the new commit contains the old tip, so a change made on an outdated tip is refused.
 * - Changes of one process that wait for each other are put into one commit.
 * - A refused change is computed anew on the new tip, so that independent changes of two managers both arrive.
 */
import { CollectiveError } from "../../errors.ts";
import { damaged, isDamage } from "../../git/damage.ts";
import { isUnreadable, readDamaged } from "./damaged-state.ts";
import type { StateSnapshot } from "./state-snapshot.ts";
import { lockedBy, lockIn, removeWhenDead } from "../../git/lock-files.ts";
import { ensureOwnRepository, ownGit, readOwnBranch } from "../../git/own-repository.ts";

/** One commit's worth of change: file contents by path, null removes the file. */
export interface StateChange {
  readonly message: string;
  readonly files: ReadonlyMap<string, string | null>;
}

export interface StateStore {
  /** Its folder, for messages. */
  readonly directory: string;
  /** The newest snapshot, from the repository. */
  read(): Promise<StateSnapshot>;
  /**
   * Commits what `change` makes of the newest snapshot. `change` is called again on a newer snapshot when another manager
   * was faster, so it must be free of side effects; what it throws is rethrown and nothing is committed; undefined means no change.
   * @throws CollectiveError STATE_CONFLICT after many refusals in a row; REPOSITORY_LOCKED when a lock file of git stays in the way.
   */
  update(change: (snapshot: StateSnapshot) => StateChange | undefined): Promise<StateSnapshot>;
}

const BRANCH = "refs/heads/main";
const MAX_ATTEMPTS = 20;
const PATIENT_ATTEMPTS = 5;
const SAFE_PATH = /^[A-Za-z0-9@][A-Za-z0-9@._-]*(\/[A-Za-z0-9@][A-Za-z0-9@._-]*)*$/;

interface Waiting {
  readonly change: (snapshot: StateSnapshot) => StateChange | undefined;
  readonly resolve: (snapshot: StateSnapshot) => void;
  readonly reject: (error: unknown) => void;
}

const DEFAULT_DIRECTORY = "/var/lib/collective/state.git";

/** `$CUI_STATE`, by default `/var/lib/collective/state.git`. */
export function stateDirectoryOf(env: Readonly<Record<string, string | undefined>>): string {
  return env["CUI_STATE"] ?? DEFAULT_DIRECTORY;
}

/** Opens the state repository at `directory`, making it when there is none. */
export async function openStateStore(directory: string): Promise<StateStore> {
  await ensureOwnRepository(directory);
  let cached: StateSnapshot | undefined;
  let waiting: Waiting[] = [];
  let isWorking = false;

  const read = async (): Promise<StateSnapshot> => {
    cached = await readSnapshot(directory, cached);
    return cached;
  };

  const work = async (): Promise<void> => {
    isWorking = true;
    // What several steps want at the same moment goes into one commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        cached = await commitBatch({ directory, batch, known: cached });
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
    isWorking = false;
  };

  return {
    directory,
    read,
    update: (change) =>
      new Promise((resolve, reject) => {
        waiting.push({ change, resolve, reject });
        if (!isWorking) void work();
      }),
  };
}

/** Packs the repository when git finds it worth it; it may be used meanwhile. */
export async function tidyStateStore(directory: string): Promise<void> {
  const args = ["-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"];
  // It packs nothing where an object is damaged, which whoever reads that object says.
  await ownGit({ directory, args, parse: () => undefined }).catch((error: unknown) => {
    if (!isDamage(error)) throw error;
  });
}

/** Commits a batch as one commit; changes that throw are rejected alone, the others go on. */
async function commitBatch(options: {
  directory: string;
  batch: readonly Waiting[];
  known: StateSnapshot | undefined;
}): Promise<StateSnapshot> {
  const { directory, batch } = options;
  let snapshot = options.known ?? (await readSnapshot(directory, undefined));
  let lock: string | undefined;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const { next, messages, refused } = applyChanges(snapshot, batch);
    const isFresh = attempt > 0 || options.known === undefined;
    // A change judged by a cached snapshot may be wrong about it: look again before it is refused.
    if (refused.size === 0 || isFresh) {
      const made =
        messages.length === 0
          ? { revision: snapshot.revision }
          : await commit(directory, snapshot, next, messages);
      if ("revision" in made) {
        const committed =
          messages.length === 0 ? snapshot : { ...snapshot, revision: made.revision, files: next };
        settle(batch, committed, refused);
        return committed;
      }
      lock = made.lock;
      // Whoever works there has had its time.
      if (lock !== undefined && attempt >= PATIENT_ATTEMPTS) await removeWhenDead(lock, directory);
    }
    if (attempt > 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * 5 * attempt));
    snapshot = await readSnapshot(directory, snapshot);
  }
  if (lock !== undefined) throw await lockedBy(lock);
  throw new CollectiveError(
    "STATE_CONFLICT",
    `the state at ${directory} was changed by others ${MAX_ATTEMPTS} times in a row`,
    { hint: "run the command again" },
  );
}

function applyChanges(
  snapshot: StateSnapshot,
  batch: readonly Waiting[],
): { next: ReadonlyMap<string, string>; messages: string[]; refused: Map<Waiting, unknown> } {
  let next: ReadonlyMap<string, string> = snapshot.files;
  const messages: string[] = [];
  const refused = new Map<Waiting, unknown>();
  for (const entry of batch) {
    try {
      const change = entry.change({ ...snapshot, files: next });
      if (change === undefined) continue;
      next = withChange(next, change);
      messages.push(change.message);
    } catch (error) {
      refused.set(entry, error);
    }
  }
  return { next, messages, refused };
}

function withChange(files: ReadonlyMap<string, string>, change: StateChange): ReadonlyMap<string, string> {
  const next = new Map(files);
  for (const [file, content] of change.files) {
    if (!SAFE_PATH.test(file)) throw new Error(`unsafe path in the state: ${JSON.stringify(file)}`);
    if (content === null) next.delete(file);
    else next.set(file, content);
  }
  return next;
}

function settle(batch: readonly Waiting[], snapshot: StateSnapshot, refused: Map<Waiting, unknown>): void {
  for (const entry of batch) {
    if (refused.has(entry)) entry.reject(refused.get(entry));
    else entry.resolve(snapshot);
  }
}

async function commit(
  directory: string,
  base: StateSnapshot,
  next: ReadonlyMap<string, string>,
  messages: readonly string[],
): Promise<{ readonly revision: string } | { readonly lock: string | undefined }> {
  const [subject = "", ...others] = messages;
  const message = others.length === 0 ? subject : `${subject}\n\n${others.join("\n")}`;
  const seconds = Math.floor(Date.now() / 1000);
  const parts = [
    `commit ${BRANCH}\nmark :1\ncommitter cui <cui@localhost> ${seconds} +0000\n`,
    data(message),
    base.revision === null ? "" : `from ${base.revision}\n`,
  ];
  for (const file of base.files.keys()) if (!next.has(file)) parts.push(`D ${file}\n`);
  for (const [file, content] of next) {
    if (base.files.get(file) !== content) parts.push(`M 100644 inline ${file}\n`, data(content));
  }
  parts.push("\nget-mark :1\ndone\n");
  return ownGit({
    directory,
    args: ["fast-import", "--quiet", "--done"],
    input: parts.join(""),
    // 1: the branch was not moved.
    allowedExitCodes: [0, 1],
    parse: (stdout, exitCode, stderr) =>
      exitCode === 1 ? { lock: lockIn(stderr) } : { revision: stdout.trim() },
  });
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}

async function readSnapshot(directory: string, known: StateSnapshot | undefined): Promise<StateSnapshot> {
  const revision = await readOwnBranch(directory, BRANCH);
  if (revision === null) return { revision: null, files: new Map() };
  if (revision === known?.revision) return known;
  try {
    const args = ["ls-tree", "-r", "-z", "--full-tree", revision];
    const listing = await ownGit({ directory, args, parse: parseListing });
    return { revision, ...(await readBlobs(directory, listing)) };
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { revision, ...(await readDamaged(directory, revision)) };
  }
}

interface Listed {
  readonly oid: string;
  readonly file: string;
}

function parseListing(stdout: string): readonly Listed[] {
  return stdout
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => ({ oid: line.slice(12, line.indexOf("\t")), file: line.slice(line.indexOf("\t") + 1) }));
}

/** `git cat-file --batch` answers `<oid> blob <bytes>\n<content>\n` for each line of its input, and fails at one that is damaged. */
async function readBlobs(
  directory: string,
  listing: readonly Listed[],
): Promise<Pick<StateSnapshot, "files">> {
  const files = new Map<string, string>();
  if (listing.length === 0) return { files };
  await ownGit({
    directory,
    args: ["cat-file", "--batch"],
    input: `${listing.map(({ oid }) => oid).join("\n")}\n`,
    parse: (stdout) => {
      const bytes = Buffer.from(stdout, "utf8");
      let at = 0;
      for (const { oid, file } of listing) {
        const headEnd = bytes.indexOf(10, at);
        const [, kind, length] = bytes.toString("utf8", at, headEnd).split(" ");
        if (kind !== "blob") throw damaged(directory, `missing blob ${oid}, which is ${file}`);
        const end = headEnd + 1 + Number(length);
        files.set(file, bytes.toString("utf8", headEnd + 1, end));
        at = end + 1;
      }
    },
  });
  return { files };
}
