/** What becomes of a push, at real repositories: each kind of answer as git gives it. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import t, { type Test } from "tap";
import { push, type PushResult } from "../../src/git/push.ts";
import { git, scratch, writeFiles, gitAt } from "./git-fixture.ts";

/** A bare repository, and a clone of it with two commits of which the first is pushed. */
function repositories(t: Test): { bare: string; clone: string; first: string; second: string } {
  const { folder } = scratch(t);
  const bare = path.join(folder, "bare.git");
  const clone = path.join(folder, "clone");
  mkdirSync(clone);
  git(folder, "init", "--quiet", "--bare", "--initial-branch=main", bare);
  git(clone, "init", "--quiet", "--initial-branch=main", ".");
  git(clone, "remote", "add", "origin", bare);
  const commit = (text: string): string => {
    writeFiles(clone, { file: text });
    git(clone, "add", "file");
    git(clone, "commit", "--quiet", "-m", text);
    return git(clone, "rev-parse", "HEAD");
  };
  const first = commit("first");
  git(clone, "push", "--quiet", "origin", "main");
  return { bare, clone, first, second: commit("second") };
}

/** Somebody else's commit on main. */
function pushAnother(bare: string): string {
  const other = `${bare}.other`;
  git(path.dirname(bare), "clone", "--quiet", bare, other);
  git(other, "commit", "--quiet", "--allow-empty", "-m", "somebody else's");
  git(other, "push", "--quiet", "origin", "HEAD:main");
  return git(other, "rev-parse", "HEAD");
}

const MAIN = "refs/heads/main";

t.test("a push that is taken", async (t) => {
  const { bare, clone, second } = repositories(t);
  t.same(await push(gitAt(clone), { to: "origin", refspecs: [`${second}:${MAIN}`] }), { kind: "ok" });
  t.equal(git(bare, "rev-parse", "main"), second);
  t.same(await push(gitAt(clone), { to: bare, refspecs: [`${second}:${MAIN}`] }), { kind: "ok" }, "again");
});

t.test("a branch that somebody else moved is stale, and so is a tag that is there", async (t) => {
  const { bare, clone, second } = repositories(t);
  const other = pushAnother(bare);
  const branch = await push(gitAt(clone), { to: "origin", refspecs: [`${second}:${MAIN}`] });
  t.match(branch, { kind: "stale", said: /\[rejected\] \((fetch first|non-fast-forward)\)/ });
  git(bare, "tag", "v1", other);
  const refspecs = [`${second}:refs/heads/free`, `${second}:refs/tags/v1`];
  t.match(await push(gitAt(clone), { to: "origin", refspecs, atomic: true }), {
    kind: "stale",
    said: /refs\/tags\/v1 \[rejected\] \(already exists\)/,
  });
  t.equal(git(bare, "for-each-ref", "refs/heads/free"), "", "of an atomic push nothing is taken");
});

t.test("a lease holds against whoever was faster, and lets a branch go back", async (t) => {
  const { bare, clone, first, second } = repositories(t);
  const at = (commit: string | undefined, refspec: string): Promise<PushResult> =>
    push(gitAt(clone), { to: "origin", refspecs: [refspec], lease: { ref: MAIN, commit } });
  t.match(await at(second, `${second}:${MAIN}`), { kind: "stale", said: /stale info/ });
  t.match(await at(undefined, `${second}:${MAIN}`), { kind: "stale" }, "it exists");
  t.same(await at(first, `${second}:${MAIN}`), { kind: "ok" });
  t.same(await at(second, `${first}:${MAIN}`), { kind: "ok" }, "back");
  git(bare, "config", "receive.denyNonFastForwards", "true");
  t.same(await at(first, `${second}:${MAIN}`), { kind: "ok" });
  t.match(await at(second, `${first}:${MAIN}`), { kind: "forward-only" }, "where branches only go forward");
});

t.test(
  "what a repository refuses is denied, with its hook's words and none of their control characters",
  async (t) => {
    const { bare, clone, second } = repositories(t);
    const hook = path.join(bare, "hooks/pre-receive");
    writeFileSync(hook, "#!/bin/sh\nprintf 'v2 has \\033[31mno CVL\\n' >&2\nexit 1\n");
    chmodSync(hook, 0o755);
    const refspecs = [`${second}:${MAIN}`, `${second}:refs/tags/v2`];
    const result = await push(gitAt(clone), { to: "origin", refspecs, atomic: true });
    t.match(result, { kind: "denied", said: /\[remote rejected\] \(pre-receive hook declined\)/ });
    t.match(result.kind === "ok" ? "" : result.remote.join("\n"), /^remote: v2 has [^\u001b]*no CVL$/);
    git(bare, "config", "receive.denyDeletes", "true");
    writeFileSync(hook, "#!/bin/sh\nexit 0\n");
    t.match(await push(gitAt(clone), { to: "origin", refspecs: [`:${MAIN}`] }), { kind: "denied" });
  },
);

t.test("a ref that another push holds is stale", async (t) => {
  const { bare, clone, second } = repositories(t);
  writeFileSync(path.join(bare, `${MAIN}.lock`), "");
  t.match(await push(gitAt(clone), { to: "origin", refspecs: [`${second}:${MAIN}`] }), {
    kind: "stale",
    said: /remote rejected/,
  });
});

t.test(
  "a branch that somebody else moves while the repository looks at an atomic push is stale",
  async (t) => {
    const { bare, clone, second } = repositories(t);
    const other = pushAnother(bare);
    git(bare, "update-ref", "refs/heads/other", other);
    git(bare, "update-ref", MAIN, `${other}^`);
    const hook = path.join(bare, "hooks/pre-receive");
    const outside = "env -u GIT_QUARANTINE_PATH -u GIT_OBJECT_DIRECTORY -u GIT_ALTERNATE_OBJECT_DIRECTORIES";
    writeFileSync(hook, `#!/bin/sh\n${outside} git update-ref ${MAIN} ${other}\n`);
    chmodSync(hook, 0o755);
    const refspecs = [`${second}:${MAIN}`, `${second}:refs/tags/v2`];
    t.match(await push(gitAt(clone), { to: "origin", refspecs, atomic: true }), {
      kind: "stale",
      said: /\[remote rejected\] \(atomic transaction failed\)/,
      remote: [/cannot lock ref 'refs\/heads\/main'/],
    });
  },
);

t.test("no repository is unreachable, no access is forbidden", async (t) => {
  const { bare, clone, second } = repositories(t);
  const refspecs = [`${second}:${MAIN}`];
  t.match(await push(gitAt(clone), { to: `${bare}.gone`, refspecs }), {
    kind: "unreachable",
    said: /^fatal: /,
  });
  for (const [status, kind] of [
    [403, "forbidden"],
    [401, "forbidden"],
    [500, "unreachable"],
  ] as const) {
    const server = createServer((_, response) => response.writeHead(status).end()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/site.git`;
    t.match(await push(gitAt(clone), { to: url, refspecs }), { kind }, String(status));
    server.close();
    server.closeAllConnections();
  }
});
