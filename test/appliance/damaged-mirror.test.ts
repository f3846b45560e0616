/** A mirror that a crash, a full disk or a bad one damaged: it is fetched anew, and one that cannot be says where it is. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { execFileSync, spawn } from "node:child_process";
import path from "node:path";
import { test } from "tap";
import { loadAppliance } from "../../src/appliance/load.ts";
import type { Mirror } from "../../src/appliance/mirror.ts";
import { mirrorFolder } from "../../src/appliance/mirror-cache.ts";
import { damagedNetworks, readNetwork } from "../../src/manager/records/state.ts";
import { openStateStore } from "../../src/manager/records/state-store.ts";
import { publish } from "../../src/publish/publish.ts";
import { createRepository } from "../../src/setup/create.ts";
import { makeDisk, withMirror, writeAppliance } from "./appliance-fixture.ts";
import { eachObject } from "./each-object.ts";
import { git, gitAt, makeVersions, scratch, writeFiles } from "../git/git-fixture.ts";

const VERSIONS = [1, 2, 3].map((number) => ({ n: `${number}\n`, "sub/same": "same\n" }));

type Damage = (file: string) => void;
const DAMAGES: Readonly<Record<string, Damage>> = {
  cut: (file) => {
    truncateSync(file, Math.floor(statSync(file).size / 2));
  },
  zeroed: (file) => {
    writeFileSync(file, Buffer.alloc(statSync(file).size));
  },
  emptied: (file) => {
    truncateSync(file, 0);
  },
  missing: (file) => {
    rmSync(file);
  },
};

function objectFile(folder: string, name: string): string {
  const oid = git(folder, "rev-parse", name);
  const file = path.join(folder, "objects", oid.slice(0, 2), oid.slice(2));
  chmodSync(file, 0o644);
  return file;
}

/** Each object in a file of its own. */
function unpack(folder: string): void {
  const packs = path.join(folder, "objects/pack");
  const away = path.join(folder, "packs-away");
  renameSync(packs, away);
  for (const name of readdirSync(away)) {
    if (!name.endsWith(".pack")) continue;
    execFileSync("git", ["--git-dir=.", "unpack-objects", "-q"], {
      cwd: folder,
      input: readFileSync(path.join(away, name)),
    });
  }
  rmSync(away, { recursive: true });
}

/** Everything of every version, as it should be. */
async function readAll(mirror: Mirror): Promise<readonly string[]> {
  const read: string[] = [];
  for (const { commit } of await mirror.versions()) {
    const content = await mirror.files(commit).readFile("n", { maxBytes: 10 });
    await mirror.files(commit).readFile("sub/same", { maxBytes: 10 });
    read.push(content.toString().trim());
  }
  return read;
}

test("an object of the mirror that is damaged costs a fetch, and without the repository only its own version", async (t) => {
  const { folder, cache } = scratch(t);
  const remote = path.join(folder, "DNS");
  makeVersions(remote, VERSIONS);
  const mirrored = mirrorFolder(remote, cache);
  const away = `${remote}-away`;
  for (const name of ["v2", "v2^{tree}", "v2:n", "v3", "v3^{tree}", "v3:n"]) {
    for (const [how, damage] of Object.entries(DAMAGES)) {
      const title = `${name} ${how}`;
      rmSync(cache, { recursive: true, force: true });
      await withMirror(remote, cache, (mirror) => mirror.fetch());
      unpack(mirrored);
      mkdirSync(path.join(mirrored, "lfs"));
      damage(objectFile(mirrored, name));
      renameSync(remote, away);
      await withMirror(remote, cache, async (mirror) => {
        const commit = git(away, "rev-parse", name.slice(0, 2));
        const other = git(away, "rev-parse", "v1");
        // At the same time: what is damaged takes nothing else with it.
        const [damaged, whole] = await Promise.allSettled([
          mirror.files(commit).readFile("n", { maxBytes: 10 }),
          mirror.files(other).readFile("n", { maxBytes: 10 }),
        ]);
        t.match(whole, { status: "fulfilled" }, title);
        if (damaged.status === "fulfilled") return; // only its commit is damaged, which the tree does not need
        const { code, message } = damaged.reason as { code: string; message: string };
        t.ok(["REPOSITORY_DAMAGED", "REPOSITORY_FILE_MISSING"].includes(code), `${title}: ${message}`);
        if (code === "REPOSITORY_DAMAGED") t.ok(message.includes(mirrored), `${title}: ${message}`);
      });
      renameSync(away, remote);
      await withMirror(remote, cache, async (mirror) => {
        if (how !== "missing") await mirror.fetch();
        t.same(await readAll(mirror), ["1", "2", "3"], title);
      });
      t.ok(readdirSync(mirrored).includes("lfs"), `${title}: the Git LFS objects are kept`);
      t.same(
        readdirSync(path.dirname(mirrored)).filter((file) => !file.endsWith(".lock")),
        [path.basename(mirrored)],
        `${title}: nothing is left beside it`,
      );
    }
  }
});

const CUT_SETTINGS = [
  "[core]\n\trepositoryformatversion =",
  "[core]\n\trepositoryformatversion = 0\n\tfilemode = tr",
  "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = t",
  "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectf",
  "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha2",
];

test("refs and settings that were lost with the power", async (t) => {
  const { folder, cache } = scratch(t);
  const remote = path.join(folder, "DNS");
  makeVersions(remote, VERSIONS);
  const mirrored = mirrorFolder(remote, cache);
  const cases: readonly (readonly [file: string, ...content: (string | Buffer)[]])[] = [
    ["refs/tags/v1", "", Buffer.alloc(41)],
    ["refs/tags/v3", "", Buffer.alloc(41), "no id\n"],
    ["refs/heads/main", "", Buffer.alloc(41)],
    ["refs/cui/default", "", Buffer.alloc(41)],
    ["HEAD", "", Buffer.alloc(23)],
    ["config", "", Buffer.alloc(60), "[core", ...CUT_SETTINGS],
    ["packed-refs", Buffer.alloc(100), "cut"],
  ];
  for (const [file, ...contents] of cases) {
    for (const content of contents) {
      const title = `${file}: ${JSON.stringify(content.toString())}`;
      rmSync(cache, { recursive: true, force: true });
      await withMirror(remote, cache, (mirror) => mirror.fetch());
      writeFileSync(path.join(mirrored, file), content);
      await withMirror(remote, cache, async (mirror) => {
        await mirror.fetch();
        t.same(await readAll(mirror), ["1", "2", "3"], title);
        t.equal(await mirror.branchTip(), git(remote, "rev-parse", "main"), title);
      });
    }
  }
  rmSync(path.join(mirrored, "HEAD"));
  await withMirror(remote, cache, async (mirror) => {
    await mirror.fetch();
    t.same(await readAll(mirror), ["1", "2", "3"], "no HEAD");
  });
});

test("packs that are damaged, and a whole appliance read through a damaged mirror", async (t) => {
  const { folder, cache } = scratch(t);
  const remote = path.join(folder, "DNS");
  makeVersions(
    remote,
    [1, 2, 3].map((number) => ({ "DNS.cvl": `DNS extends VMAppliance { var v${number}; }\n` })),
  );
  writeFiles(folder, {
    "o.cvl": `import { url => "${remote}", cvl => "DNS.cvl" } DNS;\nO extends DNS { }\n`,
  });
  const load = () =>
    loadAppliance(gitAt(folder), { file: "o.cvl", cwd: folder, cache, versions: "locked", writeLock: true });
  t.same((await load()).diagnostics, []);
  const mirrored = mirrorFolder(remote, cache);
  for (const ending of [".pack", ".idx"]) {
    for (const [how, damage] of Object.entries(DAMAGES)) {
      git(mirrored, "repack", "-a", "-d", "--quiet");
      const packs = path.join(mirrored, "objects/pack");
      const file = path.join(packs, readdirSync(packs).find((name) => name.endsWith(ending)) ?? "");
      chmodSync(file, 0o644);
      damage(file);
      const { diagnostics, lock } = await load();
      t.same([diagnostics, lock.imports[0]?.version], [[], 3], `${ending} ${how}`);
    }
  }
  renameSync(remote, `${remote}-away`);
  writeFileSync(path.join(mirrored, "HEAD"), "");
  const { diagnostics } = await load();
  t.match(diagnostics, [
    { code: "IMPORT_UNREACHABLE", message: new RegExp(`the mirror ${mirrored} is damaged`) },
  ]);
});

test("lock files of a git that was killed are taken away, those of a living one are not", async (t) => {
  const { folder, cache } = scratch(t);
  const remote = path.join(folder, "DNS");
  makeVersions(remote, VERSIONS.slice(0, 2));
  const mirrored = mirrorFolder(remote, cache);
  await withMirror(remote, cache, (mirror) => mirror.fetch());
  git(mirrored, "pack-refs", "--all");
  for (const [index, name] of [
    "packed-refs.lock",
    "refs/heads/main.lock",
    "refs/tags/v5.lock",
    "refs/cui/default.lock",
    "shallow.lock",
  ].entries()) {
    writeFiles(remote, { n: `${index + 3}\n` });
    git(remote, "commit", "--quiet", "--all", "--message", "next");
    git(remote, "tag", `v${index + 3}`);
    if (name === "packed-refs.lock") git(remote, "tag", "-d", "v1");
    writeFiles(mirrored, { [name]: "" });
    await withMirror(remote, cache, (mirror) => mirror.fetch());
    t.equal(git(mirrored, "rev-parse", `v${index + 3}`), git(remote, "rev-parse", "main"), name);
    rmSync(path.join(mirrored, name), { force: true });
  }
  const lock = path.join(mirrored, "refs/heads/main.lock");
  const at = new Date("2026-01-02T03:04:05Z");
  writeFileSync(lock, "");
  utimesSync(lock, at, at);
  writeFiles(remote, { n: "last\n" });
  git(remote, "commit", "--quiet", "--all", "--message", "last");
  const living = spawn("sleep", ["1000"], { cwd: mirrored, stdio: "ignore" });
  try {
    const fetched = withMirror(remote, cache, (mirror) => mirror.fetch());
    await t.rejects(fetched, {
      code: "REPOSITORY_LOCKED",
      message: `the lock file ${lock} is there since 2026-01-02T03:04:05.000Z: another git works there, or one that was killed left it`,
    });
  } finally {
    living.kill();
  }
});

test("the state of the manager survives the lock of a git that was killed", async (t) => {
  const directory = path.join(t.testdir({}), "state.git");
  const store = await openStateStore(directory);
  const write = (text: string) => store.update(() => ({ message: text, files: new Map([["file", text]]) }));
  await write("one");
  for (const name of ["refs/heads/main.lock", "packed-refs.lock"]) {
    writeFiles(directory, { [name]: "" });
    t.equal((await write(name)).files.get("file"), name);
    rmSync(path.join(directory, name), { force: true });
  }
  t.equal(readFileSync(path.join(directory, "HEAD"), "utf8"), "ref: refs/heads/main\n");
});

test("a Git LFS object of the mirror that was cut is fetched again", async (t) => {
  const { folder, cache } = scratch(t);
  const repository = path.join(folder, "repos/DNS");
  const work = path.join(folder, "dns");
  await createRepository(gitAt(repository));
  writeAppliance(work, makeDisk());
  await publish(gitAt(work), { repository, cvl: "DNS.cvl", cwd: work, cache });
  t.ok((await eachObject(gitAt(), { url: repository, cache })) > 0);
  t.equal(await eachObject(gitAt(), { url: repository, cache }), 0);
  const stored = path.join(mirrorFolder(repository, cache), "lfs/objects");
  const cut =
    readdirSync(stored, { recursive: true, encoding: "utf8" }).find((file) => file.length > 60) ?? "";
  chmodSync(path.join(stored, cut), 0o644);
  truncateSync(path.join(stored, cut), 10);
  t.ok((await eachObject(gitAt(), { url: repository, cache })) > 0);
  t.ok(statSync(path.join(stored, cut)).size > 10);
});

test("a damaged object of the manager's state costs the network it belongs to, and no other", async (t) => {
  const directory = path.join(t.testdir({}), "state.git");
  const store = await openStateStore(directory);
  const files = new Map([
    ["networks/a/network.json", "one"],
    ["networks/a/machines/w.json", "its machine"],
    ["networks/b/network.json", "two"],
  ]);
  await store.update(() => ({ message: "both", files }));
  unpack(directory);
  const error = { code: "REPOSITORY_DAMAGED", message: new RegExp(directory) };
  const everyDamage = async (name: string, look: (title: string) => Promise<void>): Promise<void> => {
    const file = objectFile(directory, name);
    const whole = readFileSync(file);
    for (const [how, damage] of Object.entries(DAMAGES)) {
      damage(file);
      await look(`${name} ${how}`);
      writeFileSync(file, whole);
    }
  };
  for (const name of ["main:networks", "main"])
    await everyDamage(name, async (title) => {
      const opened = openStateStore(directory);
      await t.rejects(
        opened.then((again) => again.read()),
        error,
        `${title}: nothing is made of what is left`,
      );
    });
  for (const name of [
    "networks/a/network.json",
    "networks/a/machines/w.json",
    "networks/a/machines",
    "networks/a",
  ])
    await everyDamage(`main:${name}`, async (title) => {
      const again = await openStateStore(directory);
      const snapshot = await again.read();
      t.equal(snapshot.files.get("networks/b/network.json"), "two", title);
      t.same([...damagedNetworks(snapshot).keys()], ["a"]);
      t.throws(() => readNetwork(snapshot, "a"), error);
      const change = new Map([["networks/b/lease.json", title]]);
      const changed = await again.update(() => ({ message: "b goes on", files: change }));
      t.equal(changed.files.get("networks/b/lease.json"), title);
      t.same([...damagedNetworks(changed).keys()], ["a"], "and what is damaged is not forgotten");
    });
  const end = await (await openStateStore(directory)).read();
  t.equal(end.files.get("networks/a/network.json"), "one");
  t.equal(end.files.get("networks/a/machines/w.json"), "its machine");
  t.equal(end.damaged, undefined);
});
