/** What changed between two versions: notes, CVL, imports, images, bytes. */
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "tap";
import { createRepository } from "../../src/setup/create.ts";
import { withMirrors } from "../../src/appliance/mirrors.ts";
import { publish } from "../../src/publish/publish.ts";
import { describeVersionDifference, type VersionDifference } from "../../src/preview/version-difference.ts";
import { changeDisk, DNS_CVL, DNS_VM, makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { git, makeVersions, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";

function differ(
  url: string,
  cache: string,
  from: number | undefined,
  to: number,
): Promise<VersionDifference> {
  return withMirrors(gitAt(), (mirrors) => describeVersionDifference({ mirrors, url, from, to }), { cache });
}

test("between two versions: notes, CVL difference, images and bytes", async (t) => {
  const { folder, cache } = scratch(t);
  const url = path.join(folder, "repos/DNS");
  const work = path.join(folder, "work");
  await createRepository(gitAt(url));
  const disk = makeDisk();
  writeAppliance(work, disk);
  await publish(gitAt(), { repository: url, cvl: "DNS.cvl", cwd: work, cache });
  writeFileSync(path.join(work, "root.img"), changeDisk(disk));
  await publish(gitAt(), {
    repository: url,
    cvl: "DNS.cvl",
    cwd: work,
    cache,
    message: "A newer name server",
  });
  writeFiles(work, {
    "DNS.cvl": DNS_CVL.replace("var domain;", "var domain, ttl;"),
    "withdrawn.yaml": "format: 1\nwithdrawn:\n  - version: 2\n    why: it forgets names\n",
  });
  git(work, "commit", "--quiet", "--all", "--message", "Let zones have a TTL");
  git(work, "add", "--all");
  git(work, "commit", "--quiet", "--message", "Withdraw v2");
  git(work, "tag", "--annotate", "v3", "--message", "A TTL for zones\n\nSet `ttl` to seconds.");
  git(work, "push", "--quiet", "origin", "main", "v3");

  await t.test("of one step", async (t) => {
    const difference = await differ(url, cache, 1, 2);
    t.match(difference, { from: { version: 1 }, to: { version: 2 }, imports: [] });
    t.same(difference.notes, [
      { version: 2, from: "commits", text: "A newer name server", withdrawn: "it forgets names" },
    ]);
    t.equal(difference.withdrawn, "it forgets names");
    t.same(difference.cvl, { text: "", isCut: false });
    t.match(difference.images, [{ file: "dns.vm.yaml", reasons: [{ kind: "disk", disk: "root" }] }]);
    const bytes = difference.fetchBytes ?? 0;
    t.ok(bytes > 60_000 && bytes < 70_000, `one changed chunk, not ${bytes} bytes`);
  });

  await t.test("of several steps, the newest first", async (t) => {
    const difference = await differ(url, cache, 1, 3);
    t.same(
      difference.notes.map(({ version, from, text }) => [version, from, text]),
      [
        [3, "tag", "A TTL for zones\n\nSet `ttl` to seconds."],
        [2, "commits", "A newer name server"],
      ],
    );
    t.match(
      difference.cvl.text,
      /^diff --git a\/DNS\.cvl b\/DNS\.cvl\n[^]*\n- {2}var domain;\n\+ {2}var domain, ttl;\n/,
    );
    t.equal(difference.withdrawn, undefined);
  });

  await t.test("of a first version everything is fetched", async (t) => {
    const difference = await differ(url, cache, undefined, 1);
    t.match(difference, { from: undefined, cvl: { text: "" } });
    t.match(difference.images, [{ reasons: [{ kind: "new" }] }]);
    t.ok((difference.fetchBytes ?? 0) > 8 * 60_000);
    t.equal(difference.notes.length, 1);
  });

  await t.test("without news in the images nothing is replaced", async (t) => {
    const difference = await differ(url, cache, 2, 3);
    t.same(difference.images, [{ file: "dns.vm.yaml", reasons: [], fetchBytes: 0 }]);
  });

  await t.test("a version that is not there is named with the newest", async (t) => {
    await t.rejects(differ(url, cache, 3, 4), {
      code: "REPOSITORY_VERSION_MISSING",
      hint: "the newest is 3",
    });
  });
});

test("kernel, description and machines that come and go are reasons", async (t) => {
  const { folder, cache } = scratch(t);
  const pointer = (digit: string): string =>
    `version https://git-lfs.github.com/spec/v1\noid sha256:${digit.repeat(64)}\nsize 5000\n`;
  const cvl = "A extends VMAppliance { }\n";
  const vm = "format: 1\nmemory: 64MiB\nkernel: vmlinuz\ndisks: []\n";
  makeVersions(folder, [
    { "A.cvl": cvl, "a.vm.yaml": vm, "b.vm.yaml": vm, vmlinuz: pointer("1") },
    { "a.vm.yaml": vm.replace("64", "65"), vmlinuz: pointer("2"), "c.vm.yaml": DNS_VM },
    { "a.vm.yaml": "format: 9\n", "c.vm.yaml": DNS_VM },
  ]);
  git(folder, "rm", "--quiet", "b.vm.yaml");
  git(folder, "commit", "--quiet", "--message", "v4");
  git(folder, "tag", "v4");
  const { images, fetchBytes } = await differ(folder, cache, 1, 2);
  t.same(images, [
    { file: "a.vm.yaml", reasons: [{ kind: "description" }, { kind: "kernel" }], fetchBytes: 5000 },
    { file: "b.vm.yaml", reasons: [{ kind: "kernel" }], fetchBytes: 5000 },
    { file: "c.vm.yaml", reasons: [{ kind: "new" }], fetchBytes: 5000 },
  ]);
  t.equal(fetchBytes, 15_000);
  const broken = await differ(folder, cache, 2, 4);
  t.match(broken.images, [
    { reasons: [{ kind: "description" }, { kind: "kernel" }] },
    { reasons: [{ kind: "removed" }] },
    {},
  ]);
});

test("what a derived appliance imports is its news", async (t) => {
  const { folder, cache } = scratch(t);
  const lock = (version: number): string =>
    `format: 1\nimports:\n  - url: https://example.org/Base\n    pin: "*"\n    version: ${version}\n    commit: ${"a".repeat(40)}\n    tree: ${"b".repeat(40)}\n`;
  makeVersions(folder, [
    { "A.cvl": "", "cvl.lock": lock(3) },
    { "cvl.lock": lock(5) },
    { "cvl.lock": "format: 7\n" },
  ]);
  const { imports } = await differ(folder, cache, 1, 2);
  t.same(imports, [{ url: "https://example.org/Base", pin: "*", from: 3, to: 5 }]);
  t.match((await differ(folder, cache, 2, 3)).imports, [{ to: undefined }], "a lock that is wrong is none");
});

test("a repository's attributes start no program, and its size has bounds", async (t) => {
  const { folder, cache } = scratch(t);
  const marker = path.join(folder, "started");
  const repository = path.join(folder, "A");
  const long = "x".repeat(90);
  makeVersions(repository, [
    { "A.cvl": "one\n", ".gitattributes": "*.cvl diff=evil\n" },
    { "A.cvl": "two\n", "b.cvl": Array.from({ length: 3000 }, (_, line) => `${line} ${long}`).join("\n") },
    { "A.cvl": "y\n".repeat(3 * 1024 * 1024) },
  ]);
  // A bare repository reads no attributes of a commit before git 2.43: the user's own file stands for those.
  const settings = [
    ["core.attributesFile", path.join(repository, ".gitattributes")],
    ["diff.evil.textconv", `touch ${marker};cat`],
    ["diff.evil.command", `touch ${marker};cat`],
  ];
  for (const [index, [key, value]] of settings.entries()) {
    process.env[`GIT_CONFIG_KEY_${index}`] = key;
    process.env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  process.env["GIT_CONFIG_COUNT"] = String(settings.length);
  t.teardown(() => {
    for (const name of Object.keys(process.env)) {
      if (/^GIT_CONFIG_(KEY|VALUE|COUNT)/.test(name)) Reflect.deleteProperty(process.env, name);
    }
  });
  const { cvl } = await differ(repository, cache, 1, 2);
  t.match(cvl.text, /\n-one\n\+two\n/);
  t.ok(cvl.isCut);
  t.equal(cvl.text.length, 100_000);
  t.match((await differ(repository, cache, 2, 3)).cvl.text, /Binary files a\/A\.cvl and b\/A\.cvl differ/);
  t.notOk(existsSync(marker));
});
