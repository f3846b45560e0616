import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "tap";
import type { Oid } from "../../src/disk/object-store.ts";
import { openGit } from "../../src/git/git.ts";
import { openGitObjects } from "../../src/git/objects.ts";
import type { TransferProgress } from "../../src/git/progress.ts";
import { commitFiles } from "../../src/git/tree.ts";
import { loadAppliance } from "../../src/appliance/load.ts";
import { openMirror } from "../../src/appliance/mirror.ts";
import { publish } from "../../src/publish/publish.ts";
import { createRepository } from "../../src/setup/create.ts";
import { initRepositoryFolder } from "../../src/publish/repository-folder.ts";
import { makeDisk, sha256, withMirror, writeAppliance } from "./appliance-fixture.ts";
import { gitWith, serveHere } from "../serve/served.ts";
import { git, gitSucceeds, makeVersions, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";

const CHILD = "CUI_TEST_MIRROR_CHILD";

/** This file again, as another process: fetches the mirror `rounds` times and prints the newest version each time. */
async function childMain(): Promise<void> {
  const { url, cache, rounds } = JSON.parse(process.env[CHILD] ?? "{}") as {
    url: string;
    cache: string;
    rounds: number;
  };
  const seen: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    seen.push(
      await withMirror(url, cache, async (mirror) => {
        await mirror.fetch();
        const newest = (await mirror.versions()).at(-1);
        if (newest === undefined) return 0;
        const content = await mirror.files(newest.commit).readFile("n", { maxBytes: 100 });
        return Number(content.toString()) === newest.version ? newest.version : -1;
      }),
    );
  }
  process.stdout.write(JSON.stringify(seen));
}

if (process.env[CHILD] !== undefined) await childMain();
else defineTests();

function defineTests(): void {
  test("a mirror shows versions, files and the default branch's list", async (t) => {
    const { folder, cache } = scratch(t);
    const remote = path.join(folder, "DNS");
    makeVersions(remote, [{ "a/b.txt": "one" }, { "a/b.txt": "two" }]);
    await withMirror(remote, cache, async (mirror) => {
      t.same(await mirror.versions(), [], "nothing is fetched by opening");
      await mirror.fetch();
      const [one, two] = await mirror.versions();
      t.match([one, two], [{ version: 1 }, { version: 2, commit: git(remote, "rev-parse", "v2") }]);
      const files = mirror.files(one!.commit);
      t.equal((await files.readFile("a/b.txt", { maxBytes: 3 })).toString(), "one");
      t.match(await files.listFolder(""), [{ name: "a", kind: "folder" }]);
      t.match(await files.listFolder("a"), [{ name: "b.txt", kind: "file" }]);
      t.same(await mirror.commitOf(2), { commit: two!.commit, tree: git(remote, "rev-parse", "v2^{tree}") });
      t.equal(await mirror.commitOf(3), undefined);
      t.equal(await mirror.branchTip("main"), two!.commit);
      t.equal(await mirror.branchTip("--all"), undefined);
      t.equal(await mirror.branchTip(), two!.commit);
      await t.rejects(files.readFile("a/b.txt", { maxBytes: 2 }), { code: "REPOSITORY_FILE_TOO_LARGE" });
      await t.rejects(files.readFile("a/c.txt", { maxBytes: 2 }), { code: "REPOSITORY_FILE_MISSING" });
      await t.rejects(files.readFile("a", { maxBytes: 2 }), { code: "REPOSITORY_FILE_REFUSED" });
      await t.rejects(files.readFile("a/b.txt/c", { maxBytes: 2 }), { code: "REPOSITORY_FILE_REFUSED" });
      await t.rejects(mirror.ensureCommit("0".repeat(40)), { code: "REPOSITORY_COMMIT_MISSING" });
      await mirror.ensureCommit(two!.commit);
      await new Promise((resolve) => setTimeout(resolve, 400));
      t.equal(
        (await mirror.commitOf(2))?.commit,
        two!.commit,
        "its git process ended when idle, and starts again",
      );
    });
    git(remote, "tag", "v3");
    await withMirror(remote, cache, async (mirror) => {
      t.equal((await mirror.versions()).length, 2);
      await Promise.all([mirror.fetch(), mirror.fetch()]);
      t.equal((await mirror.versions()).length, 3);
      git(remote, "tag", "v4");
      await mirror.fetch();
      t.equal((await mirror.versions()).length, 3, "fetched once");
    });
    await t.rejects(
      withMirror(path.join(folder, "nowhere"), cache, (mirror) => mirror.fetch()),
      { code: "REPOSITORY_MISSING" },
    );
    await t.rejects(
      withMirror(folder, cache, (mirror) => mirror.fetch()),
      { code: "REPOSITORY_UNREACHABLE" },
    );
    await t.rejects(openMirror("ext::sh -c x", { git: gitAt(), cache }), { code: "REPOSITORY_URL_REFUSED" });
    const closed = await openMirror(remote, { git: gitAt(), cache });
    await closed.close();
    await t.rejects(closed.commitOf(1), { code: "REPOSITORY_UNREADABLE" });
    rmSync(path.join(cache, "mirrors"), { recursive: true });
    await t.rejects(
      withMirror(remote, cache, async (mirror) => {
        rmSync(mirror.git.folder, { recursive: true });
        return mirror.commitOf(1);
      }),
      { code: "PROCESS_FAILED" },
    );
  });

  test("several processes share one mirror while versions are added", async (t) => {
    const { folder, cache } = scratch(t);
    const remote = path.join(folder, "DNS");
    makeVersions(remote, [{ n: "1" }]);
    const script = fileURLToPath(import.meta.url);
    const child = async (): Promise<number[]> => {
      const env = { ...process.env, [CHILD]: JSON.stringify({ url: remote, cache, rounds: 6 }) };
      const { stdout } = await promisify(execFile)(process.execPath, [script], { env });
      return JSON.parse(stdout) as number[];
    };
    const children = Promise.all([child(), child(), child(), child()]);
    for (let version = 2; version <= 12; version += 1) {
      writeFileSync(path.join(remote, "n"), String(version));
      git(remote, "commit", "--quiet", "--all", "--message", "next");
      git(remote, "tag", `v${version}`);
      // Many refs a fetch has to write: without the lock two fetches meet at one of them.
      git(remote, "push", "--quiet", ".", ...Array.from({ length: 60 }, (_, at) => `HEAD:refs/heads/b${at}`));
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    for (const seen of await children) {
      t.equal(seen.length, 6);
      t.ok(
        seen.every((version) => version > 0),
        `whole versions only: ${seen.join(" ")}`,
      );
      t.same(
        seen,
        [...seen].sort((a, b) => a - b),
        "never an older one",
      );
    }
    t.equal(readdirSync(path.join(cache, "mirrors")).filter((name) => name.endsWith(".git")).length, 1);
    t.ok(
      gitSucceeds(
        path.join(
          cache,
          "mirrors",
          readdirSync(path.join(cache, "mirrors")).find((name) => name.endsWith(".git"))!,
        ),
        "fsck",
      ),
    );
  });

  test("a lock file that is not cui's is no fault of the remote", async (t) => {
    const { folder, cache } = scratch(t);
    const url = path.join(folder, "DNS");
    makeVersions(url, [{ "DNS.cvl": "DNS extends VMAppliance {}\n" }]);
    const lock = `${await withMirror(url, cache, (mirror) => Promise.resolve(mirror.git.folder))}.lock`;
    rmSync(lock);
    symlinkSync(path.join(folder, "nothing"), lock);
    await t.rejects(
      withMirror(url, cache, (opened) => opened.fetch()),
      { code: "FILE_LOCK_UNUSABLE", message: /symbolic link/ },
    );
    t.notOk(existsSync(path.join(folder, "nothing")));
  });

  test("over HTTP: clone, fetch, push, and Git LFS objects", async (t) => {
    const server = await serveHere(t);
    const { folder } = server;
    const cache = path.join(folder, ".cache");
    const repository = path.join(server.srv, "DNS");
    const url = `${server.url}/DNS`;
    const work = path.join(folder, "work");
    writeAppliance(work, makeDisk());
    t.equal((await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache })).published?.version, 1);

    await withMirror(url, cache, async (mirror) => {
      await mirror.fetch();
      const [version] = await mirror.versions();
      const listing = await mirror.files(version!.commit).listFolder("disks/packs");
      const wanted = listing.map(({ name }) => ({
        oid: name.slice(0, 64) as Oid,
        path: `disks/packs/${name}`,
      }));
      const { fetchedBytes } = await mirror.ensureObjects(version!.commit, wanted);
      t.ok(fetchedBytes > 8 * 65536);
      const store = mirror.objectStore();
      const reader = await store.open(wanted[0]!.oid);
      t.equal(sha256(await reader.read(0, reader.sizeBytes)), wanted[0]!.oid);
      await reader.close();
      const before = server.log.length;
      t.equal((await mirror.ensureObjects(version!.commit, wanted)).fetchedBytes, 0);
      t.equal(server.log.length, before, "what is here is not asked for");
      const lost = [{ oid: "0".repeat(64) as Oid, path: "disks/packs/none.pack" }];
      await t.rejects(mirror.ensureObjects(version!.commit, lost), { code: "REPOSITORY_OBJECT_MISSING" });
    });

    const cwd = path.join(folder, "site");
    writeFiles(cwd, { "x.cvl": `import { url => "${url}", cvl => "DNS.cvl" } DNS;\nX extends DNS {}\n` });
    const loaded = await loadAppliance(gitAt(), {
      file: "x.cvl",
      cwd,
      cache,
      versions: "locked",
      writeLock: true,
    });
    t.ok(loaded.program);
    t.match(loaded.diagnostics, [{ code: "IMPORT_URL_INSECURE", severity: "warning" }]);

    const clone = path.join(folder, "clone");
    await gitWith(undefined, folder, "clone", "--quiet", url, clone);
    await initRepositoryFolder(gitAt(clone));
    writeFiles(clone, { "notes.txt": "two\n" });
    git(clone, "add", "notes.txt");
    git(clone, "commit", "--quiet", "--message", "two");
    git(clone, "tag", "v2");
    await gitWith(server.token.write, clone, "push", "--quiet");
    t.equal(git(repository, "tag"), "v1\nv2");
    await t.rejects(
      withMirror(`${server.url}/nothing`, cache, (mirror) => mirror.fetch()),
      { code: "REPOSITORY_UNREACHABLE" },
    );
  });

  test("plain git publishes: git tag v1 && git push", async (t) => {
    const { folder } = scratch(t);
    const repository = path.join(folder, "DNS.git");
    await createRepository(gitAt(repository));
    const fresh = path.join(folder, "fresh");
    await initRepositoryFolder(gitAt(fresh));
    await initRepositoryFolder(gitAt(fresh));
    const clone = path.join(folder, "clone");
    const pack = Buffer.from("stands for a pack");
    for (const [index, work] of [fresh, clone].entries()) {
      if (work === fresh) git(work, "remote", "add", "origin", repository);
      else {
        git(folder, "clone", "--quiet", repository, clone);
        await initRepositoryFolder(gitAt(clone));
      }
      writeFiles(work, { [`disks/packs/${index}.pack`]: Buffer.concat([pack, Buffer.from([index])]) });
      git(work, "add", "--all");
      git(work, "commit", "--quiet", "--message", "next");
      git(work, "tag", `v${index + 1}`);
      git(work, "tag", "private");
      git(work, "push", "--quiet");
    }
    t.equal(
      git(repository, "for-each-ref", "--format=%(refname)"),
      "refs/heads/main\nrefs/tags/v1\nrefs/tags/v2",
    );
    for (const [index] of [fresh, clone].entries()) {
      const oid = sha256(Buffer.concat([pack, Buffer.from([index])]));
      t.ok(
        existsSync(path.join(repository, "lfs/objects", oid.slice(0, 2), oid.slice(2, 4), oid)),
        `v${index + 1}`,
      );
    }
    t.notOk(gitSucceeds(clone, "push", "--force", "origin", "v1:refs/heads/main"), "a branch is not rewound");
    t.notOk(gitSucceeds(clone, "push", "origin", ":main"), "nor deleted");
  });

  test("a hostile repository gets nothing run, read or followed", async (t) => {
    const { folder, cache } = scratch(t);
    const remote = path.join(folder, "evil");
    const ran = path.join(folder, "ran");
    makeVersions(remote, [
      {
        "plain.cvl": "X extends VMAppliance {}\n",
        "huge.cvl": "/".repeat(65 * 1024 * 1024),
        ".lfsconfig": `[lfs]\n\turl = "http://127.0.0.1:9/"\n\tstandalonetransferagent = evil\n[lfs "customtransfer.evil"]\n\tpath = /bin/touch\n\targs = ${ran}\n`,
        ".gitattributes": "*.pack filter=evil\n",
      },
    ]);
    writeFiles(folder, {
      "secret.cvl": "Secret extends VMAppliance {}\n",
      "secret/in.cvl": "X extends VMAppliance {}\n",
    });
    symlinkSync(path.join(folder, "secret.cvl"), path.join(remote, "link.cvl"));
    symlinkSync(path.join(folder, "secret"), path.join(remote, "linked"));
    git(remote, "add", "--all");
    git(remote, "update-index", "--add", "--cacheinfo", `160000,${git(remote, "rev-parse", "HEAD")},module`);
    git(remote, "commit", "--quiet", "--message", "two");
    git(remote, "tag", "v2");
    for (const hook of [
      "post-checkout",
      "reference-transaction",
      "post-upload-pack",
      "pre-auto-gc",
      "fsmonitor-watchman",
    ]) {
      writeFiles(remote, { [`.git/hooks/${hook}`]: `#!/bin/sh\ntouch ${ran}\n` });
      chmodSync(path.join(remote, ".git/hooks", hook), 0o755);
    }
    git(remote, "config", "uploadpack.packObjectsHook", `touch ${ran};`);
    git(remote, "config", "core.fsmonitor", `touch ${ran};`);
    git(remote, "config", "core.sshCommand", `touch ${ran};`);

    const cwd = path.join(folder, "site");
    const load = async (cvl: string, version: number) => {
      writeFiles(cwd, {
        "x.cvl": `import { url => "${remote}", cvl => "${cvl}", version => "${version}" } A;\nX extends A {}\n`,
      });
      const loaded = await loadAppliance(gitAt(), {
        file: "x.cvl",
        cwd,
        cache,
        versions: "locked",
        writeLock: false,
        object: "X",
      });
      return loaded.diagnostics.map(({ code, message }) => `${code} ${message}`);
    };
    t.same(await load("plain.cvl", 2), []);
    t.match(await load("huge.cvl", 2), [/^IMPORT_FILE_TOO_LARGE/]);
    t.match(await load("link.cvl", 2), [/^IMPORT_FILE_REFUSED .*is a symlink/]);
    t.match(await load("linked/in.cvl", 2), [/^IMPORT_FILE_REFUSED .*is a symlink/]);
    t.match(await load("module/x.cvl", 2), [/^IMPORT_FILE_REFUSED .*is a submodule/]);
    t.match(await load("../secret.cvl", 2), [/REFUSED/]);
    t.match(await load("a/../../secret.cvl", 2), [/REFUSED/]);
    t.match(await load(".git/config", 2), [/REFUSED/]);

    const mirrorFolder = await withMirror(remote, cache, (mirror) => Promise.resolve(mirror.git.folder));
    t.notMatch(git(mirrorFolder, "lfs", "env"), /127\.0\.0\.1:9/, ".lfsconfig is not read");
    t.notOk(existsSync(path.join(mirrorFolder, "hooks")), "a mirror has no hooks");
    t.notOk(existsSync(ran), "nothing of the repository was run");
  });

  test("hooks of the user's own configuration do not run either", async (t) => {
    const { folder, cache } = scratch(t);
    const repository = path.join(folder, "DNS");
    const work = path.join(folder, "work");
    await createRepository(gitAt(repository));
    writeAppliance(work, makeDisk());
    const ran = path.join(folder, "ran");
    for (const hook of ["reference-transaction", "post-index-change", "pre-push", "pre-commit"]) {
      writeFiles(folder, { [`hooks/${hook}`]: `#!/bin/sh\necho ${hook} >> ${ran}\n` });
      chmodSync(path.join(folder, "hooks", hook), 0o755);
    }
    // Not the repository's own hooks: those are its owner's business and run on every push.
    git(repository, "config", "core.hooksPath", "/dev/null");
    writeFiles(folder, { gitconfig: `[core]\n\thooksPath = ${path.join(folder, "hooks")}\n` });
    process.env["GIT_CONFIG_GLOBAL"] = path.join(folder, "gitconfig");
    try {
      t.ok((await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache })).published);
      await withMirror(repository, cache, (mirror) => mirror.fetch());
    } finally {
      process.env["GIT_CONFIG_GLOBAL"] = "/dev/null";
    }
    t.notOk(existsSync(ran));
  });

  test("a tree that climbs out of its folder is neither fetched nor read", async (t) => {
    const { folder, cache } = scratch(t);
    const remote = path.join(folder, "evil");
    makeVersions(remote, [{ "plain.cvl": "X extends VMAppliance {}\n" }]);
    const entries = `040000 tree ${git(remote, "rev-parse", "HEAD^{tree}")}\t..\n100644 blob ${git(remote, "rev-parse", "HEAD:plain.cvl")}\tplain.cvl\n`;
    const commit = git(remote, "commit-tree", "-m", "two", mktree(remote, entries));
    const objects = openGitObjects(gitAt(remote));
    t.teardown(() => objects.close());
    const files = commitFiles(objects, commit, "evil");
    await t.rejects(files.readFile("../plain.cvl", { maxBytes: 100 }), { code: "REPOSITORY_FILE_REFUSED" });
    t.equal((await files.readFile("plain.cvl", { maxBytes: 100 })).length, 25);
    git(remote, "tag", "v2", commit);
    await t.rejects(
      withMirror(remote, cache, (mirror) => mirror.fetch()),
      {
        code: "REPOSITORY_UNREACHABLE",
        message: /hasDotdot/,
      },
    );
  });

  test("a Git LFS object that is not what its name says never enters", async (t) => {
    const { folder, cache } = scratch(t);
    const remote = path.join(folder, "DNS");
    makeVersions(remote, [{ n: "1" }]);
    const [good, bad] = [sha256(Buffer.from("good")), sha256(Buffer.from("bad"))] as [Oid, Oid];
    const store = path.join(remote, ".git/lfs/objects");
    for (const [oid, content] of [
      [good, "good"],
      [bad, "something else"],
    ] as const) {
      mkdirSync(path.join(store, oid.slice(0, 2), oid.slice(2, 4)), { recursive: true });
      writeFileSync(path.join(store, oid.slice(0, 2), oid.slice(2, 4), oid), content);
    }
    await withMirror(remote, cache, async (mirror) => {
      await mirror.fetch();
      const { commit } = (await mirror.commitOf(1))!;
      const ensure = (oid: Oid) => mirror.ensureObjects(commit, [{ oid, path: `disks/packs/${oid}.pack` }]);
      t.same(await ensure(good), { fetchedBytes: 4 });
      await t.rejects(ensure(bad), { code: "DISK_PACK_CORRUPT" });
      await t.rejects(mirror.objectStore().open(bad), { code: "DISK_PACK_MISSING" });
      await t.rejects(ensure("1".repeat(64) as Oid), { code: "REPOSITORY_OBJECT_MISSING" });
      const left = readdirSync(path.join(mirror.git.folder, "lfs"), { recursive: true }).map(String);
      t.same(
        left.filter((name) => path.basename(name).length >= 64),
        [path.join("objects", good.slice(0, 2), good.slice(2, 4), good)],
      );
    });
    t.same(readFileSync(path.join(store, good.slice(0, 2), good.slice(2, 4), good), "utf8"), "good");
  });

  test("a mirror tells how far its fetch is, and what it fetches is the same", async (t) => {
    const { folder, cache } = scratch(t);
    const from = path.join(folder, "DNS");
    const empty = path.join(folder, "empty.git");
    makeVersions(from, [Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`f${n}`, `${n}`]))]);
    const seen: TransferProgress[] = [];
    let ended = 0;
    const watching = openGit({
      folder: ".",
      env: process.env,
      onProgress: (url, progress) => {
        t.ok([from, empty].includes(url));
        if (progress === undefined) ended += 1;
        else seen.push(progress);
      },
    });
    const mirror = await openMirror(from, { git: watching, cache });
    t.teardown(() => mirror.close());
    await mirror.fetch();
    t.ok(seen.length > 0);
    t.same(
      (await mirror.versions()).map(({ version }) => version),
      [1],
    );
    git(folder, "init", "--quiet", "--bare", empty);
    const other = await openMirror(empty, { git: watching, cache });
    t.teardown(() => other.close());
    await other.fetch();
    t.equal(await other.branchTip(), undefined);
    t.equal(ended, 2);
    const again = await openMirror(from, { git: watching, cache });
    t.teardown(() => again.close());
    await again.fetch();
    t.equal(ended, 2, "the first fetch alone is watched");
  });
}

function mktree(folder: string, entries: string): string {
  const file = path.join(folder, ".git/tree-entries");
  writeFileSync(file, entries);
  return git(folder, "-c", "alias.mk=!git mktree < .git/tree-entries", "mk");
}
