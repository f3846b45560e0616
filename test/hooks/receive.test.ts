import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "tap";
import { formatLfsPointer } from "../../src/lfs/pointer.ts";
import type { Oid } from "../../src/disk/object-store.ts";
import { createRepository } from "../../src/setup/create.ts";
import { checkPush } from "../../src/hooks/pre-receive.ts";
import { renderHookDiagnostics } from "../../src/hooks/hook-diagnostic.ts";
import { publish } from "../../src/publish/publish.ts";
import { DNS_CVL, makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { commitFiles, PROGRAM, publishSmall, tryGit } from "./support.ts";
import { git, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";
import { checkPublished } from "../../src/publish/check-published.ts";
import { hasErrors } from "../../src/diagnostics.ts";
import { withMirrors, type Mirrors } from "../../src/appliance/mirrors.ts";

/** A push as a client without our hooks makes it. */
function push(client: string, ...refspecs: readonly string[]) {
  return tryGit(client, "push", "--no-verify", "--force", "origin", ...refspecs);
}

const refs = (repository: string) => git(repository, "for-each-ref");

test("versions are immutable and contiguous, whatever the client", async (t) => {
  const { repository, client } = await publishSmall(t);
  // Not git's own settings but the hook must do it.
  for (const name of ["denyNonFastForwards", "denyDeletes"])
    git(repository, "config", `receive.${name}`, "false");
  git(repository, "config", "receive.denyDeleteCurrent", "ignore");
  const second = commitFiles(client, { "notes.txt": "two\n" });
  const blob = git(client, "rev-parse", "HEAD:notes.txt");
  git(client, "tag", "--annotate", "--message", "a tag", "on-blob", blob);
  const cases: readonly (readonly [title: string, refspecs: readonly string[], said: RegExp])[] = [
    [
      "a gap",
      ["HEAD:refs/tags/v3"],
      /v3: error VERSION_GAP: v3 is not .*there is no v2 *\n.*hint: the next is v2/,
    ],
    [
      "a gap among several",
      ["HEAD:refs/tags/v2", "HEAD:refs/tags/v4"],
      /v4: error VERSION_GAP: .*there is no v3 *$/m,
    ],
    ["a version that moves", ["HEAD:refs/tags/v1"], /v1: it already exists/],
    ["a version that goes", [":refs/tags/v1"], /v1: versions are never deleted/],
    ["a blob", [`${blob}:refs/tags/v2`], /v2: it points at no commit/],
    ["a tree", ["HEAD^{tree}:refs/tags/v2"], /v2: it points at no commit/],
    ["a tag object on a blob", ["refs/tags/on-blob:refs/tags/v2"], /v2: it points at no commit/],
    [
      "the default branch replaced",
      [`${orphan(client)}:refs/heads/main`],
      /main: commits of the default branch/,
    ],
    ["the default branch deleted", [":refs/heads/main"], /main: the default branch is never deleted/],
  ];
  const before = refs(repository);
  for (const [title, refspecs, expected] of cases) {
    const { status, said } = push(client, ...refspecs);
    t.not(status, 0, title);
    t.match(said, expected, title);
    t.match(said, /remote: error HOOK_REFUSED: the push is refused, nothing was changed:/, title);
    t.equal(refs(repository), before, `${title}: nothing changed`);
    t.notMatch(said, /internal error|\n.* at .*\(/, `${title}: no stack`);
  }

  git(client, "tag", "--annotate", "--message", "two", "annotated", second);
  const good = ["annotated:refs/tags/v2", "HEAD:refs/tags/v3", "HEAD:refs/heads/main"];
  t.match(push(client, ...good), { status: 0 }, "several at once, one a tag object");
  const others = ["-x", "v01", "v1.2", "v0", "v1/deep", "release", "V2"];
  const tags = others.filter((name) => name !== "v1/deep").map((name) => `${blob}:refs/tags/${name}`);
  t.match(push(client, ...tags), { status: 0 }, "other tags may be what they want");
  t.equal(git(repository, "tag", "--list", "v?"), "v0\nv1\nv2\nv3");
  for (const odd of ["v4\nv5", "v4\u0007", "v4 v5", "v4..v5"])
    t.not(push(client, `HEAD:refs/tags/${odd}`).status, 0, JSON.stringify(odd));
  t.equal(git(repository, "tag", "--list", "v4*"), "");
});

/** A commit without a history. */
function orphan(client: string): string {
  return git(client, "commit-tree", "-m", "orphan", "HEAD^{tree}");
}

test("a version must evaluate, and hold no disk", async (t) => {
  const { folder, repository, client } = await publishSmall(t);
  writeFiles(folder, {
    "elsewhere/secret.cvl": "Secret extends VMAppliance { var ssh_private_key; nonsense; }\n",
  });
  git(path.join(folder, "elsewhere"), "init", "--quiet", "--initial-branch=main", ".");
  commitFiles(path.join(folder, "elsewhere"), {});
  git(path.join(folder, "elsewhere"), "tag", "v1");
  const base = git(client, "rev-parse", "HEAD");
  const withVm = {
    "Small.cvl":
      'Small extends VMAppliance {\n  vm = "s.vm.yaml";\n  datadisks = { device => "vdb", size => "1MiB" };\n}\n',
    "s.vm.yaml": "format: 1\nmemory: 64MiB\ndisks:\n  - { device: vdb, source: data.bin }\n",
  };
  const importing = (url: string) => ({
    "Small.cvl": `import { url => "${url}", cvl => "secret.cvl", version => "1" } Secret;\nSmall extends Secret {}\n`,
  });
  const lost = formatLfsPointer({ oid: "ab".repeat(32) as Oid, sizeBytes: 5000 });
  const raw = Buffer.alloc(128 * 1024);
  raw.writeUInt16LE(0xaa55, 510);
  raw.writeUInt8(0x83, 446 + 4);
  raw.writeUInt32LE(200, 446 + 12);
  const ext4 = Buffer.alloc(128 * 1024);
  ext4.writeUInt16LE(0xef53, 1080);
  ext4.writeUInt32LE(128, 1028);
  const qcow2 = Buffer.concat([Buffer.from("QFI\u00fb", "latin1"), Buffer.alloc(200 * 1024)]);
  type Files = Readonly<Record<string, string | Uint8Array>>;
  const cases: readonly (readonly [title: string, files: Files, said: RegExp])[] = [
    [
      "CVL with a mistake",
      { "Small.cvl": "Small extends VMAppliance {\n  domain = ;\n}\n" },
      /v2: Small\.cvl:2:12: error CVL_SYNTAX.*\n.*domain = ;\s*\n.*\^/,
    ],
    ["CVL that means nothing", { "Small.cvl": "Small extends Nothing {}\n" }, /CVL_UNKNOWN_CLASS/],
    [
      "a mistake in a file beside it",
      { "other/More.cvl": "More extends VMAppliance { x = 1 }\n" },
      /other\/More\.cvl:1/,
    ],
    ["text that is no text", { "Small.cvl": Buffer.from([0xff, 0xfe, 0x00]) }, /CVL_ENCODING/],
    [
      "a VM description with a mistake",
      { ...withVm, "s.vm.yaml": "format: 1\nmemory: much\n" },
      /s\.vm\.yaml:2:\d+/,
    ],
    ["no VM description", { "Small.cvl": withVm["Small.cvl"] }, /VM_DESCRIPTION_MISSING/],
    [
      "a program disk without an index",
      { ...withVm, "s.vm.yaml": `${withVm["s.vm.yaml"]}  - { device: vda, source: root.qcow2 }\n` },
      /VM_DISK_MISSING/,
    ],
    [
      "a data disk's image",
      { ...withVm, "data.bin": "the user's own\n" },
      /data\.bin, the image of a data disk, is in git/,
    ],
    [
      "a data disk's image in Git LFS",
      { ...withVm, "data.bin": lost },
      /data\.bin, the image of a data disk, is in git/,
    ],
    [
      "an index that is none",
      { "disks/root.index/header": "no header\n" },
      /disks\/root\.index: .*does not begin with/,
    ],
    [
      "a Git LFS object that is not here",
      { kernel: lost },
      /the Git LFS object of kernel \(abababababab…\) is not here/,
    ],
    [
      "a path out of the folder",
      importing(path.join(folder, "elsewhere")),
      /IMPORT_URL_REFUSED.*outside the folder/,
    ],
    ["a path that climbs", importing("../../elsewhere"), /IMPORT_URL_REFUSED.*outside the folder/],
    ["a helper program", importing("ext::sh -c touch% /tmp/never"), /REFUSED/],
    ["what looks like an option", importing("--upload-pack=/bin/true"), /IMPORT_REFUSED/],
    ["a qcow2 by name", { "disk.qcow2": "x" }, /disk\.qcow2: it is a disk image/],
    ["a qcow2 by content", { "disk.bin": qcow2 }, /disk\.bin: it is a disk image/],
    ["a VMware disk", { "disk.vmdk": "# Disk DescriptorFile\n" }, /disk\.vmdk: it is a disk image/],
    ["a raw disk by content", { "disk.bin": raw }, /disk\.bin: it is a disk image/],
    ["a file system", { "disk.bin": ext4 }, /disk\.bin: it is a disk image/],
    ["a raw disk by name", { "disk.img": Buffer.alloc(100_000, "x") }, /disk\.img: it is a disk image/],
    [
      "a large file",
      { "notes.txt": Buffer.alloc(17 * 1024 * 1024, "notes\n") },
      /notes\.txt: it has 17 MiB in plain git; at most 16 MiB/,
    ],
  ];
  t.notOk(hasErrors(await release({ folder, client }, base)), "what it is made from would be");
  const commits: string[] = [];
  for (const [title, files, expected] of cases) {
    git(client, "reset", "--quiet", "--hard", base);
    commitFilesAsTheyAre(client, files);
    const commit = git(client, "rev-parse", "HEAD");
    commits.push(commit);
    const found = await lookAt({ folder, repository, client }, commit);
    t.ok(hasErrors(found), title);
    // How large a file may be is the repository's own setting.
    if (title !== "a large file")
      t.ok(hasErrors(await release({ folder, client }, commit)), `${title}: nor would it be released`);
    const said = renderHookDiagnostics(found).join("\n");
    t.match(said, expected, title);
    t.notMatch(said, /ssh_private_key|internal error/, `${title}: nothing of another repository, no defect`);
  }
  // What a hook says has at most ten refusals; a file that is too large, or an image, is all that is looked at.
  const images = cases.findIndex(([title]) => title === "a qcow2 by name");
  const groups = [
    [0, 5],
    [5, 10],
    [10, images],
    [images, cases.length - 1],
    [cases.length - 1, cases.length],
  ];
  for (const [from = 0, to = 0] of groups) {
    const pushed = commits.slice(from, to).map((commit, at) => `${commit}:refs/tags/v${at + 2}`);
    const { status, said } = push(client, ...pushed);
    t.not(status, 0);
    t.notMatch(said, /ssh_private_key|internal error/);
    for (const [at, [title, , expected]] of cases.slice(from, to).entries())
      t.match(said, new RegExp(expected.source.replaceAll("v2", `v${at + 2}`), expected.flags), title);
  }
  t.equal(git(repository, "tag"), "v1");
  t.notOk(existsSync("/tmp/never"));

  t.test("a disk image that a later commit takes out again is still one", (t) => {
    git(client, "reset", "--quiet", "--hard", base);
    commitFilesAsTheyAre(client, { "disk.bin": qcow2 });
    git(client, "rm", "--quiet", "disk.bin");
    git(client, "commit", "--quiet", "--message", "gone");
    t.match(push(client, "HEAD:refs/heads/topic").said, /disk\.bin: it is a disk image/, "on any branch");
    t.end();
  });

  t.test("a symlink, and nothing at all, are no CVL", (t) => {
    git(client, "reset", "--quiet", "--hard", base);
    git(client, "rm", "--quiet", "Small.cvl");
    commitFilesAsTheyAre(client, { readme: "x\n" });
    t.match(
      push(client, "HEAD:refs/tags/v2").said,
      /v2: error VERSION_WITHOUT_CVL: there is no CVL file at its top/,
    );
    symlinkSync("/etc/passwd", path.join(client, "Small.cvl"));
    commitFilesAsTheyAre(client, {});
    t.match(
      push(client, "HEAD:refs/tags/v2").said,
      /v2: error IMPORT_FILE_REFUSED: Small\.cvl is a symlink, not a file/,
    );
    t.end();
  });

  t.test("a list of withdrawn versions that nobody can read is refused, a good one taken", (t) => {
    git(client, "reset", "--quiet", "--hard", base);
    commitFilesAsTheyAre(client, {
      "withdrawn.yaml": "format: 1\nwithdrawn:\n  - version: one\n    why: x\n",
    });
    const { said } = push(client, "HEAD:main");
    t.match(said, /main: withdrawn\.yaml:3:14: error WITHDRAWN_INVALID/);
    t.match(said, /no version would count as withdrawn/);
    t.match(push(client, "HEAD:topic"), { status: 0 }, "another branch is not read");
    commitFilesAsTheyAre(client, { "withdrawn.yaml": "format: 1\nwithdrawn:\n  - version: 1\n    why: x\n" });
    t.match(push(client, "HEAD:main"), { status: 0 });
    t.end();
  });

  t.test("a file of several objects is no mistake, and a version may stand on no branch", (t) => {
    git(client, "reset", "--quiet", "--hard", base);
    commitFilesAsTheyAre(client, { "Two.cvl": "A extends VMAppliance {}\nB extends VMAppliance {}\n" });
    t.match(push(client, "HEAD:refs/tags/v2"), { status: 0 });
    t.equal(git(repository, "tag"), "v1\nv2");
    t.end();
  });
});

/** What a release finds in a client's commit as v2. */
async function release({ folder, client }: { folder: string; client: string }, commit: string) {
  const check = async (mirrors: Mirrors) => {
    await (await mirrors.get(client)).fetch();
    return checkPublished({ mirrors, url: client, commit, version: 2 });
  };
  return (await withMirrors(gitAt(), check, { cache: path.join(folder, ".released") })).diagnostics;
}

/** What the hook of the repository finds in a client's commit as v2, without a push. */
async function lookAt(
  { folder, repository, client }: { folder: string; repository: string; client: string },
  commit: string,
) {
  // As git keeps the objects of a push apart until it is accepted.
  const env = {
    GIT_OBJECT_DIRECTORY: path.join(client, ".git/objects"),
    GIT_ALTERNATE_OBJECT_DIRECTORIES: path.join(repository, "objects"),
  };
  return checkPush(gitAt(repository, env), {
    updates: [{ ref: "refs/tags/v2", before: undefined, after: commit }],
    cache: path.join(folder, ".cache"),
  });
}

/** Without the filters of Git LFS: what is written is what is committed. */
function commitFilesAsTheyAre(client: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  writeFiles(client, files);
  execFileSync("git", ["add", "--all", "--force"], { cwd: client });
  git(client, "commit", "--quiet", "--no-verify", "--allow-empty", "--message", "next");
}

test("imports: beside the repository, out of reach, required", async (t) => {
  const { folder, repository, client } = await publishSmall(t);
  await createRepository(gitAt(path.join(folder, "repos/Derived")), { hooks: PROGRAM });
  git(client, "remote", "set-url", "origin", path.join(folder, "repos/Derived"));
  const derived = (url: string) =>
    commitFiles(client, {
      "Small.cvl": `import { url => "${url}", cvl => "Small.cvl", version => "1" } Base;\nSmall extends Base {\n  domain = "a.org";\n}\n`,
    });
  derived("../Small");
  const beside = push(client, "HEAD:refs/tags/v1");
  t.match(beside, { status: 0 }, beside.said);

  derived("http://127.0.0.1:9/Nowhere");
  git(path.join(folder, "repos/Derived"), "config", "cui.imports", "required");
  t.match(push(client, "HEAD:refs/tags/v2").said, /v2: Small\.cvl:1:\d+: error IMPORT_UNREACHABLE/);
  git(path.join(folder, "repos/Derived"), "config", "--unset", "cui.imports");
  const unreachable = push(client, "HEAD:refs/tags/v2");
  t.match(unreachable, {
    status: 0,
    said: /warning: v2: Small\.cvl was not checked to the end: cannot fetch from/,
  });

  // A server that takes the connection and never answers.
  const { createServer } = await import("node:net");
  const silent = createServer((socket) => socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.teardown(() => new Promise((resolve) => silent.close(resolve)));
  const { port } = silent.address() as { port: number };
  const commit = derived(`http://127.0.0.1:${port}/Silent`);
  t.match(push(client, "HEAD:refs/heads/topic"), { status: 0 });
  const startedAt = Date.now();
  const updates = [{ ref: "refs/tags/v3", before: undefined, after: commit }];
  const cache = path.join(folder, ".cache");
  const options = { updates, cache, fetchMs: 1500 };
  const found = await checkPush(gitAt(path.join(folder, "repos/Derived")), options);
  t.ok(Date.now() - startedAt < 25_000, `${Date.now() - startedAt} ms; one fetch alone may take 30 s`);
  t.match(found, [
    { code: "IMPORT_UNREACHABLE", severity: "warning", where: "v3", message: /not checked to the end/ },
  ]);
  t.equal(found.length, 1);
  t.ok(existsSync(repository));
});

test("bounds hold, and can be set", async (t) => {
  const { folder, repository, client } = await publishSmall(t);
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`many/${at}`, `${at}\n`]));
  commitFiles(client, many);
  const limited = (setting: string, value: string, expected: RegExp, ...refspecs: string[]) => {
    git(repository, "config", setting, value);
    t.match(push(client, ...refspecs).said, expected, setting);
    git(repository, "config", "--unset", setting);
  };
  limited("cui.maxFiles", "10", /main: it has more than 10 files/, "HEAD:main");
  limited("cui.maxPush", "100", /this push: it brings .* MiB in plain git; at most/, "HEAD:main");
  limited(
    "cui.maxVersions",
    "2",
    /it has 3 versions; at most 2/,
    ...[2, 3, 4].map((n) => `HEAD:refs/tags/v${n}`),
  );
  limited("cui.maxBlob", "none", /HOOK_SETTING_INVALID: .*cui\.maxBlob is no positive number/, "HEAD:main");
  limited("receive.maxInputSize", "10", /pack exceeds maximum allowed size/, "HEAD:main");

  t.test("a tree that holds itself a billion times over", (t) => {
    let tree = git(client, "rev-parse", "HEAD^{tree}");
    for (let level = 0; level < 9; level += 1) {
      const entries = Array.from({ length: 10 }, (_, at) => `040000 tree ${tree}\t${at}\n`).join("");
      tree = execFileSync("git", ["mktree"], { cwd: client, input: entries, encoding: "utf8" }).trim();
    }
    const commit = git(client, "commit-tree", "-m", "bomb", tree);
    const startedAt = Date.now();
    t.match(push(client, `${commit}:refs/tags/v2`).said, /v2: it has more than 100000 files/);
    t.ok(Date.now() - startedAt < 60_000, `${Date.now() - startedAt} ms`);
    t.end();
  });

  t.test("a hundred thousand versions in one push", (t) => {
    const commit = git(client, "rev-parse", "HEAD");
    git(client, "tag", "-d", "v1");
    // In one file, as `git pack-refs` leaves them.
    const lines = Array.from({ length: 100_000 }, (_, at) => `${commit} refs/tags/v${at + 2}\n`);
    writeFileSync(path.join(client, ".git/packed-refs"), `# pack-refs with: peeled\n${lines.join("")}`);
    const startedAt = Date.now();
    const { status, said } = push(client, "refs/tags/v*:refs/tags/v*");
    t.not(status, 0);
    t.match(said, /this push: it has 100000 versions; at most 1000 are taken at once/);
    t.ok(Date.now() - startedAt < 60_000, `${Date.now() - startedAt} ms`);
    t.equal(git(repository, "tag"), "v1");
    t.end();
  });

  t.test("a file that is small packed and large unpacked", (t) => {
    const big = path.join(folder, "big");
    mkdirSync(big);
    git(big, "init", "--quiet", "--initial-branch=main", ".");
    const zeros = "head -c 67108864 /dev/zero | git -c core.compression=1 hash-object -w --stdin";
    const blob = execFileSync("sh", ["-c", zeros], { cwd: big, encoding: "utf8" }).trim();
    const entry = `100644 blob ${blob}\tnotes.txt\n`;
    const tree = execFileSync("git", ["mktree"], { cwd: big, input: entry, encoding: "utf8" }).trim();
    const commit = git(big, "commit-tree", "-m", "big", tree);
    const startedAt = Date.now();
    const { said } = tryGit(big, "push", "--no-verify", repository, `${commit}:refs/heads/topic`);
    t.match(said, /notes\.txt: it has 64 MiB in plain git; at most 16 MiB/);
    t.ok(Date.now() - startedAt < 120_000, `${Date.now() - startedAt} ms`);
    t.end();
  });
});

test("publishing with disks: stock clients, cui publish, and what a hostile one leaves out", async (t) => {
  const { folder, cache } = scratch(t);
  const repository = path.join(folder, "repos/DNS");
  await createRepository(gitAt(repository), { hooks: PROGRAM });
  const work = path.join(folder, "work");
  writeAppliance(work, makeDisk());
  const report = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
  t.equal(report.published?.version, 1, "cui publish goes through the hooks");

  const clone = path.join(folder, "clone");
  git(folder, "clone", "--quiet", repository, clone);
  const pack = git(clone, "ls-files", "disks/packs").split("\n")[0] ?? "";
  const pushV2 = () => push(clone, "HEAD:refs/tags/v2").said;

  git(clone, "rm", "--quiet", "--cached", pack);
  git(clone, "commit", "--quiet", "--no-verify", "--message", "without its pack");
  t.match(
    pushV2(),
    /v2: error VERSION_PACK_MISSING: disks\/root\.index needs disks\/packs\/[0-9a-f]+\.pack, which is/,
  );
  git(clone, "reset", "--quiet", "--hard", "origin/main");

  const stored = path.join(
    repository,
    "lfs/objects",
    sha(pack).slice(0, 2),
    sha(pack).slice(2, 4),
    sha(pack),
  );
  const whole = readFileSync(stored);
  commitFiles(clone, { "notes.txt": "two\n" });
  for (const [title, content] of [
    ["gone", undefined],
    ["cut off", whole.subarray(1)],
  ] as const) {
    chmodSync(stored, 0o644);
    execFileSync("rm", [stored]);
    if (content !== undefined) writeFileSync(stored, content);
    else writeFileSync(`${stored}.other`, "");
    t.match(pushV2(), new RegExp(`the Git LFS object of ${pack} .* is not here, or not whole`), title);
    writeFileSync(stored, whole);
  }
  t.match(push(clone, "HEAD:refs/tags/v2"), { status: 0 });

  writeFiles(work, { "notes.txt": "three\n" });
  const refused = publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
  t.equal((await refused).published?.version, 3, "a version beside the branch is no obstacle");
  writeFiles(work, { "DNS.cvl": DNS_CVL, "fat.qcow2": "x" });
  const own = await publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache });
  t.match(own, {
    diagnostics: [{ code: "VERSION_DISK_IMAGE", message: /^fat\.qcow2, / }],
    published: undefined,
  });
  rmSync(path.join(work, "fat.qcow2"));
  writeFiles(work, { "notes.txt": Buffer.alloc(17 * 1024 * 1024, "notes\n") });
  await t.rejects(
    publish(gitAt(), { repository, cvl: "DNS.cvl", cwd: work, cache }),
    {
      code: "REPOSITORY_PUBLISH_REFUSED",
      message: /refused v4.*\n(.*\n)*remote: .*notes\.txt: it has 17 MiB in plain git/,
    },
    "and says what the repository said",
  );
});

function sha(pack: string): string {
  return path.basename(pack, ".pack");
}
