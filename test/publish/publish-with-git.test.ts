/** Publishing from folders that git's own features and settings have touched. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { test, type Test } from "tap";
import { createRepository } from "../../src/setup/create.ts";
import { publish } from "../../src/publish/publish.ts";
import { makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { cui } from "../hooks/support.ts";
import { git, gitAt, IDENTITY, scratch, writeFiles } from "../git/git-fixture.ts";

/** A user with these settings. */
function userWith(folder: string, settings: string): Record<string, string> {
  const file = path.join(folder, "gitconfig");
  writeFileSync(file, `${readFileSync("test/git/gitconfig", "utf8")}${settings}`);
  return { GIT_CONFIG_GLOBAL: file };
}

/** An empty repository and an appliance beside it. */
async function setUp(t: Test) {
  const { folder, cache } = scratch(t);
  const repository = path.join(folder, "repos/DNS");
  const work = path.join(folder, "dns");
  await createRepository(gitAt(repository));
  writeAppliance(work, makeDisk());
  const publishFrom = (cwd = work, env: Record<string, string> = {}) =>
    publish(gitAt(cwd, env), { repository, cvl: "DNS.cvl", cwd, cache });
  return { folder, cache, repository, work, publishFrom };
}

/** A git that finds no repository there must not find one around it. */
function requireRepository(folder: string): void {
  if (!existsSync(path.join(folder, ".git"))) throw new Error(`${folder} is no repository`);
}

const inTag = (repository: string, tag: string): readonly string[] =>
  git(repository, "ls-tree", "-r", "--name-only", tag).split("\n");

test("what a version needs goes in, whatever the user's own patterns ignore", async (t) => {
  const { folder, repository, work, publishFrom } = await setUp(t);
  writeFiles(work, {
    "withdrawn.yaml": "format: 1\nwithdrawn: []\n",
    "cvl.lock": "format: 1\nimports: []\n",
  });
  const patterns = ["disks/", "*.pack", "*.yaml", "*.cvl", "*.lock", ".*", "vmlinuz", "*", "*\n!*.cvl"];
  for (const [index, pattern] of patterns.entries()) {
    const ignore = path.join(folder, "ignore");
    writeFileSync(ignore, `${pattern}\n`);
    writeFileSync(path.join(work, "notes.txt"), `${index}\n`);
    writeFileSync(path.join(work, "DNS.cvl"), `${readFileSync(path.join(work, "DNS.cvl"), "utf8")}\n`);
    const { published, diagnostics } = await publishFrom(
      work,
      userWith(folder, `[core]\n\texcludesFile = ${ignore}\n`),
    );
    t.equal(published?.version, index + 1, `${pattern}: ${JSON.stringify(diagnostics)}`);
    const files = inTag(repository, `v${index + 1}`);
    for (const wanted of [
      ...["DNS.cvl", "dns.vm.yaml", "vmlinuz", "disks/root.index/header", "disks/root.index/0000"],
      ...["cvl.lock", "withdrawn.yaml", ".gitattributes"],
    ]) {
      t.ok(files.includes(wanted), `${pattern}: ${wanted}`);
    }
    t.ok(files.some((file) => file.endsWith(".pack")));
    t.notOk(files.includes("root.img") || files.includes("data.img"));
    rmSync(path.join(work, ".git"), { recursive: true });
  }
  const other = git(repository, "show", "v8:DNS.cvl");
  t.match(other, /VMAppliance/);
});

test("a hook stages the disks of a commit, also where they are ignored", async (t) => {
  const { folder, work } = await setUp(t);
  git(work, "init", "--quiet");
  writeFileSync(path.join(folder, "ignore"), "disks/\n");
  git(work, "config", "core.excludesFile", path.join(folder, "ignore"));
  git(work, "add", ".");
  git(work, "config", "user.name", "Test");
  t.match(cui(work, "hook", "pre-commit"), { status: 0 });
  t.match(git(work, "ls-files", "disks"), /disks\/root\.index\/header/);
});

test("a linked work tree publishes its own index, and leaves the others alone", async (t) => {
  const { folder, work, publishFrom } = await setUp(t);
  await publishFrom();
  const linked = path.join(folder, "next");
  git(work, "worktree", "add", "--quiet", "-b", "next", linked);
  writeFileSync(path.join(linked, "root.img"), makeDisk());
  writeFiles(linked, { "notes.txt": "new\n" });
  const { published } = await publishFrom(linked);
  t.equal(published?.version, 2);
  t.equal(git(linked, "status", "--short"), "");
  t.equal(git(work, "status", "--short"), "");
  t.equal(git(linked, "rev-parse", "HEAD"), git(work, "rev-parse", "v2"));
  t.equal(git(work, "ls-files", "notes.txt"), "");

  git(linked, "checkout", "--quiet", "--orphan", "fresh");
  await t.rejects(publishFrom(linked), {
    code: "REPOSITORY_PUBLISH_REFUSED",
    message: /main is checked out in/,
  });
  t.equal(git(work, "status", "--short"), "");
});

test("an index that another git holds is not written over", async (t) => {
  const { repository, work, publishFrom } = await setUp(t);
  await publishFrom();
  const lock = path.join(work, ".git/index.lock");
  writeFiles(work, { "notes.txt": "new\n", ".git/index.lock": "" });
  await t.rejects(publishFrom(), {
    code: "REPOSITORY_LOCKED",
    message: new RegExp(`${lock} is there since 20.*another git works there, or one that was killed left it`),
    hint: /rm '.*index\.lock'/,
  });
  t.notOk(git(repository, "tag").includes("v2"), "before anything was sent");
  rmSync(lock);

  const branch = path.join(work, ".git/refs/heads/main.lock");
  writeFileSync(branch, "");
  await t.rejects(publishFrom(), {
    code: "REPOSITORY_LOCKED",
    message: new RegExp(`v2 is published, but not recorded here: .*${branch}`),
    hint: /then publish again, which records it/,
  });
  rmSync(branch);
  await t.rejects(publishFrom(), { code: "REPOSITORY_NOTHING_NEW" });
  t.equal(git(work, "rev-parse", "main"), git(repository, "rev-parse", "v2"));
  t.equal(git(work, "status", "--short"), "");

  writeFiles(work, { ".git/config.lock": "" });
  await t.rejects(gitAt(work).run({ args: ["config", "a.b", "c"] }), {
    code: "REPOSITORY_LOCKED",
    data: { file: path.join(work, ".git/config.lock") },
  });
});

test("booleans are read as git reads them", async (t) => {
  const { folder, repository, work, publishFrom } = await setUp(t);
  const key = path.join(folder, "key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  const signing = (flag: string): Record<string, string> =>
    userWith(
      folder,
      `[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = ${key}.pub\n[commit]\n\tgpgSign${flag}\n`,
    );
  const spellings = ["", " = yes", " = on", " = 1", " = TRUE", " = 2", " = no", " = off", " = 0", " = "];
  for (const [index, flag] of spellings.entries()) {
    writeFiles(work, { "notes.txt": `${index}` });
    await publishFrom(work, signing(flag));
    const commit = git(repository, "cat-file", "commit", `v${index + 1}`);
    t.equal(/^gpgsig /m.test(commit), index < 6, `commit.gpgSign${flag}`);
  }
  writeFiles(work, { "notes.txt": "last" });
  await t.rejects(publishFrom(work, signing(" = maybe")), { message: /bad boolean config value 'maybe'/ });
});

test("a user who wants no bare repository found by chance", async (t) => {
  const { folder, work, repository, publishFrom } = await setUp(t);
  const explicit = userWith(
    folder,
    "[safe]\n\tbareRepository = explicit\n[user]\n\tname = T\n\temail = t@t\n",
  );
  const before = process.env["GIT_CONFIG_GLOBAL"];
  process.env["GIT_CONFIG_GLOBAL"] = explicit["GIT_CONFIG_GLOBAL"];
  t.teardown(() => (process.env["GIT_CONFIG_GLOBAL"] = before));
  await publishFrom();
  t.match(cui(folder, "create", "repos/Site"), { status: 0 });
  t.match(cui(folder, "hook", "install", "--dir", "repos/DNS"), { status: 0 });
  t.match(cui(folder, "publish", "repos/Site", "dns/DNS.cvl"), { status: 0 }, "through the hooks of create");
  t.match(cui(work, "disk", "verify", repository, "1"), { status: 0 });
  writeFiles(folder, {
    "office/office.cvl": `import { url => "${repository}", cvl => "DNS.cvl" } DNS;\nOffice extends DNS { }\n`,
  });
  t.match(cui(path.join(folder, "office"), "lock", "office.cvl"), { status: 0 });
  t.match(cui(path.join(folder, "office"), "eval", "office.cvl", "name"), { status: 0, said: /Office/ });
  requireRepository(work);
  git(work, "tag", "v2");
  t.match(cui(work, "hook", "install"), { status: 0 });
  writeFiles(work, { "notes.txt": "2" });
  git(work, "commit", "--quiet", "--allow-empty", "-m", "2");
  git(work, "tag", "-f", "v2");
  t.match(git(work, "push", "--porcelain", "origin", "main", "v2"), /v2/);
});

test("Git LFS objects are where git-lfs keeps them", async (t) => {
  const { folder, repository, work, publishFrom } = await setUp(t);
  const shared = path.join(folder, "shared");
  const env = userWith(folder, `[lfs]\n\tstorage = ${shared}\n`);
  t.equal((await publishFrom(work, env)).published?.version, 1);
  t.ok(existsSync(path.join(shared, "objects")));
  t.notOk(existsSync(path.join(work, ".git/lfs/objects")));
  const clone = path.join(folder, "clone");
  git(folder, "clone", "--quiet", repository, clone);
  t.ok(
    statSync(path.join(clone, "vmlinuz")).size === 5000,
    "who has another setting finds them in the repository",
  );
  writeFileSync(path.join(work, "root.img"), makeDisk());
  const beside = userWith(folder, "[lfs]\n\tstorage = beside\n");
  t.equal((await publishFrom(work, beside)).published?.version, 2);
  t.ok(existsSync(path.join(work, ".git/beside/objects")), "relative to the git folder");
});

test("repositories whose objects are named by SHA-256", async (t) => {
  const { folder, repository, work, publishFrom } = await setUp(t);
  const sha256 = { GIT_DEFAULT_HASH: "sha256" };
  t.equal(
    (await publishFrom(work, sha256)).published?.commit.length,
    40,
    "a folder is made like its repository",
  );
  const other = path.join(folder, "repos/Other");
  await createRepository(gitAt(other, sha256));
  await t.rejects(
    publish(gitAt(work), {
      repository: other,
      cvl: "DNS.cvl",
      cwd: work,
      cache: path.join(folder, ".cache"),
    }),
    {
      code: "REPOSITORY_PUBLISH_REFUSED",
      message: /names objects by sha256, .* by sha1/,
    },
  );
  rmSync(path.join(work, ".git"), { recursive: true });
  const inOther = (env: Record<string, string>) =>
    publish(gitAt(work, env), {
      repository: other,
      cvl: "DNS.cvl",
      cwd: work,
      cache: path.join(folder, ".cache"),
    });
  t.equal((await inOther({})).published?.commit.length, 64);
  writeFileSync(path.join(work, "root.img"), makeDisk());
  t.equal((await inOther(sha256)).published?.version, 2);
  git(work, "clone", "--quiet", other, path.join(folder, "clone"));
  writeFiles(folder, {
    "office/office.cvl": [
      `import { url => "${other}", cvl => "DNS.cvl" } DNS;`,
      `import { url => "${repository}", cvl => "DNS.cvl" } Old;`,
      "Office extends VANAppliance { DNS d; Old o; }",
    ].join("\n"),
  });
  const before = process.env["GIT_DEFAULT_HASH"];
  t.teardown(() => {
    if (before === undefined) Reflect.deleteProperty(process.env, "GIT_DEFAULT_HASH");
    else process.env["GIT_DEFAULT_HASH"] = before;
  });
  for (const hash of ["sha1", "sha256"]) {
    process.env["GIT_DEFAULT_HASH"] = hash;
    rmSync(path.join(folder, ".cache"), { recursive: true, force: true });
    t.match(cui(path.join(folder, "office"), "lock", "office.cvl"), { status: 0 });
    t.match(readFileSync(path.join(folder, "office/cvl.lock"), "utf8"), /commit: [0-9a-f]{64}\n/);
    t.match(cui(path.join(folder, "office"), "eval", "office.cvl", "name"), { status: 0 });
    t.match(cui(folder, "disk", "verify", other, "2"), { status: 0 });
  }
});

test("folders whose names have spaces", (t) => {
  const folder = path.join(t.testdir({}), "jane doe/ü ('x');#%41");
  const work = path.join(folder, "my dns");
  const repository = path.join(folder, "my repos/my DNS");
  writeAppliance(work, makeDisk());
  t.match(cui(folder, "create", "my repos/my DNS"), { status: 0 });
  t.match(cui(folder, "publish", "my repos/my DNS", "my dns/DNS.cvl"), { status: 0 });
  requireRepository(work);
  t.match(cui(work, "hook", "install"), { status: 0 });
  writeFiles(work, { "notes.txt": "2" });
  const env = { ...process.env, XDG_CACHE_HOME: path.join(folder, ".cache") };
  for (const args of [
    ["add", "."],
    ["commit", "--quiet", "--message", "2"],
    ["tag", "v2"],
    ["push", "--quiet"],
  ]) {
    execFileSync("git", [...IDENTITY, ...args], { cwd: work, stdio: "pipe", env });
  }
  t.ok(inTag(repository, "v2").includes("notes.txt"));
  const office = path.join(folder, "office");
  writeFiles(office, {
    "a.cvl": 'import { url => "../my repos/my DNS", cvl => "DNS.cvl" } DNS;\nA extends DNS { }\n',
    "b.cvl": `import { url => "${pathToFileURL(repository).href}", cvl => "DNS.cvl" } DNS;\nB extends DNS { }\n`,
  });
  t.match(cui(office, "check", "a.cvl"), { status: 0 });
  t.match(cui(office, "lock", "a.cvl"), { status: 0, said: /new at v2/ });
  t.match(cui(office, "eval", "a.cvl", "name"), { status: 0, said: /A/ });
  t.match(cui(office, "eval", "b.cvl", "name"), { status: 0, said: /B/ });
  t.match(cui(folder, "disk", "verify", "my repos/my DNS", "1"), { status: 0 });
  t.end();
});

test("a branch and a tag of one name are two things", async (t) => {
  const { repository, work, publishFrom } = await setUp(t);
  await publishFrom();
  git(work, "tag", "main");
  git(work, "branch", "v1", "HEAD");
  git(work, "branch", "v2", "HEAD");
  writeFiles(work, { "notes.txt": "2" });
  t.equal((await publishFrom()).published?.version, 2);
  const refs = (folder: string) => git(folder, "for-each-ref", "--format=%(refname)").split("\n");
  t.same(refs(repository), ["refs/heads/main", "refs/tags/v1", "refs/tags/v2"]);
  t.same(
    refs(work).filter((name) => name.includes("heads/heads")),
    [],
  );
  t.equal(git(work, "status", "--short"), "");
  t.equal(git(repository, "rev-parse", "refs/heads/main"), git(work, "rev-parse", "refs/heads/main"));
  git(work, "checkout", "--quiet", "-B", "v2");
  writeFiles(work, { "notes.txt": "3" });
  t.equal((await publishFrom()).published?.version, 3);
  t.same(refs(repository), [
    "refs/heads/main",
    "refs/heads/v2",
    ...["v1", "v2", "v3"].map((tag) => `refs/tags/${tag}`),
  ]);
});

test("a folder's own repository is never removed, also where git cannot read it", async (t) => {
  const { folder, work, publishFrom } = await setUp(t);
  await publishFrom();
  const head = path.join(work, ".git/HEAD");
  const before = readFileSync(head, "utf8");
  writeFileSync(head, "");
  writeFiles(work, { "notes.txt": "2" });
  const refused = { code: "REPOSITORY_DAMAGED", message: new RegExp(`${work}/.git`) };
  await t.rejects(publishFrom(), refused);
  git(folder, "init", "--quiet");
  await t.rejects(publishFrom(), refused, "inside another repository, too");
  rmSync(path.join(folder, ".git"), { recursive: true });
  t.equal(readFileSync(head, "utf8"), "");
  writeFileSync(head, before);
  t.equal((await publishFrom()).published?.version, 2);
  await t.rejects(publishFrom(work, { GIT_TEST_ASSUME_DIFFERENT_OWNER: "1" }), {
    message: /dubious ownership/,
  });
  t.equal(readFileSync(head, "utf8"), before);
});

test("a folder named by a symbolic link is published again and again", async (t) => {
  const { folder, work, publishFrom } = await setUp(t);
  const link = path.join(folder, "link");
  symlinkSync(work, link);
  t.equal((await publishFrom(link)).published?.version, 1);
  writeFiles(work, { "notes.txt": "2" });
  t.equal((await publishFrom(link)).published?.version, 2);
});
