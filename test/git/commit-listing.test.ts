import { execFileSync } from "node:child_process";
import { test } from "tap";
import { listCommit, listWhole } from "../../src/git/commit-listing.ts";
import { git, gitAt, makeVersions } from "../git/git-fixture.ts";

test("a listing that is too long is no empty one", async (t) => {
  const folder = `${t.testdir({})}/r`;
  makeVersions(folder, [{ a: "1", "b/c": "2", "b/d": "3" }]);
  const commit = git(folder, "rev-parse", "v1");
  const at = gitAt(folder);
  t.equal((await listWhole({ git: at, commit, where: "v1" })).length, 3);
  t.equal((await listWhole({ git: at, commit, where: "v1", maxFiles: 3 })).length, 3);
  t.equal(await listCommit({ git: at, commit, maxFiles: 2 }), undefined);
  await t.rejects(listWhole({ git: at, commit, where: "v1", maxFiles: 2 }), {
    code: "REPOSITORY_TOO_MANY_FILES",
    message: "v1 has more than 2 files; no more are looked at",
  });
});

test("a tree that holds one over and over ends at the limit", async (t) => {
  const folder = `${t.testdir({})}/r`;
  makeVersions(folder, [{ a: "1" }]);
  const treeOf = (mode: string, oid: string, count: number): string =>
    execFileSync("git", ["mktree"], {
      cwd: folder,
      encoding: "utf8",
      input: Array.from({ length: count }, (_, index) => `${mode} ${oid}\tn${index}\n`).join(""),
    }).trim();
  let tree = treeOf("100644 blob", git(folder, "rev-parse", "v1:a"), 1000);
  for (let depth = 0; depth < 3; depth += 1) tree = treeOf("040000 tree", tree, 1000);
  await t.rejects(listWhole({ git: gitAt(folder), commit: tree, where: "it", maxFiles: 100_000 }), {
    code: "REPOSITORY_TOO_MANY_FILES",
    message: "it has more than 100,000 files; no more are looked at",
  });
});
