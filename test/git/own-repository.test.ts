import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type Test } from "tap";
import { ensureOwnRepository, readOwnBranch } from "../../src/git/own-repository.ts";
import { git } from "./git-fixture.ts";

const BRANCH = "refs/heads/main";

async function repository(t: Test): Promise<string> {
  const directory = path.join(t.testdir({}), "own.git");
  await ensureOwnRepository(directory);
  return directory;
}

function commit(directory: string, message: string): string {
  const tree = git(directory, "mktree", "--missing");
  const made = git(directory, "commit-tree", tree, "-m", message);
  git(directory, "update-ref", BRANCH, made);
  return made;
}

test("a branch is read from its file, and from git when it was packed or is none", async (t) => {
  const directory = await repository(t);
  t.equal(await readOwnBranch(directory, BRANCH), null);
  const first = commit(directory, "one");
  t.equal(await readOwnBranch(directory, BRANCH), first);
  git(directory, "pack-refs", "--all");
  t.notOk(existsSync(path.join(directory, BRANCH)));
  t.equal(await readOwnBranch(directory, BRANCH), first);
  const second = commit(directory, "two");
  t.equal(await readOwnBranch(directory, BRANCH), second, "the file goes before what was packed");
});

test("a branch file that a crash left empty is not taken for a branch that was never made", async (t) => {
  const directory = await repository(t);
  commit(directory, "one");
  writeFileSync(path.join(directory, BRANCH), "");
  await t.rejects(readOwnBranch(directory, BRANCH), {
    code: "REPOSITORY_DAMAGED",
    message: /refs\/heads\/main names no commit/,
  });
});

test("the project's repositories have SHA-1, whatever the user's default is", async (t) => {
  const before = process.env["GIT_DEFAULT_HASH"];
  process.env["GIT_DEFAULT_HASH"] = "sha256";
  t.teardown(() => {
    if (before === undefined) Reflect.deleteProperty(process.env, "GIT_DEFAULT_HASH");
    else process.env["GIT_DEFAULT_HASH"] = before;
  });
  t.equal(git(await repository(t), "rev-parse", "--show-object-format"), "sha1");
});
