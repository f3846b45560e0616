/** What hooks find has a code each, and is shown to a person without one where it is no place in a file. */
import { spawnSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import path from "node:path";
import { test, type Test } from "tap";
import { renderHookDiagnostics, type HookDiagnostic } from "../../src/hooks/hook-diagnostic.ts";
import { prepareCommit } from "../../src/hooks/pre-commit.ts";
import { checkOutgoing } from "../../src/hooks/pre-push.ts";
import { checkPush } from "../../src/hooks/pre-receive.ts";
import type { RefUpdate } from "../../src/hooks/ref-updates.ts";
import { makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { git, gitAt } from "../git/git-fixture.ts";
import { commitFiles, PROGRAM, SMALL_CVL } from "./support.ts";

/** A repository with v1, without hooks: they are called here. */
function smallRepository(t: Test): { readonly folder: string; readonly commit: string } {
  const folder = path.join(t.testdir({}), "Small");
  git(path.dirname(folder), "init", "--quiet", "--initial-branch=main", folder);
  const commit = commitFiles(folder, { "Small.cvl": SMALL_CVL });
  git(folder, "tag", "v1");
  return { folder, commit };
}

const found = (diagnostics: readonly HookDiagnostic[]) =>
  diagnostics.map(({ where, code, severity }) => `${where} ${severity} ${code}`);

test("what is pushed", async (t) => {
  const { folder, commit } = smallRepository(t);
  const tree = git(folder, "rev-parse", "HEAD^{tree}");
  const check = (...updates: RefUpdate[]) =>
    checkPush(gitAt(folder), { updates, cache: path.join(folder, "../.cache") });
  const tag = (version: number, after: string | undefined, before?: string): RefUpdate => ({
    ...{ ref: `refs/tags/v${version}`, before, after },
  });
  const main = { ref: "refs/heads/main", before: commit };

  t.same(found(await check(tag(2, tree))), ["v2 error VERSION_WITHOUT_COMMIT"]);
  t.same(found(await check(tag(1, tree, commit))), ["v1 error VERSION_MOVED"]);
  t.same(found(await check(tag(3, commit))), ["v3 error VERSION_GAP"]);
  t.same(found(await check({ ...main, after: git(folder, "commit-tree", "-m", "other", tree) })), [
    "main error BRANCH_REWOUND",
  ]);
  const deleted = await check({ ...main, after: undefined }, tag(1, undefined, commit));
  t.same(found(deleted), ["v1 error VERSION_MOVED", "main error BRANCH_REWOUND"]);
  t.same(renderHookDiagnostics(deleted), [
    "  v1: versions are never deleted",
    "    hint: withdraw a bad version: list it in withdrawn.yaml on the default branch",
    "  main: the default branch is never deleted",
  ]);

  git(folder, "config", "cui.maxVersions", "1");
  t.same(found(await check(tag(2, commit), tag(3, commit))), ["this push error PUSH_TOO_LARGE"]);
  git(folder, "config", "cui.maxVersions", "many");
  await t.rejects(check(tag(2, commit)), {
    code: "HOOK_SETTING_INVALID",
    hint: "git config cui.maxVersions 1000",
  });
});

test("a repository that cannot be asked decides itself", async (t) => {
  const { folder, commit } = smallRepository(t);
  const url = path.join(folder, "../none");
  const updates = [{ ref: "refs/tags/v2", before: undefined, after: commit }];
  const warnings = await checkOutgoing(gitAt(folder), { url, updates });
  t.same(found(warnings), [`${url} warning PUSH_NOT_CHECKED`]);
  t.same(renderHookDiagnostics(warnings), [
    `  ${url}: its versions could not be asked for; the repository decides`,
  ]);
});

test("named files alone are committed, from an index that a hook cannot change", async (t) => {
  const folder = path.join(t.testdir({}), "DNS");
  writeAppliance(folder, makeDisk());
  git(path.dirname(folder), "init", "--quiet", "--initial-branch=main", folder);
  commitFiles(folder, { ".gitignore": "*.img\n" });
  copyFileSync(path.join(folder, ".git/index"), path.join(folder, ".git/next-index-1.lock"));
  const env = { GIT_INDEX_FILE: ".git/next-index-1.lock" };
  const cache = path.join(folder, "../.cache");
  t.same(found(await prepareCommit(gitAt(folder, env), { cache })), [
    "disks/root.index error COMMIT_PARTIAL",
  ]);
});

test("a hook that somebody else calls is called wrongly", (t) => {
  const { folder } = smallRepository(t);
  for (const name of ["pre-push", "pre-receive"]) {
    const { status, stderr } = spawnSync(PROGRAM.node, [PROGRAM.cui, "hook", name], {
      ...{ cwd: folder, input: "hello\n", encoding: "utf8" },
    });
    t.match(
      { status, stderr },
      { status: 2, stderr: /^error USAGE: standard input is not what git tells/ },
      name,
    );
  }
  t.end();
});
