import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { test, type Test } from "tap";
import {
  commitToOwnBranch,
  readOwnFolders,
  type OwnCommit,
  type OwnFolders,
} from "../../src/git/own-commits.ts";
import { importOwnCommit } from "../../src/git/own-import.ts";
import { ensureOwnRepository, readOwnBranch } from "../../src/git/own-repository.ts";
import { git, gitSucceeds } from "./git-fixture.ts";

const branch = "refs/heads/main";
const message = "one step\n";
const committedAt = 1_700_000_000;
type Files = ReadonlyMap<string, string | null>;

async function repository(t: Test, name = "own.git"): Promise<string> {
  const directory = path.join(existsSync(t.testdirName) ? t.testdirName : t.testdir({}), name);
  await ensureOwnRepository(directory);
  return directory;
}

async function commit(directory: string, files: Files, on?: OwnCommit): Promise<OwnCommit> {
  const at = { directory, branch, parent: on?.commit ?? null, folders: on?.folders ?? new Map() };
  const made = await commitToOwnBranch({ ...at, files, message, committedAt });
  if (made === undefined) throw new Error("nobody else writes here");
  return made;
}

const sorted = (folders: OwnFolders): unknown =>
  [...folders]
    .map(([folder, entries]) => [folder, [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1))])
    .sort();

test("a commit has the id that git gives it, whatever the names", async (t) => {
  const directories = [await repository(t, "ours.git"), await repository(t, "git.git")] as const;
  const name = fc.stringMatching(/^[A-Za-z0-9@][A-Za-z0-9@._-]{0,6}$/).filter((text) => !text.endsWith("."));
  const file = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
  const content = fc.option(fc.string({ unit: "grapheme", maxLength: 20 }), { nil: null, freq: 3 });
  const files = fc.array(fc.tuple(file, content), { minLength: 1, maxLength: 8 });
  let parent: string | null = null;
  let ours: OwnCommit = { commit: "", folders: new Map() };
  const known = new Map<string, string | null>();
  await fc.assert(
    fc.asyncProperty(files, async (changes) => {
      const wanted = new Map(changes.filter(([path]) => isPossible(known, path)));
      const step = new Map<string, string | null>();
      for (const [path, text] of wanted) {
        if (!isPossible(new Map([...known, ...step]), path) || (text === null && !known.has(path))) continue;
        step.set(path, text);
      }
      for (const [path, text] of step) if (text === null) known.delete(path);
      for (const [path, text] of step) if (text !== null) known.set(path, text);
      const [mine, gits] = directories;
      ours = await commit(mine, step, parent === null ? undefined : ours);
      const theirs = await importOwnCommit({
        ...{ directory: gits, branch, parent, files: step, message, committedAt },
      });
      t.equal(ours.commit, theirs);
      t.same(sorted(ours.folders), sorted(await readOwnFolders(gits, ours.commit)));
      parent = ours.commit;
    }),
    { numRuns: 20 },
  );
  t.equal(git(directories[0], "fsck", "--strict", "--no-dangling"), "");
});

/** No file lies where another's folder is. */
function isPossible(files: Files, wanted: string): boolean {
  return ![...files.keys()].some((file) => file.startsWith(`${wanted}/`) || wanted.startsWith(`${file}/`));
}

test("a folder goes with its last file", async (t) => {
  const directory = await repository(t);
  const first = await commit(
    directory,
    new Map([
      ["a/b/c", "1"],
      ["d", "2"],
    ]),
  );
  const second = await commit(directory, new Map([["a/b/c", null]]), first);
  t.equal(git(directory, "ls-tree", "-r", "-t", "--name-only", "main"), "d");
  t.same([...second.folders.keys()], [""]);
});

test("a first commit may have no file", async (t) => {
  const directory = await repository(t);
  const made = await commit(directory, new Map());
  t.same(made.folders, await readOwnFolders(directory, made.commit));
});

test("a branch that moved meanwhile stays where it is", async (t) => {
  const directory = await repository(t);
  const first = await commit(directory, new Map([["a", "1"]]));
  const second = await commit(directory, new Map([["a", "2"]]), first);
  const at = { directory, branch, message, committedAt, files: new Map([["a", "3"]]) };
  t.equal(await commitToOwnBranch({ ...at, parent: first.commit, folders: first.folders }), undefined);
  t.equal(await commitToOwnBranch({ ...at, parent: null, folders: new Map() }), undefined);
  t.equal(git(directory, "rev-parse", "main"), second.commit);
});

test("of two that move a branch at once one is told so", async (t) => {
  const directory = await repository(t);
  const first = await commit(directory, new Map([["a", "1"]]));
  const at = { directory, branch, message, committedAt, parent: first.commit, folders: first.folders };
  const made = await Promise.all(
    ["2", "3", "4", "5"].map((text) => commitToOwnBranch({ ...at, files: new Map([["a", text]]) })),
  );
  t.equal(made.filter((one) => one !== undefined).length, 1);
});

test("a torn object is written anew, and what a crash leaves is git's to remove", async (t) => {
  const directory = await repository(t);
  const first = await commit(directory, new Map([["a", "torn"]]));
  const oid = git(directory, "rev-parse", "main:a");
  const object = path.join(directory, "objects", oid.slice(0, 2), oid.slice(2));
  chmodSync(object, 0o644);
  writeFileSync(object, "to");
  t.notOk(gitSucceeds(directory, "cat-file", "blob", oid));
  await commit(directory, new Map([["b", "torn"]]), first);
  t.equal(git(directory, "cat-file", "blob", oid), "torn");
  t.equal(statSync(object).mode & 0o777, 0o444);
  writeFileSync(path.join(path.dirname(object), "tmp_obj_left"), "");
  git(directory, "prune", "--expire=now");
  t.notOk(readdirSync(path.dirname(object)).includes("tmp_obj_left"));
  t.equal(git(directory, "fsck", "--strict"), "");
});

test("a repository with SHA-256 or alternates is left to git", async (t) => {
  const folder = t.testdir({});
  const directory = path.join(folder, "long.git");
  execFileSync("git", ["init", "--quiet", "--bare", "--object-format=sha256", directory]);
  const first = await commit(directory, new Map([["a/b", "1"]]));
  t.equal(first.commit.length, 64);
  const second = await commit(directory, new Map([["a/c", "2"]]), first);
  t.equal(git(directory, "ls-tree", "-r", "--name-only", second.commit), "a/b\na/c");
  const own = await repository(t);
  const base = await commit(own, new Map([["a", "1"]]));
  const borrowing = path.join(folder, "borrowing.git");
  git(folder, "clone", "--quiet", "--bare", "--shared", own, borrowing);
  const next = await commit(borrowing, new Map([["b", "2"]]), base);
  t.equal(git(borrowing, "show", `${next.commit}:a`), "1");
});

test("what is wrong with the repository is not taken for somebody else's commit", async (t) => {
  const directory = await repository(t);
  const at = { directory, branch: "refs/heads/..", parent: null, folders: new Map(), message, committedAt };
  await t.rejects(commitToOwnBranch({ ...at, files: new Map([["a", "1"]]) }), { code: "PROCESS_FAILED" });
});

test("a branch is read from its file, and from git when it was packed or is none", async (t) => {
  const directory = await repository(t);
  t.equal(await readOwnBranch(directory, branch), null);
  const first = await commit(directory, new Map([["a", "1"]]));
  git(directory, "pack-refs", "--all");
  t.notOk(existsSync(path.join(directory, branch)));
  t.equal(await readOwnBranch(directory, branch), first.commit);
  const second = await commit(directory, new Map([["a", "2"]]), first);
  t.equal(await readOwnBranch(directory, branch), second.commit);
});
