import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { test } from "tap";
import { createRepository } from "../../src/setup/create.ts";
import { installHooks } from "../../src/setup/install-hooks.ts";
import { setUpRepository } from "../../src/setup/set-up-repository.ts";
import { changeDisk, DNS_CVL, makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { commitFiles, cui, PROGRAM, publishSmall, SMALL_CVL, tryGit } from "./support.ts";
import {
  git,
  gitSucceeds,
  IDENTITY,
  scratch,
  until,
  untilGroupEnded,
  writeFiles,
  gitAt,
} from "../git/git-fixture.ts";

const show = (folder: string, file: string) => git(folder, "show", `:${file}`);
const read = (folder: string, file: string) => readFileSync(path.join(folder, file), "utf8");

test("from a fresh clone: edit, git commit, git tag v2, git push", async (t) => {
  const { folder, cache } = scratch(t);
  const repository = path.join(folder, "repos/DNS");
  await createRepository(gitAt(repository), { hooks: PROGRAM });
  const work = path.join(folder, "first");
  const { publish } = await import("../../src/publish/publish.ts");
  const disk = makeDisk();
  writeAppliance(work, disk);
  t.equal((await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache })).published?.version, 1);

  const clone = path.join(folder, "clone");
  git(folder, "clone", "--quiet", repository, clone);
  const installed = cui(clone, "hook", "install");
  t.match(installed, { status: 0, said: /Installed pre-commit and pre-push in .*hooks\.\n/ });
  t.match(cui(clone, "hook", "install").said, /The hook pre-push that was there is kept/, "that of git-lfs");
  t.equal(git(clone, "status", "--porcelain"), "", "nothing of the work tree changes");

  const second = changeDisk(disk);
  writeFileSync(path.join(clone, "root.img"), second);
  const staged = tryGit(clone, "commit", "--message", "A new disk");
  t.match(staged.said, /root\.img: 0\.0\d MiB of new chunks, staged\n/);
  t.match(staged.said, /run the same `git commit` again/, "git looked before the hook staged anything");
  t.match(tryGit(clone, "commit", "--message", "A new disk"), { status: 0 });
  t.equal(git(clone, "status", "--porcelain"), "", "all of it is committed");
  t.notMatch(git(clone, "ls-files"), /root\.img/);
  git(clone, "tag", "v2");
  t.match(tryGit(clone, "push"), { status: 0 });
  t.equal(git(repository, "tag"), "v1\nv2");
  t.equal(git(repository, "rev-parse", "main"), git(repository, "rev-parse", "v2"));

  t.test("what was published is the disk, bit by bit", (t) => {
    const out = path.join(folder, "out.img");
    t.match(cui(clone, "disk", "export", repository, "2", "vda", out), { status: 0 });
    t.ok(readFileSync(out).equals(second));
    t.end();
  });

  t.test("an unchanged disk is not read again, and costs little", (t) => {
    const times: number[] = [];
    const plain: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      writeFiles(clone, { "notes.txt": `${round}\n` });
      git(clone, "add", "notes.txt");
      const startedAt = Date.now();
      const { said } = tryGit(clone, "commit", "--message", "notes");
      times.push(Date.now() - startedAt);
      t.notMatch(said, /new chunks/);
      writeFiles(clone, { "notes.txt": `${round} again\n` });
      git(clone, "add", "notes.txt");
      const again = Date.now();
      tryGit(clone, "commit", "--no-verify", "--message", "notes");
      plain.push(Date.now() - again);
    }
    const added = Math.min(...times) - Math.min(...plain);
    t.comment(`pre-commit adds ${added} ms`);
    t.ok(added < 5000, `${added} ms`);
    t.end();
  });

  t.test("a checkout of another version makes the disk count as changed again", (t) => {
    git(clone, "checkout", "--quiet", "-b", "back", "v1");
    const { said } = tryGit(clone, "commit", "--allow-empty", "--message", "the disk is newer than this");
    t.match(said, /root\.img: .* of new chunks, staged/);
    t.equal(git(clone, "rev-parse", "HEAD:disks/root.index"), git(clone, "rev-parse", "v2:disks/root.index"));
    git(clone, "checkout", "--quiet", "main");
    t.end();
  });

  t.test("pre-push: gaps, moves, deletions, missing packs", (t) => {
    const before = git(repository, "for-each-ref");
    const refused = (expected: RegExp, ...args: string[]) => {
      const { status, said } = tryGit(clone, "push", ...args);
      t.not(status, 0, args.join(" "));
      t.match(said, expected, args.join(" "));
      t.notMatch(said, /remote:/, "nothing was sent");
    };
    refused(
      /v4: error VERSION_GAP: v4 is not the next version: there is no v3/,
      "origin",
      "HEAD:refs/tags/v4",
    );
    refused(/v2: it already exists/, "--force", "origin", "HEAD:refs/tags/v2");
    refused(/v1: versions are never deleted/, "origin", ":refs/tags/v1");
    refused(/v3: it points at no commit/, "origin", "HEAD^{tree}:refs/tags/v3");
    // A disk that was stored here, but whose pack got lost.
    writeFiles(clone, { "root.img": changeDisk(second), "notes.txt": "third\n" });
    git(clone, "add", "notes.txt");
    const third = tryGit(clone, "commit", "--message", "third");
    t.match(
      third,
      { status: 0, said: /root\.img: .* staged/ },
      "with something else staged it is in the same commit",
    );
    const pack = git(clone, "diff", "--name-only", "--diff-filter=A", "HEAD^", "HEAD", "--", "disks/packs");
    const oid = path.basename(pack, ".pack");
    rmSync(path.join(clone, ".git/lfs/objects", oid.slice(0, 2), oid.slice(2, 4), oid));
    refused(
      /v3: error VERSION_OBJECT_MISSING: the Git LFS object .* is neither in this clone nor/,
      "origin",
      "HEAD:refs/tags/v3",
    );
    git(clone, "rm", "--quiet", "--cached", pack);
    git(clone, "commit", "--quiet", "--no-verify", "--message", "no pointer");
    refused(
      /v3: error VERSION_PACK_MISSING: disks\/root\.index needs disks\/packs\/[0-9a-f]+\.pack, which is not there/,
      "origin",
      "HEAD:refs/tags/v3",
    );
    t.equal(git(repository, "for-each-ref"), before);
    t.end();
  });
});

test("pre-commit formats and checks what is staged, and nothing else", async (t) => {
  const { client } = await publishSmall(t);
  await setUpRepository(gitAt(client), PROGRAM);
  const ugly = "Small extends VMAppliance { var domain;var other; }\n";
  const pretty = "Small extends VMAppliance {\n  var domain;\n  var other;\n}\n";

  writeFiles(client, { "Small.cvl": ugly, "Unstaged.cvl": "Nonsense {{{\n" });
  git(client, "add", "Small.cvl");
  t.match(tryGit(client, "commit", "--message", "ugly"), { status: 0, said: /formatted Small\.cvl/ });
  t.equal(git(client, "show", "HEAD:Small.cvl"), pretty.trimEnd());
  t.equal(read(client, "Small.cvl"), pretty, "the work tree follows");
  t.equal(read(client, "Unstaged.cvl"), "Nonsense {{{\n");
  t.equal(git(client, "status", "--porcelain"), "?? Unstaged.cvl");

  // As `git add -p` leaves it: half of the edits staged.
  const half = pretty.replace("var other;", 'var other;\n  other="1";');
  const whole = half.replace("}\n", "  // not yet\n  nonsense = ;\n}\n");
  writeFiles(client, { "Small.cvl": half });
  git(client, "add", "Small.cvl");
  writeFiles(client, { "Small.cvl": whole });
  t.match(tryGit(client, "commit", "--message", "half"), { status: 0 });
  t.match(git(client, "show", "HEAD:Small.cvl"), /other = "1";/, "what was staged is formatted");
  t.equal(read(client, "Small.cvl"), whole, "what was not staged is untouched");

  git(client, "add", "Small.cvl");
  const before = git(client, "rev-parse", "HEAD");
  const refused = tryGit(client, "commit", "--message", "broken");
  t.not(refused.status, 0);
  t.match(refused.said, /Small\.cvl: Small\.cvl:\d+:\d+: error CVL_SYNTAX.*\n.*nonsense = ;\n +\^/);
  t.equal(git(client, "rev-parse", "HEAD"), before);
  t.equal(show(client, "Small.cvl"), whole.trimEnd(), "the index is as it was");

  const cases = [
    [
      { "Small.cvl": 'Small extends VMAppliance {\n  nothing = "1";\n}\n' },
      /CVL_UNKNOWN_PARAMETER[^]*hint: declare it first/,
    ],
    [
      { "Small.cvl": SMALL_CVL, "s.vm.yaml": "format: 1\nmemory: 64MiB\ncolour: red\n" },
      /s\.vm\.yaml:3:1: error VM_DESCRIPTION_INVALID/,
    ],
    [
      { "s.vm.yaml": "format: 1\nmemory: 64MiB\n", "withdrawn.yaml": "format: 2\n" },
      /withdrawn\.yaml:1:9: error WITHDRAWN_INVALID/,
    ],
  ] as const;
  for (const [files, expected] of cases) {
    writeFiles(client, files);
    git(client, "add", ...Object.keys(files));
    t.match(tryGit(client, "commit", "--message", "x").said, expected);
  }
  rmSync(path.join(client, "withdrawn.yaml"));
  rmSync(path.join(client, "Small.cvl"));
  symlinkSync("/etc/passwd", path.join(client, "Small.cvl"));
  git(client, "add", "--all", "Small.cvl", "withdrawn.yaml");
  t.match(tryGit(client, "commit", "--message", "x").said, /Small\.cvl: it is no plain file/);
  rmSync(path.join(client, "Small.cvl"));

  writeFiles(client, {
    "Small.cvl": `import { url => "http://127.0.0.1:9/x", cvl => "X.cvl" } X;\n\nSmall extends X {\n}\n`,
  });
  git(client, "add", "Small.cvl");
  t.match(tryGit(client, "commit", "--message", "offline"), {
    status: 0,
    said: /warning: what is staged: Small\.cvl was not checked to the end/,
  });

  writeFiles(client, { "Small.cvl": ugly, "notes.txt": "x\n" });
  git(client, "add", "notes.txt");
  t.match(
    tryGit(client, "commit", "--message", "one file", "Small.cvl").said,
    /it is not formatted, and git commits named/,
  );
  t.equal(read(client, "Small.cvl"), ugly);
  t.match(tryGit(client, "commit", "--all", "--message", "all"), { status: 0, said: /formatted Small\.cvl/ });
  t.equal(git(client, "status", "--porcelain", "--untracked-files=no"), "");
  t.equal(git(client, "show", "HEAD:Small.cvl"), pretty.trimEnd());
});

test("hooks that were there are kept and run; installing again changes nothing", async (t) => {
  const { folder, repository, client } = await publishSmall(t);
  const log = path.join(folder, "log");
  const theirs = (file: string, code: number) => {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\necho "$(basename "$0") $*" >>${log}\ncat >>${log}\nexit ${code}\n`);
    chmodSync(file, 0o755);
  };
  const hooks = path.join(client, ".git/hooks");
  theirs(path.join(hooks, "pre-commit"), 0);
  theirs(path.join(hooks, "pre-push"), 0);
  theirs(path.join(hooks, "commit-msg"), 0);
  const first = await setUpRepository(gitAt(client), PROGRAM);
  t.same(first.kept, ["pre-commit", "pre-push"]);
  const ours = read(hooks, "pre-push");
  t.same((await setUpRepository(gitAt(client), PROGRAM)).kept, ["pre-commit", "pre-push"]);
  t.equal(read(hooks, "pre-push"), ours);
  writeFiles(client, {
    "disks/packs/x.pack": "stands for a pack",
    ".gitattributes": "*.pack filter=lfs -text\n",
  });
  git(client, "add", "--all");
  t.match(tryGit(client, "commit", "--message", "x"), { status: 0 });
  const head = git(client, "rev-parse", "HEAD");
  t.match(tryGit(client, "push"), { status: 0 });
  const said = readFileSync(log, "utf8");
  t.match(said, /^pre-commit\.kept \n/);
  t.match(
    said,
    new RegExp(`pre-push\\.kept origin .*Small\n(HEAD|refs/heads/main) ${head} refs/heads/main `),
    "with what git said",
  );
  t.ok(existsSync(path.join(repository, "lfs/objects")), "git-lfs uploads although the kept hook is another");
  theirs(path.join(hooks, "pre-push.kept"), 3);
  writeFiles(client, { "a.txt": "x" });
  commitFiles(client, {});
  t.match(tryGit(client, "push"), { said: /pre-push\.kept refused \(exit code 3\)/ });
  theirs(path.join(hooks, "pre-commit.kept"), 3);
  t.not(tryGit(client, "commit", "--allow-empty", "--message", "x").status, 0);

  t.test("an installation that was killed is taken up, a hook in the way is not lost", async (t) => {
    const file = path.join(hooks, "pre-push");
    cpSync(`${file}.kept`, file);
    t.same(
      (await installHooks(gitAt(client), ["pre-push"], PROGRAM)).kept,
      ["pre-push"],
      "killed between the two steps",
    );
    t.equal(read(hooks, "pre-push"), ours);
    theirs(file, 7);
    await t.rejects(installHooks(gitAt(client), ["pre-push"], PROGRAM), { code: "HOOK_IN_THE_WAY" });
    t.match(read(hooks, "pre-push"), /exit 7/);
    cpSync(`${file}.kept`, file);
    await installHooks(gitAt(client), ["pre-push"], PROGRAM);
  });

  t.test("core.hooksPath, also when other repositories share it", async (t) => {
    const shared = path.join(folder, "shared");
    theirs(path.join(shared, "pre-commit"), 0);
    const other = path.join(folder, "other");
    git(folder, "init", "--quiet", other);
    git(other, "config", "core.hooksPath", shared);
    git(client, "config", "core.hooksPath", shared);
    const installed = await setUpRepository(gitAt(client), PROGRAM);
    t.equal(installed.folder, shared);
    t.same(installed.kept, ["pre-commit", "pre-push"], "git-lfs put one there before");
    writeFiles(client, { "Small.cvl": "Small {" });
    git(client, "add", "Small.cvl");
    t.match(tryGit(client, "commit", "--message", "x").said, /CVL_SYNTAX/);
    git(client, "checkout", "--quiet", "HEAD", "--", "Small.cvl");
    writeFileSync(log, "");
    writeFiles(other, { "Other.cvl": "Other {" });
    git(other, "add", ".");
    t.match(tryGit(other, "commit", "--message", "x"), { status: 0 }, "one that did not ask is left alone");
    t.match(readFileSync(log, "utf8"), /^pre-commit\.kept/, "but for its own hook");
    git(client, "config", "--unset", "core.hooksPath");
  });

  t.test("a linked work tree, whose .git is a file", async (t) => {
    theirs(path.join(hooks, "pre-commit.kept"), 0);
    theirs(path.join(hooks, "pre-push.kept"), 0);
    const linked = path.join(folder, "linked");
    git(client, "worktree", "add", "--quiet", "-b", "linked", linked);
    t.equal((await setUpRepository(gitAt(linked), PROGRAM)).folder, hooks);
    writeFiles(linked, { "Small.cvl": "Small extends VMAppliance { var b; }\n" });
    git(linked, "add", "Small.cvl");
    t.match(tryGit(linked, "commit", "--message", "x"), { status: 0, said: /formatted Small\.cvl/ });
    t.equal(git(linked, "status", "--porcelain"), "");
    t.match(
      tryGit(linked, "push", "origin", "linked", "linked:refs/tags/v3").said,
      /v3: error VERSION_GAP: .*there is no v2/,
    );
  });

  t.test("hooks of the repository: kept, and asked after ours", async (t) => {
    const served = path.join(repository, "hooks");
    theirs(path.join(served, "pre-receive.kept"), 5);
    const { status, said } = tryGit(client, "push", "--no-verify", "origin", "HEAD:refs/heads/kept");
    t.not(status, 0);
    t.match(said, /remote: .*pre-receive\.kept refused \(exit code 5\)/);
    rmSync(path.join(served, "pre-receive.kept"));
    theirs(path.join(served, "post-receive.kept"), 5);
    t.match(tryGit(client, "push", "--no-verify", "origin", "HEAD:refs/heads/kept"), { status: 0 });
    const bare = path.join(folder, "bare");
    git(folder, "init", "--quiet", "--bare", bare);
    t.same((await setUpRepository(gitAt(bare), PROGRAM)).names, ["pre-receive", "post-receive"]);
    t.equal(git(bare, "config", "receive.denyDeletes"), "true");
    await t.rejects(setUpRepository(gitAt("/"), PROGRAM), { code: "REPOSITORY_MISSING" });
  });

  t.test("without cui nothing is let through, and it is said how to help", (t) => {
    git(repository, "config", "cui.path", path.join(folder, "gone.js"));
    const refused = tryGit(client, "push", "--no-verify", "origin", "HEAD:refs/heads/lost");
    t.not(refused.status, 0);
    t.match(refused.said, /remote: error: the hook pre-receive cannot find the program cui/);
    writeFiles(folder, { "bin/cui": `#!/bin/sh\nexec ${PROGRAM.node} ${PROGRAM.cui} "$@"\n` });
    chmodSync(path.join(folder, "bin/cui"), 0o755);
    const PATH = `${path.join(folder, "bin")}:${process.env["PATH"] ?? ""}`;
    const found = spawnSync("git", ["push", "--no-verify", "origin", "HEAD:refs/heads/lost"], {
      cwd: client,
      env: { ...process.env, PATH },
    });
    t.equal(found.status, 0, "one on PATH does");
    t.end();
  });
});

test("killed half way, a push or a commit leaves nothing half done", async (t) => {
  const { folder, repository, client } = await publishSmall(t);
  const wait = path.join(folder, "wait");
  writeFiles(repository, { "hooks/pre-receive.kept": `#!/bin/sh\necho >${wait}\nsleep 600\n` });
  chmodSync(path.join(repository, "hooks/pre-receive.kept"), 0o755);
  commitFiles(client, { "notes.txt": "two\n" });
  const child = spawn("git", ["push", "--no-verify", "origin", "HEAD:refs/tags/v2"], {
    cwd: client,
    detached: true,
  });
  await until(() => existsSync(wait));
  process.kill(-(child.pid ?? 0), "SIGKILL");
  await untilGroupEnded(child.pid ?? 0);
  t.equal(git(repository, "tag"), "v1");
  rmSync(path.join(repository, "hooks/pre-receive.kept"));
  t.match(
    tryGit(client, "push", "--no-verify", "origin", "HEAD:refs/tags/v2"),
    { status: 0 },
    "the next one goes through",
  );
  git(repository, "fsck");

  await setUpRepository(gitAt(client), PROGRAM);
  writeAppliance(client, makeDisk());
  git(client, "rm", "--quiet", "Small.cvl");
  writeFiles(client, { "DNS.cvl": DNS_CVL });
  git(client, "add", "DNS.cvl", "dns.vm.yaml");
  const before = git(client, "rev-parse", "HEAD");
  // However late it is killed: git has not moved the branch when it calls this hook.
  const held = path.join(client, ".git/hooks/commit-msg");
  writeFileSync(held, "#!/bin/sh\nsleep 600\n", { mode: 0o755 });
  const commit = spawn("git", [...IDENTITY, "commit", "--message", "killed"], {
    cwd: client,
    detached: true,
  });
  await until(() => existsSync(path.join(client, "disks/packs")));
  process.kill(-(commit.pid ?? 0), "SIGKILL");
  await untilGroupEnded(commit.pid ?? 0);
  rmSync(held);
  t.equal(git(client, "rev-parse", "HEAD"), before);
  rmSync(path.join(client, ".git/index.lock"), { force: true });
  git(client, "add", "vmlinuz");
  t.match(tryGit(client, "commit", "--message", "again"), { status: 0 });
  t.match(git(client, "ls-files"), /disks\/root\.index\/header/);
  t.equal(git(client, "status", "--porcelain"), "");
  git(client, "tag", "v3");
  const pushed = tryGit(client, "push");
  t.match(pushed, { status: 0 }, pushed.said);
});

test("a site's repository starts the rollout it asks for", async (t) => {
  const { folder } = scratch(t);
  const repository = path.join(folder, "site.git");
  const client = path.join(folder, "client");
  // Stands for the installed command: what the runner is told, and how it behaves, is written down.
  const told = path.join(folder, "told");
  // It runs until this file is there: a push that waited for it would never end.
  const end = path.join(folder, "end");
  const running = path.join(folder, "running");
  mkdirSync(running);
  const cuiFile = path.join(folder, "cui.mjs");
  writeFileSync(
    cuiFile,
    [
      'import { appendFileSync, existsSync, rmSync, writeFileSync } from "node:fs";',
      'if (process.argv[2] !== "runner") {',
      `  process.argv[1] = ${JSON.stringify(cuiFile)};`,
      `  await import(${JSON.stringify(PROGRAM.cui)});`,
      "} else {",
      `  const mark = ${JSON.stringify(running)} + "/" + process.pid;`,
      '  writeFileSync(mark, "");',
      `  appendFileSync(${JSON.stringify(told)}, process.argv.slice(2).join(" ") + " GIT_DIR=" + process.env.GIT_DIR + "\\n");`,
      '  console.log("the runner was here");',
      `  while (existsSync(${JSON.stringify(folder)}) && !existsSync(${JSON.stringify(end)}))`,
      "    await new Promise((resolve) => setTimeout(resolve, 50));",
      "  rmSync(mark, { force: true });",
      "}",
    ].join("\n"),
  );
  await createRepository(gitAt(repository), { hooks: { node: PROGRAM.node, cui: cuiFile } });
  git(folder, "init", "--quiet", "--initial-branch=main", client);
  git(client, "remote", "add", "origin", repository);
  const site = (rollout: string) => `format: 1\n${rollout}`;
  const asking = "rollout: { branch: main, on: merge }\n";
  const ran = () => (existsSync(told) ? readFileSync(told, "utf8").split("\n").length - 1 : 0);
  const pushed = (yaml: string | undefined, ref = "main") => {
    commitFiles(client, yaml === undefined ? {} : { "utility.yaml": yaml });
    const outcome = tryGit(client, "push", "--no-verify", "origin", `HEAD:refs/heads/${ref}`);
    t.equal(outcome.status, 0, outcome.said);
    return outcome;
  };
  pushed(site(asking));
  t.equal(ran(), 0, "the first push has no commit before it whose policy could ask");
  const second = pushed(undefined);
  t.match(second.said, /remote: Rolling out main at [0-9a-f]{12}; see .*cui-rollout\.log/);
  await until(() => ran() === 1);
  t.equal(readFileSync(told, "utf8"), `runner ${repository} --once GIT_DIR=undefined\n`);
  await until(() =>
    readFileSync(path.join(repository, "cui-rollout.log"), "utf8").includes("the runner was here"),
  );
  pushed(undefined, "topic");
  t.equal(ran(), 1, "another branch");
  pushed(site("rollout: { branch: main, on: never }\n"));
  await until(() => ran() === 2);
  t.equal(ran(), 2, "the commit before asked, whatever the new one says");
  pushed(site(asking));
  pushed(site("colour: red\n"));
  await until(() => ran() === 3);
  const unread = pushed(undefined);
  t.notMatch(unread.said, /Rolling out/, "a policy nobody can read asks for nothing");
  t.equal(ran(), 3);

  pushed(site(asking));
  rmSync(path.join(repository, "cui-rollout.log"));
  mkdirSync(path.join(repository, "cui-rollout.log"));
  const failed = pushed(undefined);
  t.match(failed.said, /warning: the rollout was not started/, "and the push went through");
  writeFileSync(end, "");
  await until(() => readdirSync(running).length === 0);
});

test("cui init installs hooks; the shims are portable", (t) => {
  const { folder } = scratch(t);
  t.match(cui(folder, "init", "derived", "Mine", "--base", "../Office"), { status: 0 });
  const hooks = path.join(folder, "Mine/.git/hooks");
  for (const name of ["pre-commit", "pre-push"]) t.match(read(hooks, name), /A git hook of Collective/);
  t.ok(existsSync(path.join(hooks, "pre-push.kept")), "that of git-lfs");
  t.match(cui(folder, "create", "Repo"), { status: 0 });
  for (const name of ["pre-receive", "post-receive"])
    t.match(read(path.join(folder, "Repo/hooks"), name), /A git hook/);
  t.ok(gitSucceeds(path.join(folder, "Repo"), "config", "cui.path"));
  const shims = ["pre-commit", "pre-push", "pre-receive", "post-receive"].map((name) =>
    path.resolve("hooks", name),
  );
  for (const shim of shims)
    t.equal(readFileSync(shim, "utf8"), readFileSync(shims[0]!, "utf8"), "they differ in name alone");
  if (spawnSync("shellcheck", ["--version"]).error !== undefined) {
    t.comment("not checked: shellcheck is not installed (apt-get install shellcheck)");
  } else {
    const { stdout, status } = spawnSync("shellcheck", ["-s", "sh", "-f", "gcc", ...shims], {
      encoding: "utf8",
    });
    t.match({ stdout, status }, { stdout: "", status: 0 });
  }
  t.end();
});
