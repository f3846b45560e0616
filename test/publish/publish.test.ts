import { withMirrors } from "../../src/appliance/mirrors.ts";
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "tap";
import { runCli } from "../../src/cli/main.ts";
import { exportDisk } from "../../src/disk/export-disk.ts";
import { evaluate } from "../../src/cvl/evaluate/evaluate.ts";
import { createRepository } from "../../src/setup/create.ts";
import { diskFetchBytes } from "../../src/appliance/bytes-to-fetch.ts";
import { readDiskIndex } from "../../src/appliance/read-disk-index.ts";
import { fetchImage } from "../../src/host/images/fetch-image.ts";
import { resolveImages } from "../../src/appliance/resolve-machine-images.ts";
import { lfsStore } from "../../src/lfs/local-store.ts";
import { loadAppliance } from "../../src/appliance/load.ts";
import { publish } from "../../src/publish/publish.ts";
import type { MachineImage } from "../../src/appliance/machine-image.ts";
import { changeDisk, DNS_CVL, makeDisk, sha256, writeAppliance } from "../appliance/appliance-fixture.ts";
import { git, scratch, until, writeFiles, gitAt } from "../git/git-fixture.ts";

/** Repository, working folder and the disks of three published versions. */
async function publishThree(folder: string, cache: string) {
  const repository = path.join(folder, "repos/DNS");
  const work = path.join(folder, "work/dns");
  await createRepository(gitAt(repository));
  const first = makeDisk();
  const disks = [first, changeDisk(first), changeDisk(changeDisk(first))];
  const reports = [];
  for (const disk of disks) {
    if (reports.length === 0) writeAppliance(work, disk);
    else writeFileSync(path.join(work, "root.img"), disk);
    reports.push(await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }));
  }
  return { repository, work, disks, reports };
}

/** The image of the only machine of a file. */
async function imageOf(cwd: string, file: string, cache: string): Promise<MachineImage> {
  const loaded = await loadAppliance(gitAt(), { file, cwd, cache, versions: "locked", writeLock: false });
  if (loaded.program === undefined) throw new Error(JSON.stringify(loaded.diagnostics));
  const { tree } = evaluate(loaded.program);
  const { images, diagnostics } = await withMirrors(
    gitAt(),
    (mirrors) => resolveImages(mirrors, loaded, tree),
    { cache },
  );
  const [image] = images.values();
  if (image === undefined) throw new Error(JSON.stringify(diagnostics));
  return image;
}

const CHILD = "CUI_TEST_PUBLISH_CHILD";

/** This file again, as another process: publishes, or fetches an image. */
async function childMain(): Promise<void> {
  const task = JSON.parse(process.env[CHILD] ?? "{}") as
    | { publish: Parameters<typeof publish>[1] }
    | { fetchImage: Omit<Parameters<typeof fetchImage>[0], "git"> };
  if ("publish" in task) await publish(gitAt(), task.publish);
  else process.stdout.write(JSON.stringify(await fetchImage({ git: gitAt(), ...task.fetchImage })));
}

/** Starts `childMain` with a task. */
function startChild(task: object) {
  const env = { ...process.env, [CHILD]: JSON.stringify(task) };
  return promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url)], { env });
}

if (process.env[CHILD] !== undefined) await childMain();
else defineTests();

function defineTests(): void {
  test("publishing, and reading what was published", async (t) => {
    const { folder, cache } = scratch(t);
    const { repository, work, disks, reports } = await publishThree(folder, cache);

    t.test("versions count from 1, and the folder is a repository afterwards", (t) => {
      t.same(
        reports.map(({ published }) => published?.version),
        [1, 2, 3],
      );
      t.same(
        reports.map(({ diagnostics }) => diagnostics),
        [[], [], []],
      );
      t.equal(git(repository, "tag"), "v1\nv2\nv3");
      t.equal(git(repository, "rev-parse", "main"), git(repository, "rev-parse", "v3^{commit}"));
      t.equal(git(work, "rev-parse", "HEAD"), git(repository, "rev-parse", "v3^{commit}"));
      t.equal(git(work, "status", "--porcelain"), "", "nothing is left to commit");
      t.equal(git(work, "log", "-1", "--format=%an <%ae>"), "Collective <collective@localhost>");
      t.equal(git(work, "log", "--format=%s"), "Publish v3\nPublish v2\nPublish v1");
      t.same(
        readdirSync(path.join(work, ".git")).filter((name) => name.startsWith("cui-index")),
        [],
      );
      t.end();
    });

    t.test("packs and kernel are Git LFS objects; disk images are in no commit", (t) => {
      const files = git(repository, "ls-tree", "-r", "--name-only", "v3").split("\n");
      const lfsFiles = git(work, "lfs", "ls-files", "--name-only").split("\n");
      t.same(
        files.filter((file) => !file.startsWith("disks/")),
        [".gitattributes", ".gitignore", "DNS.cvl", "dns.vm.yaml", "vmlinuz"],
      );
      t.same(
        lfsFiles.filter((file) => !file.endsWith(".pack")),
        ["vmlinuz"],
      );
      t.ok(lfsFiles.filter((file) => /^disks\/packs\/[0-9a-f]{64}\.pack$/.test(file)).length >= 2);
      t.notMatch(git(repository, "log", "--all", "--name-only", "--format="), /\.img/);
      for (const file of lfsFiles)
        t.match(git(repository, "cat-file", "blob", `v3:${file}`), /^version https:\/\/git-lfs/);
      t.end();
    });

    t.test("a version adds a pack with its new chunks alone, and drops what it does not need", (t) => {
      const packs = (tag: string) =>
        git(repository, "ls-tree", "--name-only", tag, "disks/packs/").split("\n");
      const [v1, v2] = [packs("v1"), packs("v2")];
      t.equal(v1.length, 1);
      t.equal(v2.length, 2);
      t.ok(v1.every((pack) => v2.includes(pack)));
      const added = reports.map(({ published }) => published?.disks[0]?.addedBytes ?? 0);
      t.ok(added[0]! > 8 * 65536 && added[1]! < 1.2 * 65536, `${added.join(", ")} bytes`);
      t.ok(existsSync(path.join(repository, "lfs/objects")));
      t.end();
    });

    t.test("stock git clone and git lfs pull give byte-identical packs", (t) => {
      const clone = path.join(folder, "clone");
      execFileSync("git", ["clone", "--quiet", repository, clone], {
        env: { ...process.env, GIT_LFS_SKIP_SMUDGE: "1" },
      });
      git(clone, "lfs", "pull");
      const packs = path.join(clone, "disks/packs");
      t.ok(readdirSync(packs).length >= 2);
      for (const name of readdirSync(packs))
        t.equal(`${sha256(readFileSync(path.join(packs, name)))}.pack`, name);
      t.same(readFileSync(path.join(clone, "vmlinuz")), readFileSync(path.join(work, "vmlinuz")));
      t.end();
    });

    t.test("every version exports the disk it was made from, bit by bit", async (t) => {
      for (const [index, disk] of disks.entries()) {
        const site = path.join(folder, `site-${index + 1}`);
        writeFiles(site, {
          "x.cvl": `import { url => "${repository}", cvl => "DNS.cvl", version => "${index + 1}" } DNS;\nX extends DNS { domain = "x"; }\n`,
        });
        const image = await imageOf(site, "x.cvl", cache);
        t.match(image, { source: { url: repository, version: index + 1 }, descriptionFile: "dns.vm.yaml" });
        t.equal(image.programDisks.length, 1, "the data disk is none");
        const target = path.join(folder, `v${index + 1}.raw`);
        const diskIndex = await withMirrors(
          gitAt(),
          (mirrors) => readDiskIndex(mirrors, image, image.programDisks[0]!),
          { cache },
        );
        await exportDisk({ index: diskIndex, store: lfsStore(repository), target });
        t.ok(readFileSync(target).equals(disk), `v${index + 1}`);
      }
    });

    t.test(
      "fetchImage brings disks and kernel to a host, patches the next version, and is idempotent",
      async (t) => {
        const directory = path.join(folder, "images");
        const hostCache = path.join(folder, "host-cache");
        const [one, two] = await Promise.all([
          imageOf(path.join(folder, "site-1"), "x.cvl", cache),
          imageOf(path.join(folder, "site-2"), "x.cvl", cache),
        ]);
        const first = await fetchImage({ git: gitAt(), image: one, directory, cache: hostCache });
        t.ok(readFileSync(first.disks[0]!.path).equals(disks[0]!));
        t.same(readFileSync(first.kernel!), readFileSync(path.join(work, "vmlinuz")));
        t.ok(first.fetchedBytes > 8 * 65536);
        t.equal(statSync(first.disks[0]!.path).mode & 0o222, 0, "read-only");
        const again = await fetchImage({ git: gitAt(), image: one, directory, cache: hostCache });
        t.same(again, { ...first, fetchedBytes: 0 });
        const second = await fetchImage({ git: gitAt(), image: two, directory, cache: hostCache });
        t.ok(readFileSync(second.disks[0]!.path).equals(disks[1]!));
        t.ok(second.fetchedBytes < 1.2 * 65536, `${second.fetchedBytes} bytes: only the pack of v2`);
        const fetchBytes = (wanted: MachineImage, have: readonly MachineImage[]): Promise<number> =>
          withMirrors(gitAt(), (mirrors) => diskFetchBytes({ mirrors, wanted, have }), { cache });
        t.ok((await fetchBytes(two, [one])) < 1.2 * 65536);
        t.equal(await fetchBytes(two, [two]), 0);
        const other = { ...one, programDisks: [{ ...one.programDisks[0]!, indexDigest: "0".repeat(64) }] };
        await t.rejects(fetchImage({ git: gitAt(), image: other, directory, cache: hostCache }), {
          code: "REPOSITORY_DISK_CHANGED",
        });
        t.ok((await fetchBytes(one, [])) > 8 * 65536);
        t.notOk(
          readdirSync(directory).some((name) => name.endsWith(".tmp")),
          "nothing unfinished is left",
        );
      },
    );

    t.test("an image with everything at hand needs no repository", async (t) => {
      const image = await imageOf(path.join(folder, "site-1"), "x.cvl", cache);
      const lost = { ...image, source: { ...image.source, url: "/nowhere" } };
      t.equal(
        (await fetchImage({ git: gitAt(), image: lost, directory: path.join(folder, "images"), cache }))
          .fetchedBytes,
        0,
      );
    });

    t.test("an appliance that is being developed is read from its folder", async (t) => {
      const image = await imageOf(work, "DNS.cvl", cache);
      t.same(image.source, { url: work, version: null, commit: null });
      const published = await imageOf(path.join(folder, "site-3"), "x.cvl", cache);
      t.equal(image.digest, published.digest, "it is the same machine as the published one");
      const fetched = await fetchImage({
        git: gitAt(),
        image,
        directory: path.join(folder, "dev-images"),
        cache: path.join(folder, "dev"),
      });
      t.ok(readFileSync(fetched.disks[0]!.path).equals(disks[2]!));
    });

    t.test("the same content again is refused, and so is a repository that is not there", async (t) => {
      await t.rejects(publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }), {
        code: "REPOSITORY_NOTHING_NEW",
      });
      await t.rejects(publish(gitAt(), { repository: "../nowhere", cvl: "DNS.cvl", cwd: work, cache }), {
        code: "REPOSITORY_MISSING",
      });
      await t.rejects(createRepository(gitAt(repository)), { code: "REPOSITORY_EXISTS" });
    });
  });

  test("publishing is all or nothing", async (t) => {
    const { folder, cache } = scratch(t);
    const repository = path.join(folder, "DNS");
    await createRepository(gitAt(repository));
    const work = path.join(folder, "work");
    writeAppliance(work, makeDisk());
    const refs = () => `${git(repository, "for-each-ref")}\n--\n${existsSync(path.join(work, ".git"))}`;

    t.test("CVL with errors is refused before anything happens", async (t) => {
      const before = refs();
      writeFiles(work, { "DNS.cvl": DNS_CVL.replace("domain;", "domain; nonsense = ;") });
      const report = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
      t.equal(report.published, undefined);
      t.ok(report.diagnostics.some(({ severity }) => severity === "error"));
      t.equal(refs(), before);
      t.notOk(existsSync(path.join(work, "disks")), "no disk was stored");
      writeFiles(work, { "DNS.cvl": DNS_CVL });
    });

    t.test("a VM description with errors, or none, is refused", async (t) => {
      const before = refs();
      const good = readFileSync(path.join(work, "dns.vm.yaml"), "utf8");
      writeFiles(work, { "dns.vm.yaml": `${good}colour: red\n` });
      const bad = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
      t.match(bad.diagnostics, [{ code: "VM_DESCRIPTION_INVALID", message: /colour/ }]);
      t.match(bad.textOf("dns.vm.yaml"), /colour/, "its text is at hand for the caret");
      rmSync(path.join(work, "dns.vm.yaml"));
      const none = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
      t.match(none.diagnostics, [{ code: "VM_DESCRIPTION_MISSING", message: /dns\.vm\.yaml/ }]);
      writeFiles(work, { "dns.vm.yaml": good });
      t.equal(refs(), before);
    });

    t.test("a disk or a kernel that is not there is refused", async (t) => {
      const before = refs();
      const disk = readFileSync(path.join(work, "root.img"));
      rmSync(path.join(work, "root.img"));
      await t.rejects(publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }), {
        code: "REPOSITORY_DISK_MISSING",
      });
      for (const [content, message] of [
        ["", /root\.img cannot be used: it is empty/],
        ["<!DOCTYPE html>\n", /root\.img cannot be used: it is a web page/],
      ] as const) {
        writeFileSync(path.join(work, "root.img"), content);
        await t.rejects(publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }), {
          code: "DISK_IMAGE_UNSUPPORTED",
          message,
        });
      }
      writeFileSync(path.join(work, "root.img"), disk);
      const kernel = readFileSync(path.join(work, "vmlinuz"));
      rmSync(path.join(work, "vmlinuz"));
      const report = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
      t.match(report.diagnostics, [{ code: "VM_DESCRIPTION_MISSING", message: /vmlinuz/ }]);
      t.equal(report.published, undefined);
      writeFileSync(path.join(work, "vmlinuz"), kernel);
      t.equal(refs(), before);
    });

    t.test("a disk that was never added is told where vm is assigned", async (t) => {
      const loaded = await loadAppliance(gitAt(), {
        file: "DNS.cvl",
        cwd: work,
        cache,
        versions: "locked",
        writeLock: false,
      });
      rmSync(path.join(work, "disks"), { recursive: true, force: true });
      const { images, diagnostics } = await withMirrors(
        gitAt(),
        (mirrors) => resolveImages(mirrors, loaded, evaluate(loaded.program!).tree),
        { cache },
      );
      t.equal(images.size, 0);
      t.match(diagnostics, [{ code: "VM_DISK_MISSING", message: /root\.img/, span: { file: "DNS.cvl" } }]);
    });

    t.test("a push the repository refuses leaves no tag, no commit and no repository behind", async (t) => {
      const before = refs();
      writeFiles(repository, { "hooks/pre-receive": "#!/bin/sh\necho closed for today >&2\nexit 1\n" });
      execFileSync("chmod", ["+x", path.join(repository, "hooks/pre-receive")]);
      await t.rejects(publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }), {
        code: "REPOSITORY_PUBLISH_REFUSED",
        message: /refused v1/,
      });
      t.equal(refs(), before);
      rmSync(path.join(repository, "hooks"), { recursive: true });
    });

    t.test("a repository that refuses the tag alone does not get the branch either", async (t) => {
      const before = refs();
      writeFiles(repository, { "hooks/update": '#!/bin/sh\ncase "$1" in refs/tags/*) exit 1;; esac\n' });
      chmodSync(path.join(repository, "hooks/update"), 0o755);
      await t.rejects(publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }), {
        code: "REPOSITORY_PUBLISH_REFUSED",
      });
      t.equal(refs(), before);
      rmSync(path.join(repository, "hooks"), { recursive: true });
    });

    t.test("of two that publish at the same time one wins, the other is told", async (t) => {
      const other = path.join(folder, "other");
      writeAppliance(other, makeDisk());
      const results = await Promise.allSettled([
        publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }),
        publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: other, cache: path.join(folder, "cache-2") }),
      ]);
      const versions = results.map((result) =>
        result.status === "fulfilled" ? result.value.published?.version : 0,
      );
      const tags = git(repository, "tag").split("\n");
      t.same(tags, ["v1", "v2"].slice(0, tags.length));
      if (tags.length === 1) {
        const lost = results.find((result) => result.status === "rejected");
        t.match(lost?.reason, { code: "REPOSITORY_PUBLISH_REFUSED", message: /somebody else published/ });
        t.same([...versions].sort(), [0, 1]);
        const loser = versions[0] === 0 ? work : other;
        t.notOk(existsSync(path.join(loser, ".git")), "the loser's folder is as before");
      } else t.same([...versions].sort(), [1, 2]);
    });

    t.test("a folder that lags behind the repository is told to pull, and keeps its refs", async (t) => {
      const [one, two] = ["lag-1", "lag-2"].map((name) => path.join(folder, name)) as [string, string];
      for (const clone of [one, two]) {
        git(folder, "clone", "--quiet", repository, clone);
        git(clone, "config", "user.email", "someone@localhost");
        git(clone, "config", "user.name", "Someone");
      }
      writeFiles(one, { "notes.txt": "one\n" });
      const report = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: one, cache });
      t.ok(report.published);
      t.equal(git(one, "log", "-1", "--format=%an"), "Someone");
      writeFiles(two, { "notes.txt": "two\n" });
      const before = git(two, "for-each-ref");
      await t.rejects(publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: two, cache }), {
        code: "REPOSITORY_PUBLISH_REFUSED",
        hint: /git pull/,
      });
      t.equal(git(two, "for-each-ref"), before);
    });
  });

  test("a folder without history continues the repository's", async (t) => {
    const { folder, cache } = scratch(t);
    const { repository, disks } = await publishThree(folder, cache);
    const clone = path.join(folder, "clone");
    git(folder, "clone", "--quiet", repository, clone);
    writeFiles(clone, { "withdrawn.yaml": "format: 1\nwithdrawn:\n  - version: 2\n    why: it was slow\n" });
    git(clone, "add", "withdrawn.yaml");
    git(clone, "commit", "--quiet", "--message", "Withdraw v2");
    git(clone, "push", "--quiet", "origin", "main");

    const fresh = path.join(folder, "fresh");
    writeAppliance(fresh, changeDisk(disks[2]!));
    const report = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: fresh, cache });
    t.equal(report.published?.version, 4);
    t.ok(report.published!.disks[0]!.addedBytes < 1.2 * 65536, "only new chunks are packed");
    t.equal(git(repository, "rev-list", "--count", "main"), "5");
    t.match(git(repository, "show", "main:withdrawn.yaml"), /it was slow/, "what was withdrawn stays so");
    t.equal(git(fresh, "status", "--porcelain"), "");

    const site = path.join(folder, "site");
    writeFiles(site, {
      "x.cvl": `import { url => "${repository}", cvl => "DNS.cvl" } DNS;\nX extends DNS {}\n`,
    });
    const image = await imageOf(site, "x.cvl", cache);
    const fetched = await fetchImage({ git: gitAt(), image, directory: path.join(folder, "images"), cache });
    t.ok(readFileSync(fetched.disks[0]!.path).equals(readFileSync(path.join(fresh, "root.img"))));
  });

  test("a file that changed within the second of the publish before is seen", async (t) => {
    const { folder, cache } = scratch(t);
    const { repository, work } = await publishThree(folder, cache);
    const notes = path.join(work, "notes.txt");
    // git compares whole seconds; without the inode's own time, which nobody can set, this is that second, on purpose.
    git(work, "config", "core.trustctime", "false");
    const second = new Date("2026-01-01T00:00:00Z");
    for (const [text, version] of [
      ["one\n", 4],
      ["two\n", 5],
    ] as const) {
      writeFileSync(notes, text);
      utimesSync(notes, second, second);
      utimesSync(path.join(work, ".git/index"), second, second);
      await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
      t.equal(git(repository, "show", `v${version}:notes.txt`), text.trim());
    }
  });

  test("a disk image that git tracked before is taken out", async (t) => {
    const { folder, cache } = scratch(t);
    const repository = path.join(folder, "DNS");
    await createRepository(gitAt(repository));
    const work = path.join(folder, "work");
    writeAppliance(work, makeDisk());
    // Long before the index: git then believes that the files are as they were.
    const hourAgo = new Date(Date.now() - 3_600_000);
    for (const name of readdirSync(work)) utimesSync(path.join(work, name), hourAgo, hourAgo);
    git(work, "init", "--quiet", "--initial-branch=main", ".");
    git(work, "add", "--all");
    git(work, "commit", "--quiet", "--message", "All of it");
    t.equal((await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache })).published?.version, 1);
    t.notMatch(git(repository, "ls-tree", "-r", "--name-only", "v1"), /\.img/);
    t.match(
      git(repository, "show", "v1:vmlinuz"),
      /^version https:\/\/git-lfs/,
      "the kernel is in Git LFS now",
    );
    t.ok(
      existsSync(path.join(work, "root.img")) && existsSync(path.join(work, "data.img")),
      "the files stay",
    );
  });

  test("a folder that another repository tracks is refused", async (t) => {
    const { folder, cache } = scratch(t);
    const repository = path.join(folder, "DNS");
    await createRepository(gitAt(repository));
    const outer = path.join(folder, "outer");
    mkdirSync(outer);
    git(outer, "init", "--quiet", ".");
    writeAppliance(path.join(outer, "dns"), makeDisk());
    git(outer, "add", "dns/DNS.cvl");
    const options = { repository, cvl: "DNS.cvl", cwd: path.join(outer, "dns"), cache };
    await t.rejects(publish(gitAt(), options), { code: "REPOSITORY_FOLDER_TRACKED" });
    git(outer, "rm", "--quiet", "--cached", "dns/DNS.cvl");
    t.equal((await publish(gitAt(), options)).published?.version, 1, "one it does not track is fine");
  });

  test("a publish that is killed leaves nothing half done", async (t) => {
    const { folder, cache } = scratch(t);
    const repository = path.join(folder, "DNS");
    await createRepository(gitAt(repository));
    const work = path.join(folder, "work");
    writeAppliance(work, makeDisk());
    const options = { repository, cvl: "DNS.cvl", cwd: work, cache };
    const started = path.join(folder, "started");
    const goOn = path.join(folder, "go-on");
    const outcome = () =>
      publish(gitAt(), options).then(
        ({ published }) => published?.version,
        (error: unknown) => (error as { code: string }).code,
      );

    // Killed while the repository looks at the push; git itself goes on and finishes it.
    writeFiles(repository, {
      "hooks/pre-receive": `#!/bin/sh\ntouch ${started}\nwhile [ ! -e ${goOn} ] && [ -e ${started} ]; do sleep 0.1; done\n`,
    });
    chmodSync(path.join(repository, "hooks/pre-receive"), 0o755);
    const child = startChild({ publish: options });
    await until(() => existsSync(started));
    child.child.kill("SIGKILL");
    await t.rejects(child);
    t.equal(git(repository, "tag"), "", "nothing is published yet");
    t.notOk(existsSync(path.join(work, ".git/refs/tags/v1")), "and no tag is here");
    writeFileSync(goOn, "");
    await until(() => git(repository, "tag") === "v1");
    rmSync(path.join(repository, "hooks"), { recursive: true });
    t.equal(await outcome(), "REPOSITORY_NOTHING_NEW", "the push had arrived");
    t.equal(
      git(work, "rev-parse", "HEAD", "v1").split("\n").join(" "),
      `${git(repository, "rev-parse", "v1")} ${git(repository, "rev-parse", "main")}`,
    );
    t.equal(git(work, "status", "--porcelain"), "");

    // The same with a folder that has history: as if it had ended right after the push.
    const before = git(work, "rev-parse", "HEAD");
    writeFiles(work, { "notes.txt": "two\n" });
    t.equal(await outcome(), 2);
    git(work, "update-ref", "refs/heads/main", before);
    git(work, "tag", "--delete", "v2");
    git(work, "read-tree", before);
    t.equal(await outcome(), "REPOSITORY_NOTHING_NEW");
    t.equal(git(work, "rev-parse", "v2"), git(repository, "rev-parse", "v2"));
    t.equal(git(work, "status", "--porcelain"), "");
    writeFiles(work, { "notes.txt": "three\n" });
    t.equal(await outcome(), 3);
  });

  test("several processes fetch one image into one folder", async (t) => {
    const { folder, cache } = scratch(t);
    const { repository, disks } = await publishThree(folder, cache);
    const site = path.join(folder, "site");
    writeFiles(site, {
      "x.cvl": `import { url => "${repository}", cvl => "DNS.cvl" } DNS;\nX extends DNS {}\n`,
    });
    const image = await imageOf(site, "x.cvl", cache);
    const directory = path.join(folder, "images");
    const task = { fetchImage: { image, directory, cache: path.join(folder, "host-cache") } };
    const reports = await Promise.all([startChild(task), startChild(task), startChild(task)]);
    for (const { stdout } of reports) {
      const { disks: fetched } = JSON.parse(stdout) as { disks: { path: string }[] };
      t.ok(readFileSync(fetched[0]!.path).equals(disks[2]!));
    }
    t.equal(readdirSync(directory).filter((name) => name.endsWith(".raw")).length, 1);
    t.notOk(readdirSync(directory).some((name) => name.includes(".tmp")));
  });

  test("cui create, publish and lock", async (t) => {
    const { folder, cache } = scratch(t);
    process.env["XDG_CACHE_HOME"] = cache;
    t.teardown(() => Reflect.deleteProperty(process.env, "XDG_CACHE_HOME"));
    const cui = async (cwd: string, ...args: readonly string[]) => {
      const out: string[] = [];
      const add = (text: string) => void out.push(text);
      const status = await runCli(args, { cwd, env: {}, isTerminal: false, print: add, warn: add });
      return `${status} ${out.join("\n")}`;
    };
    const work = path.join(folder, "work");
    const site = path.join(folder, "site");
    writeAppliance(work, makeDisk());
    writeFiles(site, { "x.cvl": `import { url => "../DNS", cvl => "DNS.cvl" } DNS;\nX extends DNS {}\n` });
    t.match(await cui(folder, "publish", "DNS", "work/DNS.cvl"), /^1 error REPOSITORY_MISSING/);
    t.match(await cui(folder, "create", "DNS"), /^0 Created the repository DNS/);
    t.match(await cui(folder, "create", "DNS"), /^1 error REPOSITORY_EXISTS/);
    t.match(
      await cui(work, "publish", "../DNS", "DNS.cvl"),
      /^0 root.img: 0\.\d\d MiB of new chunks\nPublished v1 to .*\/DNS \(commit [0-9a-f]{12}/,
    );
    t.match(await cui(work, "publish", "../DNS", "DNS.cvl"), /^1 error REPOSITORY_NOTHING_NEW/);
    t.match(await cui(site, "lock"), /^0 .*\/DNS: new at v1$/);
    writeFiles(work, { "notes.txt": "two\n" });
    t.match(
      JSON.parse((await cui(work, "publish", "../DNS", "DNS.cvl", "--json", "-m", "Second")).slice(2)),
      { version: 2 },
    );
    t.equal(git(work, "log", "-1", "--format=%s"), "Second");
    t.match(await cui(site, "lock", "x.cvl"), /^0 .*\/DNS: v1 → v2$/);
    t.match(JSON.parse((await cui(site, "lock", "--json")).slice(2)), [{ pin: "*", from: 2, to: 2 }]);
    writeFiles(work, { "DNS.cvl": "nonsense" });
    t.match(
      await cui(work, "publish", "../DNS", "DNS.cvl"),
      /^1 DNS\.cvl:1:9: error CVL_SYNTAX[^]*error INVALID_INPUT: DNS.cvl has errors; nothing was published/,
    );
    t.match(await cui(work, "publish", "../DNS"), /^2 /);
    t.match(await cui(folder, "lock"), /^2 error USAGE/);
    for (const verb of ["create", "publish", "lock"])
      t.match(await cui(folder, verb, "--help"), /^0 [^]*Example:/);
  });
}
