/** `cui bump --push` with bare repositories and their clones: branches, versions, chains, persons and races. */
import { chmodSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import t, { type Test } from "tap";
import { runCli } from "../../src/cli/main.ts";
import { deleteBumpBranch, pushBumpBranch } from "../../src/bump/remote.ts";
import { createRepository } from "../../src/setup/create.ts";
import { withMirrors } from "../../src/appliance/mirrors.ts";
import { pushBumps, type PushReport } from "../../src/bump/push-bumps.ts";
import { git, gitSucceeds, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";

interface World {
  readonly top: string;
  readonly cache: string;
  bare(name: string): string;
  clone(name: string): string;
  /** Commits files in the clone, and pushes the branch; with `tag` the next version too. */
  change(name: string, files: Readonly<Record<string, string>>, tag?: boolean): void;
  /** A bump job: in a clone of its own, as CI has it. */
  push(name: string): Promise<PushReport>;
  tags(name: string): string[];
}

async function world(t: Test, names: readonly string[]): Promise<World> {
  const { folder: top, cache } = scratch(t);
  const bare = (name: string): string => path.join(top, "srv", name);
  const clone = (name: string): string => path.join(top, "work", name);
  mkdirSync(path.join(top, "work"));
  for (const name of names) {
    await createRepository(gitAt(bare(name)));
    git(top, "clone", "--quiet", bare(name), clone(name));
  }
  let job = 0;
  return {
    top,
    cache,
    bare,
    clone,
    change: (name, files, tag = false) => {
      const folder = clone(name);
      git(folder, "fetch", "--quiet", "origin");
      if (gitSucceeds(folder, "rev-parse", "origin/main"))
        git(folder, "reset", "--quiet", "--hard", "origin/main");
      writeFiles(folder, files);
      git(folder, "add", "--all");
      git(folder, "commit", "--quiet", "--allow-empty", "--message", "change");
      const next = git(folder, "ls-remote", "--tags", "origin").split("\n").filter(Boolean).length + 1;
      git(folder, "push", "--quiet", "origin", "HEAD:main", ...(tag ? [`HEAD:refs/tags/v${next}`] : []));
    },
    push: async (name) => {
      const folder = path.join(top, `job-${(job += 1)}`);
      git(top, "clone", "--quiet", "--depth=1", `file://${bare(name)}`, folder);
      git(folder, "remote", "set-url", "origin", bare(name));
      return withMirrors(gitAt(), (mirrors) => pushBumps({ git: gitAt(folder), mirrors }), { cache });
    },
    tags: (name) => git(bare(name), "tag", "--list").split("\n").filter(Boolean),
  };
}

const base = (note: string): Record<string, string> => ({
  "Base.cvl": `Base extends VMAppliance { var title; vm = "a.vm.yaml"; } // ${note}\n`,
  "a.vm.yaml": "format: 1\nmemory: 64MiB\ndisks: []\n",
});
const derived = {
  "Derived.cvl":
    'import { url => "../Base", cvl => "Base.cvl" } Base;\nDerived extends Base { title = "d"; }\n',
};
const network = {
  "Network.cvl":
    'import { url => "../Derived", cvl => "Derived.cvl" } Derived;\nNetwork extends VANAppliance { Derived d; }\n',
};
const site = {
  "Acme.cvl": 'import { url => "../Network", cvl => "Network.cvl" } Network;\nAcme extends Network { }\n',
};
const AUTOMERGE = { "bump.yaml": "format: 1\nautomerge: replace\n" };
const SITE_AUTOMERGE = { "utility.yaml": "format: 1\nnetworks: []\napproval: { automerge: replace }\n" };

function outcomes({ pushed }: PushReport): string[] {
  return pushed.map(
    ({ bump, outcome, version }) => `${bump.title} ${outcome}${version === undefined ? "" : ` v${version}`}`,
  );
}

/** Base v1 and what derives from it, each locked and published. */
async function chain(t: Test, levels: number, rules: Readonly<Record<string, string>> = {}): Promise<World> {
  const names = ["Base", "Derived", "Network", "Site"].slice(0, levels);
  const files = {
    Derived: { ...derived, ...rules },
    Network: { ...network, ...rules },
    Site: { ...site, ...SITE_AUTOMERGE },
  };
  const w = await world(t, names);
  w.change("Base", base("1"), true);
  for (const [name, content] of Object.entries(files).slice(0, levels - 1)) {
    w.change(name, content);
    await lockAndTag(w, name, name !== "Site");
  }
  return w;
}

/** As its author would: `cui lock`, commit, tag. */
async function lockAndTag(w: World, name: string, tag = true): Promise<void> {
  process.env["XDG_CACHE_HOME"] = path.dirname(w.cache);
  const context = {
    cwd: w.clone(name),
    env: {},
    isTerminal: false,
    print: () => undefined,
    warn: () => undefined,
  };
  if ((await runCli(["lock"], context)) !== 0) throw new Error(`cui lock failed in ${name}`);
  const lock = readFileSync(path.join(w.clone(name), "cvl.lock"), "utf8");
  w.change(name, { "cvl.lock": lock }, tag);
}

t.test("a chain of four levels takes one step each, whatever the order", async (t) => {
  const w = await chain(t, 4, AUTOMERGE);
  const orders = [
    ["Site", "Network", "Derived"],
    ["Derived", "Network", "Site"],
    ["Network", "Site", "Derived"],
  ];
  for (const [index, order] of orders.entries()) {
    const next = index + 2;
    w.change("Base", base(String(next)), true);
    const seen: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      const before = seen.length;
      for (const name of order) seen.push(...outcomes(await w.push(name)).map((line) => `${name}: ${line}`));
      if (seen.length === before) break;
    }
    t.same(seen.sort(), [
      `Derived: Take Base v${next} merged v${next}`,
      `Network: Take Base v${next}, Derived v${next} merged v${next}`,
      `Site: Take Base v${next}, Derived v${next}, Network v${next} merged`,
    ]);
    for (const name of ["Derived", "Network"]) {
      t.equal(w.tags(name).length, next);
      t.equal(git(w.bare(name), "rev-parse", "main"), git(w.bare(name), "rev-parse", `v${next}`));
    }
    t.same(w.tags("Site"), []);
    t.match(
      git(w.bare("Site"), "show", "main:cvl.lock"),
      new RegExp(`Network\n +pin: "\\*"\n +version: ${next}`),
    );
    t.same(git(w.bare("Site"), "branch", "--list").split("\n").length, 1, "no branch is left");
  }

  await t.test("and jobs at the same time make one version", async (t) => {
    w.change("Base", base("5"), true);
    const before = Number(git(w.bare("Derived"), "rev-list", "--count", "main"));
    const reports = await Promise.all([w.push("Derived"), w.push("Derived"), w.push("Derived")]);
    t.equal(w.tags("Derived").length, 5);
    t.equal(Number(git(w.bare("Derived"), "rev-list", "--count", "main")), before + 1);
    t.ok(reports.flatMap(outcomes).every((line) => line === "Take Base v5 merged v5"));
    t.same(outcomes(await w.push("Derived")), []);
  });
});

t.test("without a class that is allowed a branch waits for a person", async (t) => {
  const w = await chain(t, 2);
  w.change("Base", base("2"), true);
  const first = await w.push("Derived");
  t.same(outcomes(first), ["Take Base v2 created"]);
  const [pushed] = first.pushed;
  t.match(pushed?.branch, /^collective\/bump\/srv-Base$/);
  const tip = (): string => git(w.bare("Derived"), "rev-parse", pushed?.branch ?? "");
  t.equal(tip(), pushed?.commit);
  t.match(
    git(w.bare("Derived"), "show", "--stat", "--format=%s", tip()),
    /^Take Base v2\n[^]*cvl\.lock[^]*1 file changed/,
  );
  t.same(outcomes(await w.push("Derived")), ["Take Base v2 unchanged"]);
  git(w.bare("Derived"), "update-ref", "-d", `refs/heads/${pushed?.branch ?? ""}`);
  t.equal((await w.push("Derived")).pushed[0]?.commit, pushed?.commit, "the same commit wherever it is made");

  await t.test(
    "which follows the default branch and newer versions, though it may only go forward",
    async (t) => {
      w.change("Derived", { "README.md": "news\n" });
      t.same(outcomes(await w.push("Derived")), ["Take Base v2 updated"]);
      t.same(outcomes(await w.push("Derived")), ["Take Base v2 unchanged"]);
      w.change("Base", base("3"), true);
      t.same(outcomes(await w.push("Derived")), ["Take Base v3 updated"]);
      t.ok(gitSucceeds(w.bare("Derived"), "merge-base", "--is-ancestor", "main", tip()));
      t.equal(git(w.bare("Derived"), "diff", "--name-only", "main", tip()), "cvl.lock");
    },
  );

  await t.test("or is moved where that is allowed", async (t) => {
    git(w.bare("Derived"), "config", "receive.denyNonFastForwards", "false");
    w.change("Derived", { "README.md": "more news\n" });
    t.same(outcomes(await w.push("Derived")), ["Take Base v3 updated"]);
    t.equal(git(w.bare("Derived"), "rev-list", "--count", `main..${tip()}`), "1");
  });

  await t.test("a person's commits on it stay", async (t) => {
    const folder = path.join(w.top, "person");
    git(w.top, "clone", "--quiet", "--branch", pushed?.branch ?? "", w.bare("Derived"), folder);
    writeFiles(folder, { "Derived.cvl": derived["Derived.cvl"].replace('"d"', '"mine"') });
    git(folder, "commit", "--quiet", "--all", "--message", "fit");
    git(folder, "push", "--quiet");
    const before = tip();
    w.change("Base", base("4"), true);
    t.same(outcomes(await w.push("Derived")), ["Take Base v4 edited"]);
    t.equal(tip(), before);
    // Amended, with our words in the message: still a person's.
    git(folder, "reset", "--quiet", "--hard", "HEAD^");
    writeFiles(folder, { "Derived.cvl": derived["Derived.cvl"].replace('"d"', '"amended"') });
    git(folder, "commit", "--quiet", "--all", "--amend", "--no-edit");
    git(folder, "push", "--quiet", "--force");
    t.same(outcomes(await w.push("Derived")), ["Take Base v4 edited"]);
  });
});

t.test("a branch that became moot goes", async (t) => {
  const w = await chain(t, 2);
  git(w.bare("Derived"), "config", "receive.denyDeletes", "false");
  w.change("Base", base("2"), true);
  await w.push("Derived");
  w.change("Base", { "withdrawn.yaml": "format: 1\nwithdrawn:\n  - { version: 2, why: bad }\n" });
  const report = await w.push("Derived");
  t.same(report.removed, ["collective/bump/srv-Base"]);
  t.equal(git(w.bare("Derived"), "branch", "--list", "collective/*"), "");
});

t.test("what somebody pushes at the last moment stays", async (t) => {
  const w = await chain(t, 2);
  w.change("Base", base("2"), true);
  const [pushed] = (await w.push("Derived")).pushed;
  const branch = pushed?.branch ?? "";
  git(w.bare("Derived"), "config", "receive.denyNonFastForwards", "false");
  const folder = w.clone("Derived");
  git(folder, "fetch", "--quiet", "origin");
  git(folder, "commit", "--quiet", "--allow-empty", "--message", "mine");
  git(folder, "push", "--quiet", "--force", "origin", `HEAD:refs/heads/${branch}`);
  const mine = git(w.bare("Derived"), "rev-parse", branch);
  const commit = git(folder, "rev-parse", "origin/main");
  const target = { git: gitAt(folder), branch, commit };
  t.match(await pushBumpBranch({ ...target, expected: pushed?.commit }), { kind: "stale" });
  t.match(await pushBumpBranch({ ...target, expected: undefined }), { kind: "stale" });
  t.match(await deleteBumpBranch(gitAt(folder), branch, pushed?.commit ?? ""), { kind: "stale" });
  t.equal(git(w.bare("Derived"), "rev-parse", branch), mine);
});

t.test("nothing is merged by itself beyond what is allowed", async (t) => {
  const w = await chain(t, 2);
  const tip = (): string => git(w.bare("Derived"), "rev-parse", "main");
  const notes = async (): Promise<string | undefined> => (await w.push("Derived")).pushed[0]?.note;

  await t.test("by class, as the base says", async (t) => {
    w.change("Derived", { "bump.yaml": "format: 1\nautomerge: parameters\n" }, true);
    w.change("Base", { ...base("2"), "a.vm.yaml": "format: 1\nmemory: 65MiB\ndisks: []\n" }, true);
    const before = tip();
    t.equal(await notes(), "its class is replace, merged by itself is at most parameters");
    t.equal(tip(), before);
  });
  await t.test("together with work that is no version yet", async (t) => {
    w.change("Derived", { "bump.yaml": "format: 1\nautomerge: data\n" });
    t.equal(await notes(), "the default branch has more than the newest version: publish that first");
  });
  await t.test("when it has errors", async (t) => {
    w.change("Derived", {}, true);
    w.change("Base", { "a.vm.yaml": "format: 1\nmemory: nothing\n" }, true);
    t.equal(await notes(), "its preview has errors");
  });
  await t.test("when the repository refuses it", async (t) => {
    w.change("Base", base("4"), true);
    // Asked for each ref alone: without an atomic push the branch would pass.
    writeFiles(w.bare("Derived"), {
      "hooks/update": "#!/bin/sh\ncase $1 in refs/tags/*) echo no versions today >&2; exit 1;; esac\n",
    });
    git(w.bare("Derived"), "config", "core.hooksPath", "hooks");
    chmodSync(path.join(w.bare("Derived"), "hooks/update"), 0o755);
    const before = tip();
    t.match(await notes(), /^the default branch refused it: .*no versions today/);
    t.equal(tip(), before, "branch and tag go together");
  });
});

t.test("the command", async (t) => {
  const w = await chain(t, 2);
  w.change("Base", base("2"), true);
  const run = async (name: string, ...args: string[]): Promise<{ status: number; out: string }> => {
    const out: string[] = [];
    const print = (text: string): void => void out.push(text);
    process.env["XDG_CACHE_HOME"] = path.dirname(w.cache);
    const context = { cwd: w.clone(name), env: {}, isTerminal: false, print, warn: print };
    return { status: await runCli(["bump", ...args], context), out: out.join("\n") };
  };
  git(w.clone("Derived"), "pull", "--quiet", "--ff-only", "origin", "main");
  t.match(await run("Derived", "--dry-run"), { status: 0, out: /\/Base: v1 → v2/ });
  t.equal(git(w.clone("Derived"), "status", "--porcelain"), "");
  const json = await run("Derived", "--push", "--json");
  t.match(JSON.parse(json.out), {
    bumps: [{ outcome: "created", class: "none", version: null }],
    heldBack: [],
  });
  t.equal(git(w.clone("Derived"), "status", "--porcelain"), "", "the working tree is not touched");
  t.match(await run("Derived", "--push"), { status: 0, out: /unchanged {2}Take Base v2/ });
  t.match(await run("Derived"), { status: 0, out: /v1 → v2/ });
  t.equal(git(w.clone("Derived"), "status", "--porcelain"), " M cvl.lock");
  t.match(await run("Derived", "--push", "--dry-run"), { status: 2 });

  w.change("Base", { "Base.cvl": 'Base extends VMAppliance { vm = "a.vm.yaml"; }\n' }, true);
  t.match(await run("Derived", "--push"), { status: 1, out: /CVL_UNKNOWN_PARAMETER[^]*BUMP_REFUSED/ });
  t.ok(existsSync(path.join(w.bare("Derived"), "refs/heads/collective/bump/srv-Base")), "its branch stays");
  git(w.clone("Derived"), "remote", "remove", "origin");
  t.match(await run("Derived", "--push"), { status: 1, out: /BUMP_NO_REMOTE/ });
});
