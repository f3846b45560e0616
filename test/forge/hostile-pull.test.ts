/**
 * Hostile pull requests, as `plan` meets them: a process of its own with little memory, where every program but git is a trap
 * that records its call. Refused or escaped, in bounded time and memory, with no token in anything that comes out.
 */
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { test, type Test } from "tap";
import { parseOutputs } from "../actions/action-process.ts";
import { git, makeVersions } from "../git/git-fixture.ts";
import { DISKLESS, utilityYaml, type SiteFixture } from "../manager/site-fixture.ts";
import { JOB_TOKEN } from "./github-fixture.ts";
import { openPull, writeEvent, type Files, type PullFixture } from "./preview-fixture.ts";

const IMPORT_TOKEN = "ghp_0123456789importimportimport";
/** What a process may have beside the machine's shared pages, and how long it may take on a machine that is busy. */
const MEMORY_MIB = 1500;
const SECONDS = 300;

interface Outcome {
  readonly status: number | null;
  readonly seconds: number;
  readonly memoryMiB: number;
  /** Everything that came out: log, outputs, summary, artifact, comments, check runs. */
  readonly everything: string;
  readonly outputs: Record<string, string>;
  /** Names of programs that were started and are none of ours. */
  readonly trapped: string;
  readonly problems: string;
}

/** Programs a name or a URL in a repository might start; git may start those of git itself. */
const TRAPS = [
  "sh",
  "bash",
  "ssh",
  "curl",
  "wget",
  "python3",
  "touch",
  "id",
  "nc",
  "perl",
  "git-remote-ext",
  "evil",
];

/** How a mirror's lock is held: the same words whatever the content says. */
const OUR_SHELL = "sh -c echo && exec cat\n";

let bundle: Promise<string> | undefined;

/** The plan action, bundled as the release does, with a line at its end that tells its memory. */
function planAction(t: Test): Promise<string> {
  const outfile = path.join(t.testdirName, "..", "hostile-plan.mjs");
  return (bundle ??= build({
    entryPoints: ["actions/plan/main.ts"],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
    logLevel: "error",
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);process.on('exit',()=>console.log('maxrss',process.resourceUsage().maxRSS));",
    },
  }).then(() => path.resolve(outfile)));
}

async function plan(
  t: Test,
  pull: PullFixture,
  options: { readonly refusePaths?: boolean; readonly fork?: boolean } = {},
): Promise<Outcome> {
  const folder = path.join(t.testdirName, "run");
  rmSync(folder, { recursive: true, force: true });
  const traps = path.join(folder, "traps");
  mkdirSync(traps, { recursive: true });
  const record = path.join(folder, "trapped.txt");
  for (const name of TRAPS) {
    const goOn = name === "sh" ? 'exec /bin/sh "$@"\n' : "";
    writeFileSync(path.join(traps, name), `#!/bin/sh\necho ${name} "$@" >> ${record}\n${goOn}`);
    chmodSync(path.join(traps, name), 0o755);
  }
  const outputFile = path.join(folder, "output.txt");
  const action = await planAction(t);
  const env = {
    PATH: `${traps}:${process.env["PATH"] ?? ""}`,
    HOME: folder,
    XDG_CACHE_HOME: path.join(pull.site.cache, "hostile"),
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GITHUB_WORKSPACE: pull.site.folder,
    GITHUB_REPOSITORY: "acme/site",
    GITHUB_EVENT_NAME: "pull_request",
    GITHUB_EVENT_PATH: writeEvent(folder, pull.job({ fork: options.fork === true }).event),
    GITHUB_API_URL: pull.server.url,
    GITHUB_OUTPUT: outputFile,
    GITHUB_STEP_SUMMARY: path.join(folder, "summary.md"),
    "INPUT_REFUSE-PATHS": String(options.refusePaths ?? true),
    "INPUT_GITHUB-TOKEN": JOB_TOKEN,
    "INPUT_IMPORT-TOKEN": IMPORT_TOKEN,
    "INPUT_OUTPUT-DIRECTORY": path.join(folder, "artifact"),
  };
  const startedAt = Date.now();
  const { status, log } = await new Promise<{ status: number | null; log: string }>((resolve) => {
    const child = spawn(process.execPath, [`--max-old-space-size=${MEMORY_MIB}`, action], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: SECONDS * 1000,
      killSignal: "SIGKILL",
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (data: Buffer) => (text += data.toString()));
    child.on("close", (code) => {
      resolve({ status: code, log: text });
    });
  });
  const artifact = path.join(folder, "artifact");
  const read = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "");
  const preview = JSON.parse(read(path.join(artifact, "preview.json")) || '{"networks":[]}') as {
    networks: { problems?: string[] }[];
  };
  return {
    status,
    seconds: (Date.now() - startedAt) / 1000,
    memoryMiB: Number(/maxrss (\d+)/.exec(log)?.[1] ?? Number.NaN) / 1024,
    outputs: parseOutputs(outputFile),
    trapped: read(record).replaceAll(OUR_SHELL, ""),
    problems: preview.networks.flatMap(({ problems = [] }) => problems).join("\n"),
    everything: [
      log,
      read(outputFile),
      read(path.join(folder, "summary.md")),
      ...(existsSync(artifact) ? readdirSync(artifact).map((name) => read(path.join(artifact, name))) : []),
      ...pull.comments(),
      JSON.stringify(pull.checks()),
    ].join("\n"),
  };
}

/** What must hold for every one of them. */
function holds(t: Test, outcome: Outcome): void {
  t.ok(outcome.status === 0 || outcome.status === 1, `it ends by itself, with ${outcome.status}`);
  t.equal(outcome.trapped, "", "no program was started");
  t.ok(outcome.seconds < SECONDS, `in ${outcome.seconds} s`);
  t.ok(outcome.memoryMiB < MEMORY_MIB + 500, `in ${outcome.memoryMiB} MiB`);
  t.notOk(
    outcome.everything.includes(JOB_TOKEN) || outcome.everything.includes(IMPORT_TOKEN),
    "no token comes out",
  );
  t.notMatch(outcome.everything, Buffer.from(`x-access-token:${IMPORT_TOKEN}`).toString("base64"));
}

const hostile = (
  t: Test,
  head: (site: SiteFixture) => Files,
  prepare?: (site: SiteFixture) => void,
): Promise<PullFixture> =>
  openPull(t, (site) => ({ base: { "office.cvl": site.office() }, head: head(site) }), prepare);

const importing = (url: string, cvl = "DNS.cvl"): string =>
  `import { url => "${url}", cvl => "${cvl}" } DNS;\nOffice extends VANAppliance { DNS d; }\n`;

test("texts and names that would be Markdown, HTML, mentions, commands, expressions", async (t) => {
  const nasty = [
    "@everyone",
    "![x](https://evil.example/x.png)",
    "</details><script>alert(1)</script>",
    "`` ` ``` ```",
    "<!-- collective:sticky 0 -->",
    "#1 fixes #2",
    "/close",
    "${{ secrets.GITHUB_TOKEN }}",
    "::set-output name=class::none",
    "\u202e",
  ].join(" ");
  const name = "${{ github.token }} <img src=x> `a` @everyone.cvl";
  const pull = await hostile(t, (site) => ({
    "utility.yaml": `format: 1\nnetworks:\n  - { id: office, file: office.cvl }\n  - { id: evil, file: ${JSON.stringify(name)} }\n`,
    "office.cvl": site.office({ title: nasty.replaceAll('"', "") }),
    [name]: site.office({ more: `w.titel = "${nasty}";` }),
  }));
  const outcome = await plan(t, pull, { refusePaths: false });
  holds(t, outcome);
  const [comment = ""] = pull.comments();
  t.match(comment, /2 networks cannot be planned|1 network cannot be planned/);
  const outside = comment
    .split("\n")
    .slice(1)
    .join("\n")
    .replaceAll(/```mermaid[^]*?\n```/g, "")
    .replaceAll(/`[^`\n]*`/g, "");
  t.notMatch(outside, /@everyone|evil\.example|<script|<img|<!--|secrets\.|#1|::set-output/);
  t.notMatch(outcome.everything, /^::set-output/m);
});

test("links in the place of files", async (t) => {
  const replace = (name: string) => (site: SiteFixture) => {
    rmSync(path.join(site.folder, name), { force: true });
    symlinkSync("/etc/passwd", path.join(site.folder, name));
  };
  for (const name of ["office.cvl", "utility.yaml", "cvl.lock"]) {
    await t.test(name, async (t) => {
      const pull = await hostile(t, () => ({}), replace(name));
      const outcome = await plan(t, pull, { refusePaths: false });
      holds(t, outcome);
      t.equal(outcome.status, 1);
      t.match(outcome.problems, /is a symlink, not a file/);
      t.notMatch(outcome.everything, /root:x:0/);
    });
  }
});

test("URLs that are paths, files, helpers, options", async (t) => {
  const marker = path.join(t.testdirName, "marker");
  for (const [url, code] of [
    ["/etc", "IMPORT_URL_REFUSED"],
    ["../../secrets", "IMPORT_"],
    ["file:///etc", "IMPORT_URL_REFUSED"],
    [`ext::sh -c touch% ${marker}`, "IMPORT_REFUSED|IMPORT_URL_REFUSED"],
    [`ext::touch%${marker}`, "IMPORT_REFUSED|IMPORT_URL_REFUSED"],
    ["--upload-pack=touch", "IMPORT_REFUSED|IMPORT_URL_REFUSED"],
    ["ssh://-oProxyCommand=touch/x", "IMPORT_REFUSED|IMPORT_URL_REFUSED"],
    ["git://127.0.0.1/x", "IMPORT_REFUSED|IMPORT_URL_REFUSED"],
  ] as const) {
    await t.test(url.replaceAll(/[^a-z]/g, "").slice(0, 12), async (t) => {
      const pull = await hostile(t, () => ({ "office.cvl": importing(url) }));
      const outcome = await plan(t, pull, { fork: true });
      holds(t, outcome);
      t.equal(outcome.status, 1);
      t.match(outcome.problems, new RegExp(code));
      t.notOk(existsSync(marker));
    });
  }
});

test("a gigabyte, as utility.yaml and as the root file", async (t) => {
  const pull = await hostile(
    t,
    () => ({}),
    (site) => {
      commitGigabyte(site.folder, ["utility.yaml", "office.cvl"]);
    },
  );
  const outcome = await plan(t, pull, { refusePaths: false });
  holds(t, outcome);
  t.equal(outcome.status, 1);
  t.match(outcome.problems, /utility\.yaml of commit \w+ has 1073741824 bytes; at most/);
  t.match(outcome.problems, /office\.cvl of commit \w+ has 1073741824 bytes; at most/);
});

/** Straight into git's index: the file never lies in the work tree. */
function commitGigabyte(folder: string, names: readonly string[]): void {
  const file = path.join(folder, "..", "gigabyte");
  writeFileSync(file, "");
  truncateSync(file, 1024 ** 3);
  const blob = git(
    folder,
    "-c",
    "core.compression=1",
    "-c",
    "core.bigFileThreshold=1m",
    "hash-object",
    "-w",
    "--no-filters",
    file,
  );
  rmSync(file);
  for (const name of names) {
    rmSync(path.join(folder, name));
    git(folder, "update-index", "--add", "--cacheinfo", `100644,${blob},${name}`);
    git(folder, "update-index", "--skip-worktree", name);
  }
}

test("100,000 components", async (t) => {
  const components = Array.from({ length: 100_000 }, (_, index) => `  DNS d${index};`).join("\n");
  const pull = await hostile(t, (site) => ({
    "office.cvl": `import { url => "${site.repositories}/DNS", cvl => "DNS.cvl", version => "1" } DNS;\nOffice extends VANAppliance {\n${components}\n}\n`,
  }));
  const outcome = await plan(t, pull, { refusePaths: false });
  holds(t, outcome);
  t.ok((pull.comments()[0] ?? "").length <= 60_100);
});

test("locks and tags that lie, lists that are widened", async (t) => {
  const lock = (url: string, commit: string): string =>
    `format: 1\nimports:\n  - { url: "${url}", pin: "1", version: 1, commit: ${commit}, tree: ${commit} }\n`;

  await t.test("a lock that names another commit", async (t) => {
    const pull = await hostile(t, (site) => ({
      "cvl.lock": lock(`${site.repositories}/DNS`, "a".repeat(40)),
    }));
    const outcome = await plan(t, pull, { refusePaths: false });
    holds(t, outcome);
    t.match(outcome.problems, "IMPORT_TAG_MOVED");
  });

  await t.test("a tag that was moved", async (t) => {
    const pull = await hostile(
      t,
      (site) => ({ "office.cvl": site.office({ title: "New" }) }),
      (site) => {
        const dns = path.join(site.repositories, "DNS");
        const [commit, tree] = ["v1", "v1^{tree}"].map((rev) => git(dns, "rev-parse", rev));
        writeFileSync(
          path.join(site.folder, "cvl.lock"),
          `format: 1\nimports:\n  - { url: "${dns}", pin: "1", version: 1, commit: ${commit}, tree: ${tree} }\n`,
        );
        git(dns, "tag", "--force", "v1", "v2");
      },
    );
    const outcome = await plan(t, pull, { refusePaths: false });
    holds(t, outcome);
    t.match(outcome.problems, "IMPORT_TAG_MOVED");
  });

  await t.test("a URL outside imports.allow, also when the head allows it, also from the lock", async (t) => {
    const allow = (url: string): string =>
      utilityYaml({ office: "office.cvl" }, `imports: { allow: ["${url}"] }\n`);
    const url = "http://127.0.0.1:9/evil";
    const pull = await openPull(t, (site) => ({
      base: { "utility.yaml": allow(site.repositories), "office.cvl": site.office() },
      head: {
        "utility.yaml": allow("http://127.0.0.1:9"),
        "office.cvl": importing(url),
        "cvl.lock": lock(url, "a".repeat(40)),
      },
    }));
    const outcome = await plan(t, pull, { refusePaths: false });
    holds(t, outcome);
    t.match(outcome.problems, /IMPORT_URL_REFUSED.*imports\.allow/);
    t.match(pull.comments()[0], /this changes `imports\.allow`/);
  });

  await t.test("a blacklist that is lifted", async (t) => {
    const pull = await openPull(t, (site) => ({
      base: {
        "utility.yaml": utilityYaml(
          { office: "office.cvl" },
          `blacklist:\n  - { url: "${site.repositories}/DNS", versions: 2 }\n`,
        ),
        "office.cvl": site.office(),
      },
      head: { "utility.yaml": utilityYaml({ office: "office.cvl" }), "office.cvl": site.office({ dns: 2 }) },
    }));
    const outcome = await plan(t, pull, { refusePaths: false });
    holds(t, outcome);
    t.match(outcome, { status: 1, outputs: { applicable: "false" } });
    t.match(pull.comments()[0], /This cannot be applied/);
  });

  await t.test("imports in a circle across repositories", async (t) => {
    const pull = await hostile(t, (site) => {
      const url = (name: string): string => path.join(site.repositories, name);
      for (const [name, other] of [
        ["A", "B"],
        ["B", "A"],
      ] as const) {
        const text = `import { url => "${url(other)}", cvl => "${other}.cvl", version => "1" } ${other};\n${name} extends ${other} { }\n`;
        makeVersions(url(name), [{ [`${name}.cvl`]: text, "x.vm.yaml": DISKLESS }]);
      }
      return { "office.cvl": importing(url("A"), "A.cvl").replaceAll("DNS", "A") };
    });
    const outcome = await plan(t, pull, { refusePaths: false });
    holds(t, outcome);
    t.match(outcome.problems, /CVL_(IMPORT|INHERITANCE)_CYCLE/);
  });
});
