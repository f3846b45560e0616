import { withMirrors } from "../../src/appliance/mirrors.ts";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { test } from "tap";
import { evaluate } from "../../src/cvl/evaluate/evaluate.ts";
import type { Diagnostic } from "../../src/diagnostics.ts";
import { resolveImages } from "../../src/appliance/resolve-machine-images.ts";
import { loadAppliance } from "../../src/appliance/load.ts";
import type { LoadedAppliance, LoadOptions } from "../../src/appliance/loaded-appliance.ts";
import { moveLock } from "../../src/appliance/move-lock.ts";
import { parseUrl } from "../../src/git/url.ts";
import { git, makeVersions, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";

const dns = (domain: string) => `DNS extends VMAppliance { var domain; domain = "${domain}"; }\n`;

/** A site that imports DNS from `url`. */
const site = (url: string, more = "") =>
  `import { url => "${url}", cvl => "DNS.cvl"${more} } DNS;\nX extends DNS {}\n`;

function codes(diagnostics: readonly Diagnostic[]): string[] {
  return diagnostics.map(({ severity, code }) => `${severity} ${code}`);
}

/** What `domain` of the root is. */
function domainOf({ program, diagnostics }: LoadedAppliance): unknown {
  if (program === undefined) return codes(diagnostics);
  return evaluate(program).tree.components.get("")?.parameters.get("domain")?.elements[0];
}

test("the files of a closure are read only as far as they fit into it together", async (t) => {
  const { folder, cache } = scratch(t);
  const large = path.join(folder, "repos/Large");
  const text = (name: string) => `${name} extends VMAppliance { } ${"/".repeat(15 * 1024 * 1024)}\n`;
  makeVersions(large, [{ "A.cvl": text("A"), "B.cvl": text("B"), "C.cvl": text("C") }]);
  const cwd = path.join(folder, "site");
  const imports = (...names: readonly string[]) =>
    names.map((name) => `import { url => "${large}", cvl => "${name}.cvl" } ${name};\n`).join("");
  writeFiles(cwd, { "x.cvl": `${imports("A", "B", "C")}X extends VANAppliance { A a; B b; C c; }\n` });
  const { diagnostics } = await loadAppliance(gitAt(), {
    ...{ file: "x.cvl", cwd, cache, versions: "locked", writeLock: false },
  });
  t.match(
    diagnostics.map(({ code, message }) => `${code}: ${message}`),
    [
      /IMPORT_FILE_TOO_LARGE: C\.cvl .* the files that a file imports may have at most 33554432 bytes together/,
    ],
  );
});

test("imports follow pin, lock or newest", (t) => {
  const { folder, cache } = scratch(t);
  const dnsFolder = path.join(folder, "repos/DNS");
  makeVersions(dnsFolder, [{ "DNS.cvl": dns("one") }, { "DNS.cvl": dns("two") }]);
  const cwd = path.join(folder, "site");
  const lockFile = path.join(cwd, "cvl.lock");
  writeFiles(cwd, { "x.cvl": site(dnsFolder), "pinned.cvl": site(dnsFolder, ', version => "1"') });
  const load = (options: Partial<LoadOptions> = {}) =>
    loadAppliance(gitAt(), { file: "x.cvl", cwd, cache, versions: "locked", writeLock: true, ...options });

  t.test("without a lock the newest is taken, and written", async (t) => {
    const loaded = await load({ writeLock: false });
    t.equal(domainOf(loaded), "two");
    t.throws(() => readFileSync(lockFile), "writeLock decides");
    t.equal(domainOf(await load()), "two");
    const lock = readFileSync(lockFile, "utf8");
    t.match(lock, /^# Written by cui/);
    t.match(
      lock,
      `url: ${dnsFolder}\n    pin: "*"\n    version: 2\n    commit: ${git(dnsFolder, "rev-parse", "v2")}\n`,
    );
    t.match(lock, `tree: ${git(dnsFolder, "rev-parse", "v2^{tree}")}\n`);
  });

  t.test("with a lock a newer version waits until the lock is moved", async (t) => {
    writeFiles(dnsFolder, { "DNS.cvl": dns("three") });
    git(dnsFolder, "commit", "--quiet", "--all", "--message", "v3");
    git(dnsFolder, "tag", "--annotate", "--message", "three", "v3");
    t.equal(domainOf(await load()), "two");
    t.equal(domainOf(await load({ versions: "newest", writeLock: false })), "three");
    t.equal(domainOf(await load({ file: "pinned.cvl", versions: "newest" })), "one", "a pin stays");
    t.match(
      readFileSync(lockFile, "utf8"),
      /pin: "\*"\n {4}version: 2\n[^]*pin: "1"\n {4}version: 1\n/,
      "entries of other files stay",
    );
    const moved = await moveLock(gitAt(), { cwd, cache, files: ["x.cvl"], keepsOthers: true });
    t.same(moved.changes, [
      { url: dnsFolder, pin: "*", from: 2, to: 3 },
      { url: dnsFolder, pin: "1", from: 1, to: 1 },
    ]);
    t.equal(domainOf(await load()), "three");
    rmSync(path.join(cwd, "pinned.cvl"));
    const all = await moveLock(gitAt(), { cwd, cache, files: ["x.cvl"], keepsOthers: false });
    t.same(
      all.changes?.at(-1),
      { url: dnsFolder, pin: "1", from: 1, to: undefined },
      "nobody needs it any more",
    );
  });

  t.test("a withdrawn version is skipped; who names it is warned", async (t) => {
    writeFiles(dnsFolder, { "withdrawn.yaml": "format: 1\nwithdrawn:\n  - version: 3\n    why: it leaks\n" });
    git(dnsFolder, "add", "--all");
    git(dnsFolder, "commit", "--quiet", "--message", "Withdraw v3");
    const locked = await load();
    t.equal(domainOf(locked), "three");
    t.match(locked.diagnostics, [
      { code: "IMPORT_WITHDRAWN", severity: "warning", message: /the lock names version 3 .*it leaks/ },
    ]);
    const newest = await load({ versions: "newest", writeLock: false });
    t.equal(domainOf(newest), "two");
    t.same(newest.diagnostics, []);
    writeFiles(cwd, { "pin.cvl": site(dnsFolder, ', version => "3"') });
    t.match((await load({ file: "pin.cvl", writeLock: false })).diagnostics, [
      { message: /the import asks for version 3/ },
    ]);
    writeFiles(dnsFolder, { "withdrawn.yaml": "format: 7\n" });
    git(dnsFolder, "commit", "--quiet", "--all", "--message", "Break the list");
    const broken = await load();
    t.same(codes(broken.diagnostics), ["warning WITHDRAWN_INVALID"]);
    t.equal(domainOf(broken), "three");
  });

  t.test("gaps are a warning, missing versions an error", async (t) => {
    writeFiles(dnsFolder, { "DNS.cvl": dns("six") });
    git(dnsFolder, "commit", "--quiet", "--all", "--message", "v6");
    for (const tag of ["v6", "v07", "v1.2", "v", "release"]) git(dnsFolder, "tag", tag);
    const newest = await load({ versions: "newest", writeLock: false });
    t.equal(domainOf(newest), "six", "only v<integer> are versions");
    t.ok(
      newest.diagnostics.some(
        ({ code, message }) => code === "IMPORT_VERSION_GAP" && /no v4, v5$/.test(message),
      ),
    );
    writeFiles(cwd, { "nine.cvl": site(dnsFolder, ', version => "9"') });
    t.match(
      (await load({ file: "nine.cvl" })).diagnostics.find(({ severity }) => severity === "error"),
      {
        code: "IMPORT_VERSION_MISSING",
        hint: "the newest is 6",
        span: { file: "nine.cvl" },
      },
    );
    const empty = path.join(folder, "repos/empty");
    mkdirSync(empty);
    git(empty, "init", "--quiet", ".");
    writeFiles(cwd, { "empty.cvl": site(empty) });
    t.match((await load({ file: "empty.cvl" })).diagnostics, [
      { code: "IMPORT_VERSION_MISSING", message: /no published version/ },
    ]);
    writeFiles(cwd, { "file.cvl": site(dnsFolder).replace("DNS.cvl", "Mail.cvl") });
    t.match(
      (await load({ file: "file.cvl", writeLock: false })).diagnostics.find(
        ({ severity }) => severity === "error",
      ),
      {
        code: "IMPORT_FILE_MISSING",
      },
    );
  });

  t.test("with all at hand an unreachable repository is a warning; without, an error", async (t) => {
    renameSync(dnsFolder, `${dnsFolder}.away`);
    const locked = await load();
    t.equal(domainOf(locked), "three");
    t.match(locked.diagnostics[0], { code: "IMPORT_UNREACHABLE", severity: "warning" });
    t.notOk(
      (await load({ fetch: false })).diagnostics.some(({ code }) => code === "IMPORT_UNREACHABLE"),
      "not asked",
    );
    t.match(await load({ versions: "newest" }), {
      program: undefined,
      diagnostics: [{ code: "IMPORT_UNREACHABLE", severity: "error" }],
    });
    t.match(await load({ cache: path.join(folder, "cold") }), {
      diagnostics: [{ code: "IMPORT_UNREACHABLE", severity: "error" }],
    });
    renameSync(`${dnsFolder}.away`, dnsFolder);
  });

  t.test("a tag that moved, or is gone, is refused and never followed", async (t) => {
    const before = readFileSync(lockFile, "utf8");
    const v3 = git(dnsFolder, "rev-parse", "v3^{commit}");
    git(dnsFolder, "tag", "--force", "v3", "v1");
    for (const versions of ["locked", "newest"] as const) {
      const moved = await load({ versions });
      t.equal(moved.program, undefined, versions);
      t.match(
        moved.diagnostics.find(({ severity }) => severity === "error"),
        { code: "IMPORT_TAG_MOVED" },
      );
    }
    t.equal(
      (await moveLock(gitAt(), { cwd, cache, files: ["x.cvl"], keepsOthers: true })).changes,
      undefined,
    );
    git(dnsFolder, "tag", "--delete", "v3");
    t.match(
      (await load()).diagnostics.find(({ severity }) => severity === "error"),
      { code: "IMPORT_TAG_MOVED", message: /is gone/ },
    );
    t.equal(readFileSync(lockFile, "utf8"), before, "the lock stays");
    git(dnsFolder, "tag", "v3", v3);
    t.equal(domainOf(await load()), "three");
    writeFileSync(lockFile, before.replace(/tree: [0-9a-f]{40}/, `tree: ${"a".repeat(40)}`));
    const otherTree = await load();
    t.equal(otherTree.program, undefined, "a commit whose tree is not the locked one is another commit");
    writeFileSync(lockFile, before);
  });

  t.test("a lock with mistakes is refused at their place", async (t) => {
    const good = readFileSync(lockFile, "utf8");
    writeFileSync(lockFile, good.replace("version: 3", "version: three"));
    const loaded = await load();
    t.match(loaded, {
      program: undefined,
      diagnostics: [{ code: "LOCK_INVALID", span: { file: "cvl.lock" } }],
    });
    t.match(loaded.textOf("cvl.lock"), /three/);
    writeFileSync(lockFile, good);
  });
  t.end();
});

test("a relative URL means the same in a clone, a fork and a mirror", async (t) => {
  const { folder, cache } = scratch(t);
  const office = `import { url => "../DNS", cvl => "DNS.cvl" } DNS;\nOffice extends VANAppliance { DNS d; }\n`;
  for (const forge of ["here", "fork"]) {
    makeVersions(path.join(folder, forge, "DNS"), [{ "DNS.cvl": dns(forge) }]);
    makeVersions(path.join(folder, forge, "Office"), [{ "Office.cvl": office }]);
  }
  const domain = async (cwd: string, file: string, options: Partial<LoadOptions> = {}) => {
    const loaded = await loadAppliance(gitAt(), {
      file,
      cwd,
      cache,
      versions: "locked",
      writeLock: false,
      ...options,
    });
    if (loaded.program === undefined) return codes(loaded.diagnostics);
    return evaluate(loaded.program).tree.components.get("d")?.parameters.get("domain")?.elements[0];
  };
  const cwd = path.join(folder, "site");
  for (const forge of ["here", "fork"]) {
    const url = path.join(folder, forge, "Office");
    writeFiles(cwd, {
      "x.cvl": `import { url => "${url}", cvl => "Office.cvl" } Office;\nX extends Office {}\n`,
    });
    t.equal(await domain(cwd, "x.cvl"), forge, "relative to the repository of the file that imports");
  }
  t.equal(
    await domain(path.join(folder, "fork/Office"), "Office.cvl"),
    "fork",
    "without an origin: beside the folder",
  );
  const clone = path.join(folder, "elsewhere/Office");
  git(folder, "clone", "--quiet", path.join(folder, "fork/Office"), clone);
  t.equal(await domain(clone, "Office.cvl"), "fork", "of a clone: beside its origin");
  t.equal(
    await domain(clone, "Office.cvl", { baseUrl: path.join(folder, "here/Office") }),
    "here",
    "where it will be published",
  );
  writeFiles(cwd, { "y.cvl": site("../../../../../../../../../DNS") });
  t.same(await domain(cwd, "y.cvl"), ["error IMPORT_URL_REFUSED"]);
});

test("a policy refuses before anything is fetched", async (t) => {
  const { folder, cache } = scratch(t);
  const cwd = path.join(folder, "site");
  const load = async (url: string, options: Partial<LoadOptions>) => {
    writeFiles(cwd, { "x.cvl": site(url) });
    const loaded = await loadAppliance(gitAt(), {
      file: "x.cvl",
      cwd,
      cache,
      versions: "locked",
      writeLock: true,
      ...options,
    });
    return loaded.diagnostics.map(({ code, message }) => `${code} ${message}`);
  };
  t.match(await load("/srv/DNS", { refusePaths: true }), [/^IMPORT_URL_REFUSED .*is a path/]);
  t.match(await load("../DNS", { refusePaths: true }), [/^IMPORT_URL_REFUSED .*is a path/]);
  t.match(await load("https://h/acme-evil/x", { allow: ["https://h/acme"] }), [
    /^IMPORT_URL_REFUSED .*none of the prefixes/,
  ]);
  t.match(await load("ext::sh", {}), [/^(CVL_IMPORT|IMPORT_URL)_REFUSED .*helper/]);
  t.match(await load("--upload-pack=x", {}), [/^(CVL_IMPORT|IMPORT_URL)_REFUSED .*option/]);
  t.throws(() => readFileSync(path.join(cwd, "cvl.lock")), "no lock is written");
});

test("what is no UTF-8 is an error at its place, in the root and in imports", async (t) => {
  const { folder, cache } = scratch(t);
  const bad = Buffer.from('DNS extends VMAppliance { var a; a = "\xff"; }\n', "latin1");
  makeVersions(path.join(folder, "DNS"), [{ "DNS.cvl": bad }]);
  const cwd = path.join(folder, "site");
  writeFiles(cwd, { "x.cvl": site(path.join(folder, "DNS")), "y.cvl": bad });
  for (const file of ["x.cvl", "y.cvl"]) {
    const loaded = await loadAppliance(gitAt(), { file, cwd, cache, versions: "locked", writeLock: true });
    const [diagnostic] = loaded.diagnostics;
    t.match(loaded.diagnostics, [{ code: "CVL_ENCODING", severity: "error", span: { start: 38 } }], file);
    t.match(loaded.textOf(diagnostic?.span?.file ?? ""), /DNS extends/);
  }
  t.throws(() => readFileSync(path.join(cwd, "cvl.lock")));
});

test("a commit is loaded with the lock it holds, whatever the working tree says", async (t) => {
  const { folder, cache } = scratch(t);
  const dnsFolder = path.join(folder, "DNS");
  makeVersions(dnsFolder, [{ "DNS.cvl": dns("one"), "dns.vm.yaml": "format: 1\nmemory: 64\n" }]);
  const cwd = path.join(folder, "site/nets");
  writeFiles(cwd, { "x.cvl": site(dnsFolder) });
  git(path.join(folder, "site"), "init", "--quiet", ".");
  await loadAppliance(gitAt(), { file: "x.cvl", cwd, cache, versions: "locked", writeLock: true });
  git(path.join(folder, "site"), "add", "--all");
  git(path.join(folder, "site"), "commit", "--quiet", "--message", "one");
  writeFiles(dnsFolder, { "DNS.cvl": dns("two") });
  git(dnsFolder, "commit", "--quiet", "--all", "--message", "two");
  git(dnsFolder, "tag", "v2");
  await moveLock(gitAt(), { cwd, cache, files: ["x.cvl"], keepsOthers: false });
  writeFiles(cwd, {
    "x.cvl": site(dnsFolder).replace("X extends DNS {}", 'X extends DNS { vm = "own.vm.yaml"; }'),
  });
  writeFiles(cwd, { "own.vm.yaml": "format: 1\nmemory: 32\n" });
  git(path.join(folder, "site"), "add", "--all");
  git(path.join(folder, "site"), "commit", "--quiet", "--message", "two");
  rmSync(path.join(cwd, "own.vm.yaml"));
  const load = (rev: string) =>
    loadAppliance(gitAt(), { file: "x.cvl", cwd, cache, rev, versions: "locked", writeLock: true });
  t.equal(domainOf(await load("HEAD~1")), "one");
  const head = await load("HEAD");
  t.equal(domainOf(head), "two");
  t.match(head.program?.root, {
    displayName: "HEAD:x.cvl",
    file: "nets/x.cvl",
    source: { version: null, commit: /^[0-9a-f]{40}$/ },
  });
  const { images } = await withMirrors(
    gitAt(),
    (mirrors) => resolveImages(mirrors, head, evaluate(head.program!).tree),
    { cache },
  );
  t.match(images.get(""), {
    descriptionFile: "nets/own.vm.yaml",
    description: { memoryBytes: 32 * 1024 * 1024 },
  });
  await t.rejects(load("--output=/tmp/x"), { code: "REPOSITORY_REVISION_MISSING" });
  await t.rejects(load("nothing"), { code: "REPOSITORY_REVISION_MISSING" });
  await t.rejects(
    loadAppliance(gitAt(), { file: "y.cvl", cwd, cache, versions: "locked", writeLock: false }),
    {
      code: "REPOSITORY_FILE_MISSING",
    },
  );
});

test("vm is resolved in the repository and version of the file whose assignment won", async (t) => {
  const { folder, cache } = scratch(t);
  const base = path.join(folder, "Base");
  const vm = (memory: number) => `format: 1\nmemory: ${memory}\n`;
  makeVersions(base, [
    { "Base.cvl": 'Base extends VMAppliance { vm = "m.vm.yaml"; }\n', "m.vm.yaml": vm(64) },
    { "m.vm.yaml": vm(128) },
  ]);
  const cwd = path.join(folder, "site");
  writeFiles(cwd, {
    "n.cvl": [
      `import { url => "${base}", cvl => "Base.cvl", version => "1" } Old;`,
      `import { url => "${base}", cvl => "Base.cvl" } New;`,
      'Own extends New { vm = "own.vm.yaml"; }',
      'Odd extends New { vm = "bad.vm.yaml"; }',
      'Lost extends New { vm = "../lost.vm.yaml"; }',
      'Link extends New { vm = "link.vm.yaml"; }',
      "N extends VANAppliance { Old a; New b; Own c; Odd d; Lost e; Link f; Link g; }",
    ].join("\n"),
    "own.vm.yaml": vm(32),
    "bad.vm.yaml": "format: 1\nmemory: lots\n",
  });
  writeFiles(folder, { "lost.vm.yaml": vm(16) });
  symlinkSync("../lost.vm.yaml", path.join(cwd, "link.vm.yaml"));
  const loaded = await loadAppliance(gitAt(), {
    file: "n.cvl",
    cwd,
    cache,
    versions: "locked",
    writeLock: false,
    object: "N",
  });
  t.same(codes(loaded.diagnostics), []);
  const { images, diagnostics } = await withMirrors(
    gitAt(),
    (mirrors) => resolveImages(mirrors, loaded, evaluate(loaded.program!).tree),
    { cache },
  );
  const memory = [...images].map(([component, image]) => [
    component,
    image.description.memoryBytes / 1024 / 1024,
    image.source.version,
  ]);
  t.same(memory, [
    ["a", 64, 1],
    ["b", 128, 2],
    ["c", 32, null],
  ]);
  t.match(diagnostics, [
    { code: "VM_DESCRIPTION_INVALID", span: { file: "bad.vm.yaml" } },
    { code: "VM_DESCRIPTION_MISSING", message: /leaves its repository/, span: { file: "n.cvl" } },
    { code: "VM_DESCRIPTION_MISSING", message: /symlink/, span: { file: "n.cvl" } },
  ]);
  t.equal(diagnostics.length, 3, "the same mistake of two machines is reported once");
});

test("a lock knows a repository however its URL is written", async (t) => {
  const { folder, cache } = scratch(t);
  const dnsFolder = path.join(folder, "repos/DNS");
  makeVersions(dnsFolder, [{ "DNS.cvl": dns("one") }]);
  const cwd = path.join(folder, "site");
  const spellings = [
    "https://github.com/Acme/DNS",
    "https://github.com/acme/dns.git",
    "git@github.com:acme/DNS",
    "ssh://git@ssh.github.com:443/acme/%44NS.git",
    "https://github.com:443/acme/DNS/",
  ];
  const config = path.join(folder, "config");
  writeFileSync(config, `[url "${dnsFolder}/"]\n\tinsteadOf = nothing\n`);
  for (const url of spellings) {
    const { url: normal } = parseUrl(url) as { url: string };
    git(folder, "config", "--file", config, "--add", `url.${dnsFolder}.insteadOf`, normal);
  }
  const user = gitAt(folder, { GIT_CONFIG_GLOBAL: config });
  const load = (url: string) => {
    writeFiles(cwd, { "x.cvl": site(url) });
    return loadAppliance(user, {
      file: "x.cvl",
      cwd,
      cache,
      versions: "locked",
      writeLock: true,
      allow: ["https://github.com/acme"],
    });
  };
  for (const url of spellings) {
    const loaded = await load(url);
    t.same(codes(loaded.diagnostics), [], url);
    t.equal(domainOf(loaded), "one", `${url}: the locked version`);
    const lock = readFileSync(path.join(cwd, "cvl.lock"), "utf8");
    t.equal(lock.match(/ url: /g)?.length, 1, `${url} takes the place of the entry before`);
    t.match(lock, "version: 1\n");
    if (url !== spellings[0]) continue;
    writeFiles(dnsFolder, { "DNS.cvl": dns("two") });
    git(dnsFolder, "commit", "--quiet", "--all", "--message", "two");
    git(dnsFolder, "tag", "v2");
  }
  t.equal(
    readdirSync(path.join(cache, "mirrors")).filter((name) => name.endsWith(".git")).length,
    1,
    "one mirror",
  );
  t.same(codes((await load("https://github.com/evil/DNS")).diagnostics), ["error IMPORT_URL_REFUSED"]);
});

test("withdrawn.yaml is found where HEAD names a branch that is not there", async (t) => {
  const { folder, cache } = scratch(t);
  const dnsFolder = path.join(folder, "DNS");
  makeVersions(dnsFolder, [{ "DNS.cvl": dns("one") }, { "DNS.cvl": dns("two") }]);
  writeFiles(dnsFolder, { "withdrawn.yaml": "format: 1\nwithdrawn:\n  - version: 2\n    why: bad\n" });
  git(dnsFolder, "add", ".");
  git(dnsFolder, "commit", "--quiet", "--message", "withdraw");
  git(dnsFolder, "symbolic-ref", "HEAD", "refs/heads/gone");
  writeFiles(folder, { "x.cvl": site(dnsFolder) });
  const load = () =>
    loadAppliance(gitAt(), { file: "x.cvl", cwd: folder, cache, versions: "newest", writeLock: false });
  t.equal(domainOf(await load()), "one", "the only branch");
  git(dnsFolder, "branch", "next", "v1");
  t.equal(domainOf(await load()), "one", "main");
  git(dnsFolder, "branch", "-m", "main", "trunk");
  const unknown = await load();
  t.equal(domainOf(unknown), "two");
  t.match(unknown.diagnostics, [
    {
      code: "WITHDRAWN_INVALID",
      severity: "warning",
      message: /HEAD of .*DNS names no branch that is there/,
      hint: /git symbolic-ref HEAD/,
    },
  ]);
});
