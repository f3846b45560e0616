/** Finding and applying bumps: real repositories, a working tree, the rules of bump.yaml and utility.yaml. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import t, { type Test } from "tap";
import { CollectiveError } from "../../src/errors.ts";
import { parseLock } from "../../src/appliance/lock.ts";
import { readOwnImports, editPins } from "../../src/bump/own-imports.ts";
import { applyBumps } from "../../src/bump/apply-bumps.ts";
import type { FoundBumps } from "../../src/bump/find-bumps.ts";
import { parseBumpRules } from "../../src/bump/rules.ts";
import { git, scratch, writeFiles, gitAt } from "../git/git-fixture.ts";

const DAY_MS = 86_400_000;

interface World {
  readonly top: string;
  readonly cache: string;
  /** Publishes the next version of a repository; `date` as git takes it. */
  publish(
    name: string,
    files: Readonly<Record<string, string>>,
    options?: { date?: string; tagDate?: string },
  ): void;
  /** Bumps the working tree of a folder. */
  bump(name: string, options?: Partial<Parameters<typeof applyBumps>[0]>): Promise<FoundBumps>;
  read(name: string, file: string): string;
  /** `url tail → version` of a lock. */
  locked(name: string): Record<string, number>;
}

function world(t: Test): World {
  const { folder: top, cache } = scratch(t);
  const at = (name: string): string => path.join(top, name);
  return {
    top,
    cache,
    publish: (name, files, { date = "2026-01-01T00:00:00Z", tagDate } = {}) => {
      const folder = at(name);
      mkdirSync(folder, { recursive: true });
      process.env["GIT_COMMITTER_DATE"] = date;
      try {
        if (!isRepository(folder)) git(folder, "init", "--quiet", "--initial-branch=main", ".");
        writeFiles(folder, files);
        git(folder, "add", "--all");
        git(folder, "commit", "--quiet", "--allow-empty", "--message", "next");
        const next = git(folder, "tag", "--list", "v*").split("\n").filter(Boolean).length + 1;
        if (tagDate !== undefined) process.env["GIT_COMMITTER_DATE"] = tagDate;
        git(folder, "tag", ...(tagDate === undefined ? [] : ["-m", "annotated"]), `v${next}`);
      } finally {
        Reflect.deleteProperty(process.env, "GIT_COMMITTER_DATE");
      }
    },
    bump: (name, options = {}) =>
      applyBumps({
        git: gitAt(at(name)),
        cache,
        isDryRun: false,
        now: Date.parse("2026-06-01T00:00:00Z"),
        ...options,
      }),
    read: (name, file) => readFileSync(path.join(at(name), file), "utf8"),
    locked: (name) => {
      const { lock } = parseLock(readFileSync(path.join(at(name), "cvl.lock"), "utf8"), "cvl.lock");
      return Object.fromEntries(
        (lock?.imports ?? []).map(({ url, pin, version }) => [`${path.basename(url)} ${pin}`, version]),
      );
    },
  };
}

function isRepository(folder: string): boolean {
  try {
    readFileSync(path.join(folder, ".git/HEAD"));
    return true;
  } catch {
    return false;
  }
}

const machine = (name: string, note = ""): Record<string, string> => ({
  [`${name}.cvl`]: `${name} extends VMAppliance { var title; vm = "a.vm.yaml"; } ${note}\n`,
  "a.vm.yaml": "format: 1\nmemory: 64MiB\ndisks: []\n",
});

async function refusal(promise: Promise<unknown>): Promise<CollectiveError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof CollectiveError) return error;
  throw new Error(`expected a refusal, got ${String(error)}`);
}

const SITE = `CVL = "0.8";
// What we run. version => "1" in a comment stays.
import { url => "../DNS", cvl => "DNS.cvl" } DNS;
import {
  version /* our pin */ => "1", // stays
  url   => "../Web",
  cvl => "Web.cvl",
} Web;
Office extends VANAppliance {
  DNS d; Web w; w.title = "version => \\"1\\"";
}
`;

t.test("pins are read and edited in place", (t) => {
  const own = readOwnImports({ file: "Office.cvl", text: SITE, baseUrl: "/srv/site" });
  t.match(own, [
    { url: "/srv/DNS", pin: "*", pinRange: undefined },
    { url: "/srv/Web", pin: "1", pinRange: { start: Number } },
  ]);
  const edited = editPins(SITE, own, [{ url: "/srv/Web", from: "1", to: 12 }]);
  t.equal(edited, SITE.replace('our pin */ => "1",', 'our pin */ => "12",'));
  t.equal(editPins(SITE, own, [{ url: "/srv/Web", from: "2", to: 3 }]), SITE);
  t.end();
});

t.test("a working tree is moved to what is newer", async (t) => {
  const w = world(t);
  w.publish("DNS", machine("DNS"));
  w.publish("Web", machine("Web"));
  writeFiles(path.join(w.top, "site"), { "Office.cvl": SITE });
  const first = await w.bump("site");
  t.same(w.locked("site"), { "DNS *": 1, "Web 1": 1 }, "what the lock lacks is written");
  t.match(first.bumps[0]?.updates, [{ pin: "*", from: undefined, to: 1 }]);
  t.same((await w.bump("site")).bumps, []);

  w.publish("DNS", machine("DNS", "// 2"));
  w.publish("Web", machine("Web", "// 2"));
  w.publish("Web", machine("Web", "// 3"));
  const before = w.read("site", "cvl.lock");
  const looked = await w.bump("site", { isDryRun: true });
  t.match(
    looked.bumps[0]?.changes.map(({ url, from, to, pin }) => [path.basename(url), from, to, pin]),
    [
      ["DNS", 1, 2, undefined],
      ["Web", 1, 3, 3],
    ],
  );
  t.equal(w.read("site", "cvl.lock"), before, "looking changes nothing");
  await w.bump("site");
  t.same(w.locked("site"), { "DNS *": 2, "Web 3": 3 });
  t.equal(w.read("site", "Office.cvl"), SITE.replace('our pin */ => "1",', 'our pin */ => "3",'));
  t.same((await w.bump("site")).bumps, [], "running twice changes nothing");
});

t.test("versions nobody should take are not taken", async (t) => {
  const w = world(t);
  const withdrawn = "format: 1\nwithdrawn:\n  - { version: 5, why: bad }\n";
  for (let version = 1; version <= 5; version += 1) {
    w.publish("DNS", {
      ...machine("DNS", `// ${version}`),
      ...(version === 5 ? { "withdrawn.yaml": withdrawn } : {}),
    });
  }
  writeFiles(path.join(w.top, "site"), {
    "A.cvl":
      'import { url => "../DNS", cvl => "DNS.cvl", version => "1" } DNS;\nA extends VANAppliance { DNS d; }\n',
    "utility.yaml": `format: 1\nblacklist:\n  - { url: "${w.top}/DNS", versions: 4, reason: leaks }\n`,
    "bump.yaml": `format: 1\nignore:\n  - { url: "${w.top}/*", versions: 3 }\n`,
  });
  const found = await w.bump("site", { isDryRun: true });
  t.match(found.bumps[0]?.updates, [{ from: 1, to: 2 }]);
  t.match(found.heldBack, [
    { version: 3, why: "ignored" },
    { version: 4, why: "on the blacklist: leaks" },
  ]);
  const quarantine = [{ url: `${w.top}/DNS`, versions: [{ first: 2, last: 2 }], reason: "did not start" }];
  t.same((await w.bump("site", { quarantine })).bumps, []);
});

t.test("a version waits until it is old enough", async (t) => {
  const w = world(t);
  w.publish("DNS", machine("DNS"));
  writeFiles(path.join(w.top, "site"), {
    "A.cvl": 'import { url => "../DNS", cvl => "DNS.cvl" } DNS;\nA extends VANAppliance { DNS d; }\n',
    "bump.yaml": "format: 1\nminimumAge: 3d\n",
  });
  await w.bump("site");
  w.publish("DNS", machine("DNS", "// 2"), { date: "2026-05-10T00:00:00Z" });
  // An old commit that is tagged today is as young as its tag.
  w.publish("DNS", machine("DNS", "// 3"), { date: "2026-05-11T00:00:00Z", tagDate: "2026-05-31T00:00:00Z" });
  const now = Date.parse("2026-06-01T00:00:00Z");
  t.match((await w.bump("site", { isDryRun: true, now })).bumps[0]?.updates, [{ to: 2 }]);
  t.match((await w.bump("site", { isDryRun: true, now: now + 3 * DAY_MS })).bumps[0]?.updates, [{ to: 3 }]);
  w.publish("DNS", machine("DNS", "// 4"), { date: "2099-01-01T00:00:00Z" });
  const found = await w.bump("site", { isDryRun: true, now: now + 3 * DAY_MS });
  t.match(found.bumps[0]?.updates, [{ to: 3 }], "a date in the future is not old");
  t.match(found.heldBack, [{ version: 4, why: /^too young until 2099-01-04/ }]);
});

t.test("an upstream's pin stays the upstream's, and its new version may bring another", async (t) => {
  const w = world(t);
  w.publish("DNS", machine("DNS"));
  const network = (pin: number): Record<string, string> => ({
    "Net.cvl": `import { url => "../DNS", cvl => "DNS.cvl", version => "${pin}" } DNS;\nNet extends VANAppliance { DNS d; }\n`,
  });
  w.publish("Net", network(1));
  writeFiles(path.join(w.top, "site"), {
    "A.cvl": 'import { url => "../Net", cvl => "Net.cvl" } Net;\nA extends Net { }\n',
  });
  await w.bump("site");
  w.publish("DNS", machine("DNS", "// 2"));
  t.same((await w.bump("site")).bumps, []);
  w.publish("Net", network(2));
  const found = await w.bump("site");
  t.same(w.locked("site"), { "DNS 2": 2, "Net *": 2 });
  t.match(
    found.bumps[0]?.changes.map(({ url, from, to }) => [path.basename(url), from, to]),
    [
      ["Net", 1, 2],
      ["DNS", undefined, 2],
      ["DNS", 1, undefined],
    ],
  );
});

t.test("an import of an upstream follows that upstream, but not for ever", async (t) => {
  const w = world(t);
  const network = (lock?: string): Record<string, string> => ({
    "Net.cvl": 'import { url => "../DNS", cvl => "DNS.cvl" } DNS;\nNet extends VANAppliance { DNS d; }\n',
    ...(lock === undefined ? {} : { "cvl.lock": lock }),
  });
  w.publish("DNS", machine("DNS"));
  writeFiles(path.join(w.top, "Net"), network());
  await w.bump("Net");
  w.publish("Net", network(w.read("Net", "cvl.lock")));
  writeFiles(path.join(w.top, "site"), {
    "A.cvl": 'import { url => "../Net", cvl => "Net.cvl" } Net;\nA extends Net { }\n',
  });
  await w.bump("site");
  w.publish("DNS", machine("DNS", "// 2"), { date: "2026-05-31T00:00:00Z" });
  t.same((await w.bump("site")).bumps, [], "the network has not taken it yet");
  const later = await w.bump("site", { isDryRun: true, now: Date.parse("2026-06-08T00:00:00Z") });
  t.match(later.bumps[0]?.updates, [{ url: /DNS$/, from: 1, to: 2, carriers: [] }], "a week is enough");
  await w.bump("Net");
  w.publish("Net", {});
  const found = await w.bump("site");
  t.match(
    found.bumps[0]?.updates.map(({ url, carriers }) => [path.basename(url), carriers.length]),
    [
      ["DNS", 1],
      ["Net", 0],
    ],
  );
  t.same(w.locked("site"), { "DNS *": 2, "Net *": 2 });
});

t.test("mistakes are shown, and nothing is written", async (t) => {
  const w = world(t);
  w.publish("DNS", machine("DNS"));
  writeFiles(path.join(w.top, "site"), {
    "A.cvl":
      'import { url => "../DNS", cvl => "DNS.cvl" } DNS;\nA extends VANAppliance { DNS d; d.title = "x"; }\n',
  });
  await w.bump("site");
  w.publish("DNS", { "DNS.cvl": 'DNS extends VMAppliance { vm = "a.vm.yaml"; }\n' });
  const before = w.read("site", "cvl.lock");
  const error = await refusal(w.bump("site"));
  t.equal(error.code, "INVALID_INPUT");
  t.match(error.message, /the new versions do not go together\nA\.cvl:2:.*CVL_UNKNOWN_PARAMETER/);
  t.equal(w.read("site", "cvl.lock"), before);
  writeFileSync(path.join(w.top, "site/bump.yaml"), "format: 1\nlimits: 3\n");
  t.match(
    (await refusal(w.bump("site"))).message,
    /bump\.yaml has 1 mistake\nbump\.yaml:2:1: error BUMP_RULES_INVALID/,
  );
  mkdirSync(path.join(w.top, "empty"));
  t.match((await refusal(w.bump("empty"))).message, /there is no CVL file/);
});

t.test("rules are checked", (t) => {
  const message = (text: string): string[] =>
    parseBumpRules(`format: 1\n${text}`, "bump.yaml").diagnostics.map((found) => found.message);
  t.match(message("minimumAge: 3"), [/minimumAge/]);
  t.match(message("automerge: everything"), [/automerge/]);
  t.same(
    parseBumpRules("format: 1\nautomerge: data\n", "b", { isSite: true }).diagnostics.map(({ code }) => code),
    ["BUMP_RULES_INVALID"],
  );
  t.match(message("labels: ['collective: data']"), [/labels that begin with/]);
  t.match(message("groups: [{ name: 'a/b', urls: [x] }]"), [/groups.0.name/]);
  t.match(message("groups: [{ name: a, urls: [x] }, { name: A, urls: [y] }]"), [/"A" is there twice/]);
  t.match(message("ignore: [{ url: x, versions: 3-1 }]"), [/ignore.0.versions/]);
  t.match(parseBumpRules("format: 1\nminimumAge: 2w\npatience: 12h\nlabels: [dependencies]\n", "b"), {
    rules: { minimumAgeMs: 14 * DAY_MS, patienceMs: DAY_MS / 2, limit: 10, labels: ["dependencies"] },
  });
  t.end();
});
