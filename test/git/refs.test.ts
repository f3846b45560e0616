import path from "node:path";
import { test } from "tap";
import { deleteRef, headBranch, listRefs, listRemoteRefs, pointRefs, setHead } from "../../src/git/refs.ts";
import { git, gitAt, scratch, writeFiles } from "./git-fixture.ts";

test("refs of a repository", async (t) => {
  const { folder } = scratch(t);
  git(folder, "init", "--quiet", "--initial-branch=main", ".");
  const at = gitAt(folder);
  t.equal(await headBranch(at), "refs/heads/main", "before the first commit, too");
  t.same(await listRefs(at, { pattern: "refs/tags/v*" }), []);
  await t.rejects(listRefs(at, { pattern: "refs/tags/v*", inHead: true }), { code: "PROCESS_FAILED" });

  const commit = (text: string): string => {
    writeFiles(folder, { file: text });
    git(folder, "add", "--all");
    git(folder, "commit", "--quiet", "--message", text);
    return git(folder, "rev-parse", "HEAD");
  };
  const [one, two] = [commit("one"), commit("two")];
  git(folder, "tag", "v1", one);
  git(folder, "tag", "--annotate", "--message", "two", "v2", two);
  git(folder, "tag", "other", two);
  const object = git(folder, "rev-parse", "v2");
  const tags = [
    { name: "refs/tags/v1", oid: one },
    { name: "refs/tags/v2", oid: object },
  ];
  t.same(await listRefs(at, { pattern: "refs/tags/v*" }), tags);
  t.same(await listRefs(at, { pattern: "refs/tags/v*", limit: 1 }), tags.slice(0, 1));
  t.same(await listRefs(at, { pattern: "refs/heads/", pointsAt: two }), [
    { name: "refs/heads/main", oid: two },
  ]);
  git(folder, "checkout", "--quiet", "--detach", one);
  t.equal(await headBranch(at), undefined, "on no branch");
  t.same(await listRefs(at, { pattern: "refs/tags/v*", inHead: true }), tags.slice(0, 1));

  await t.rejects(pointRefs(at, ["refs/heads/a", "refs/heads/a/b"], one), { code: "PROCESS_FAILED" });
  t.same(await listRefs(at, { pattern: "refs/heads/a*" }), [], "all of them or none");
  await pointRefs(at, ["refs/heads/main", "refs/heads/a"], one);
  t.equal(git(folder, "rev-parse", "main"), one, "wherever it was");
  await deleteRef(at, "refs/heads/a");
  await deleteRef(at, "refs/heads/a");
  t.same(await listRefs(at, { pattern: "refs/heads/a" }), []);
  await setHead(at, "refs/heads/main");
  t.equal(await headBranch(at), "refs/heads/main");

  const { head, ids } = await listRemoteRefs(gitAt(path.dirname(folder)), {
    of: folder,
    patterns: ["HEAD", "refs/tags/v*"],
  });
  t.equal(head, "refs/heads/main");
  t.same(Object.fromEntries(ids), {
    HEAD: one,
    "refs/tags/v1": one,
    "refs/tags/v2": object,
    "refs/tags/v2^{}": two,
  });
  const nowhere = path.join(folder, "nowhere");
  await t.rejects(listRemoteRefs(at, { of: nowhere }), { code: "PROCESS_FAILED" });
});
