/** The bump job against the GitHub double: real upstreams, real clones, one pull request a group whatever fails. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import t, { type Test } from "tap";
import { runBumpJob } from "../../../src/forge/jobs/bump-job.ts";
import type { JobResult } from "../../../src/forge/jobs/job.ts";
import type { VersionDifference } from "../../../src/preview/version-difference.ts";
import { renderBumpBody } from "../../../src/forge/bump-body.ts";
import { git, gitSucceeds, makeVersions, writeFiles, gitAt, scratch } from "../../git/git-fixture.ts";
import { parseOutputs } from "../../actions/action-process.ts";
import { failure, secondaryLimit } from "../github-server-faults.ts";
import {
  forgeOf,
  JOB_TOKEN,
  PERSON_TOKEN,
  refusal,
  repository,
  site,
  startServer,
} from "../github-fixture.ts";
import type { GitHubServer } from "../github-server.ts";

const execFileAsync = promisify(execFile);

interface Pull {
  readonly number: number;
  readonly title: string;
  readonly body: string | null;
  readonly headBranch: string;
  readonly state: string;
  readonly merged: boolean;
  readonly labels: readonly string[];
}

interface World {
  readonly top: string;
  readonly server: GitHubServer;
  readonly bare: string;
  /** The next version of an upstream. */
  upstream(
    name: string,
    files: Readonly<Record<string, string>>,
    options?: { notes?: string; date?: string },
  ): void;
  /** Changes the site's default branch. */
  change(files: Readonly<Record<string, string | null>>): Promise<string>;
  /** A job in a clone of its own. */
  job(): Promise<JobResult & { readonly log: string; readonly summary: string }>;
  pulls(state?: string): Pull[];
  /** What the bumps of a job's report came to. */
  outcomes(result: JobResult): string[];
  person(): ReturnType<typeof forgeOf>;
}

async function world(t: Test, files: Readonly<Record<string, string>>): Promise<World> {
  const { folder: top } = scratch(t);
  const server = await startServer(t);
  const { gitDirectory: bare } = server.state.repositories.get("acme/site")!;
  const upstreams = path.join(path.dirname(bare), "..", "up");
  let jobs = 0;
  const w: World = {
    top: upstreams,
    server,
    bare,
    upstream: (name, content, { notes, date = "2026-01-01T00:00:00Z" } = {}) => {
      const folder = path.join(upstreams, name);
      process.env["GIT_COMMITTER_DATE"] = date;
      try {
        if (!gitSucceeds(upstreams, "-C", folder, "rev-parse", "--git-dir")) makeVersions(folder, []);
        writeFiles(folder, content);
        git(folder, "add", "--all");
        git(folder, "commit", "--quiet", "--allow-empty", "--message", `make ${name}`);
        const next = git(folder, "tag").split("\n").filter(Boolean).length + 1;
        git(folder, "tag", ...(notes === undefined ? [] : ["-m", notes]), `v${next}`);
      } finally {
        Reflect.deleteProperty(process.env, "GIT_COMMITTER_DATE");
      }
    },
    change: (content) => server.commit("acme/site", "main", content),
    job: async () => {
      const workspace = path.join(top, `job-${(jobs += 1)}`);
      git(top, "clone", "--quiet", bare, workspace);
      const lines: string[] = [];
      const summary = path.join(top, `summary-${jobs}`);
      writeFileSync(summary, "");
      const result = await runBumpJob(
        { repository, directory: ".", branch: undefined, cache: path.join(top, `cache`) },
        {
          git: gitAt(workspace),
          env: { GITHUB_STEP_SUMMARY: summary },
          event: {},
          forge: () => forgeOf(server, JOB_TOKEN),
          print: (line) => void lines.push(line),
        },
      );
      return { ...result, log: lines.join("\n"), summary: readFileSync(summary, "utf8") };
    },
    pulls: (state = "open") =>
      server.state.repositories.get("acme/site")!.pulls.filter((pull) => pull.state === state),
    outcomes: ({ outputs }) => {
      const report = JSON.parse(outputs["report"] ?? "{}") as { bumps: { group: string; outcome: string }[] };
      return report.bumps.map(({ group, outcome }) => `${group} ${outcome}`);
    },
    person: () => forgeOf(server, PERSON_TOKEN),
  };
  mkdirSync(upstreams, { recursive: true });
  for (const name of ["DNS", "Web"]) w.upstream(name, machine(name));
  await w.change({ "Acme.cvl": acme(w.top), ...files });
  return w;
}

const machine = (name: string, note = "", memory = 64): Record<string, string> => ({
  [`${name}.cvl`]: `${name} extends VMAppliance { var title; vm = "a.vm.yaml"; } ${note}\n`,
  "a.vm.yaml": `format: 1\nmemory: ${memory}MiB\ndisks: []\n`,
});

const acme = (upstreams: string): string => `CVL = "0.8";
import { url => "${upstreams}/DNS", cvl => "DNS.cvl" } DNS;
import { url => "${upstreams}/Web", cvl => "Web.cvl", version => "1" } Web;
Acme extends VANAppliance { DNS d; Web w; }
`;

const UTILITY = "format: 1\nnetworks: []\n";
const AUTOMERGE = `${UTILITY}approval: { automerge: replace }\n`;

/** A site that is up to date: its lock is merged already. */
async function settled(
  t: Test,
  files: Readonly<Record<string, string>> = { "utility.yaml": UTILITY },
): Promise<World> {
  const w = await world(t, files);
  await w.job();
  const { number } = w.pulls()[0]!;
  await w.person().rest.pulls.merge({ ...site, pull_number: number });
  return w;
}

async function check(w: World, number: number, conclusion: "success" | "failure"): Promise<void> {
  const { data } = await w.person().rest.pulls.get({ ...site, pull_number: number });
  const forge = forgeOf(w.server, JOB_TOKEN);
  const run = { name: "collective/plan", head_sha: data.head.sha, status: "completed", conclusion } as const;
  await forge.rest.checks.create({ ...site, ...run });
}

t.test("one pull request a repository, kept up to date", async (t) => {
  const w = await settled(t, { "utility.yaml": UTILITY, "bump.yaml": "format: 1\nlabels: [dependencies]\n" });
  t.same(w.outcomes(await w.job()), []);
  w.upstream("DNS", machine("DNS", "// 2", 65), { notes: "Answers faster\n\n@everyone: thanks to #1" });
  w.upstream("Web", machine("Web", "// 2"));
  const first = await w.job();
  t.same(w.outcomes(first), ["up-DNS created", "up-Web created"]);
  const [dns, web] = w.pulls();
  t.match(dns, {
    title: "Take DNS v2",
    headBranch: "collective/bump/up-DNS",
    labels: ["collective: replace", "dependencies"],
  });
  t.match(web, { title: "Take Web v2", labels: ["collective: none", "dependencies"] });
  t.match(dns?.body, /\| `.*\/DNS` \| v1 \| v2 \| {2}\|/);
  t.match(dns?.body, /### Preview[^]*replace[^]*`d`/);
  t.match(dns?.body, /Answers faster/);
  t.match(dns?.body, /```diff\n[^]*\+memory: 65MiB/);
  t.match(dns?.body, /@\u2060everyone/, "nobody is called");
  t.match(dns?.body, /1 machine image changes; to fetch: 0/);
  t.notMatch(dns?.body, /Merging publishes/);
  t.match(git(w.bare, "show", `${web?.headBranch ?? ""}:Acme.cvl`), /version => "2"/);
  t.match(first.summary, /\| #2 \| Take DNS v2 \| replace \| created \|/);
  t.equal(first.outputs["pull-requests"], "2,3");

  w.server.requests.length = 0;
  t.same(w.outcomes(await w.job()), ["up-DNS unchanged", "up-Web unchanged"]);
  t.same(w.server.writes(), [], "running twice changes nothing");

  w.upstream("DNS", machine("DNS", "// 3", 66));
  t.same(w.outcomes(await w.job()), ["up-DNS updated", "up-Web unchanged"]);
  t.match(w.pulls()[0], { number: dns?.number, title: "Take DNS v3" });

  await t.test("which follows the default branch", async (t) => {
    await w.person().rest.pulls.merge({ ...site, pull_number: web?.number ?? 0 });
    t.same(w.outcomes(await w.job()), ["up-DNS updated"], "with the preview from there");
    t.ok(gitSucceeds(w.bare, "merge-base", "--is-ancestor", "main", "collective/bump/up-DNS"));
    t.notOk(
      gitSucceeds(w.bare, "rev-parse", "--verify", "refs/heads/collective/bump/up-Web"),
      "its branch is gone",
    );
  });

  await t.test("and is closed when it became moot, which decides nothing", async (t) => {
    const withdrawn = (list: string): Record<string, string> => ({
      "withdrawn.yaml": `format: 1\nwithdrawn: ${list}\n`,
    });
    const folder = path.join(w.top, "DNS");
    const commit = (list: string): void => {
      writeFiles(folder, withdrawn(list));
      git(folder, "add", "--all");
      git(folder, "commit", "--quiet", "--message", "withdraw");
    };
    commit("[{ version: 2, why: bad }, { version: 3, why: worse }]");
    const result = await w.job();
    t.equal(result.outputs["closed"], String(dns?.number));
    t.same(w.pulls(), []);
    commit("[]");
    t.same(w.outcomes(await w.job()), ["up-DNS created"]);
  });
});

t.test("what a person decides stays", async (t) => {
  const w = await settled(t);
  w.upstream("DNS", machine("DNS", "// 2"));
  await w.job();
  const [pull] = w.pulls();

  await t.test("their commits on the branch", async (t) => {
    const mine = await w.server.commit("acme/site", pull?.headBranch ?? "", { "README.md": "fits now\n" });
    w.upstream("DNS", machine("DNS", "// 3"));
    t.same(w.outcomes(await w.job()), ["up-DNS edited"]);
    t.same(w.outcomes(await w.job()), ["up-DNS edited"]);
    t.equal(git(w.bare, "rev-parse", pull?.headBranch ?? ""), mine);
    const [stored] = w.server.state.repositories
      .get("acme/site")!
      .pulls.filter(({ number }) => number === pull?.number);
    t.equal(stored?.title, "Take DNS v2");
    t.equal(stored?.comments.length, 1, "told once");
    await w.change({ "utility.yaml": `${UTILITY}blacklist: [{ url: "${w.top}/DNS", versions: 2-9 }]\n` });
    t.equal((await w.job()).outputs["closed"], "", "nor is it closed when it became moot");
    t.equal(w.pulls().length, 1);
    await w.change({ "utility.yaml": UTILITY });
  });

  await t.test("a closed pull request, until there is another version", async (t) => {
    git(w.bare, "update-ref", "-d", `refs/heads/${pull?.headBranch ?? ""}`);
    t.same(w.outcomes(await w.job()), ["up-DNS updated"]);
    await w.person().rest.pulls.update({ ...site, pull_number: pull?.number ?? 0, state: "closed" });
    git(w.bare, "update-ref", "-d", `refs/heads/${pull?.headBranch ?? ""}`);
    t.same(w.outcomes(await w.job()), ["up-DNS declined"]);
    await w.change({ "README.md": "moved\n" });
    t.same(w.outcomes(await w.job()), ["up-DNS declined"]);
    t.notOk(
      gitSucceeds(w.bare, "rev-parse", "--verify", pull?.headBranch ?? ""),
      "no branch is pushed for it",
    );
    w.upstream("DNS", machine("DNS", "// 4"));
    t.same(w.outcomes(await w.job()), ["up-DNS created"]);
  });
});

t.test("rules of the base commit", async (t) => {
  const w = await settled(t);
  for (const name of ["DNS", "Web"]) w.upstream(name, machine(name, "// 2"));

  await t.test("a limit", async (t) => {
    await w.change({ "bump.yaml": "format: 1\nlimit: 1\n" });
    t.same(w.outcomes(await w.job()), ["up-DNS created", "up-Web limited"]);
    t.same(w.outcomes(await w.job()), ["up-DNS unchanged", "up-Web limited"]);
    t.notOk(gitSucceeds(w.bare, "rev-parse", "--verify", "refs/heads/collective/bump/up-Web"));
    t.equal(w.pulls().length, 1);
  });
  await t.test("ignored versions", async (t) => {
    await w.change({
      "bump.yaml": `format: 1\nignore: [{ url: "${w.top}/DNS", reason: "ours is better" }]\n`,
    });
    const result = await w.job();
    t.same(w.outcomes(result), ["up-Web created"]);
    t.match(result.log, /held back: .*\/DNS v2, ignored: ours is better/);
    t.match(w.pulls(), [{ title: "Take Web v2" }]);
  });
  await t.test("groups", async (t) => {
    await w.change({ "bump.yaml": `format: 1\ngroups: [{ name: all, urls: ["${w.top}/*"] }]\n` });
    t.same(w.outcomes(await w.job()), ["all created"]);
    t.match(w.pulls(), [{ title: "Take DNS v2, Web v2", headBranch: "collective/bump/all" }]);
  });
  await t.test("an age", async (t) => {
    await w.change({ "bump.yaml": "format: 1\nminimumAge: 3d\n" });
    w.upstream("DNS", machine("DNS", "// 3"), { date: new Date(Date.now() - 3_600_000).toISOString() });
    await w.job();
    t.same(
      w
        .pulls()
        .map(({ title }) => title)
        .sort(),
      ["Take DNS v2", "Take Web v2"],
    );
  });
  await t.test("mistakes are refused", async (t) => {
    await w.change({ "bump.yaml": "format: 1\nlimit: many\n" });
    t.match(await refusal(w.job()), {
      code: "INVALID_INPUT",
      message: /bump\.yaml:2:8: error BUMP_RULES_INVALID/,
    });
    await w.change({ "bump.yaml": null });
  });
  await t.test("what does not go together fails, and the rest is done", async (t) => {
    w.upstream("DNS", { "DNS.cvl": "DNS extends Nobody { }\n" });
    w.upstream("Web", machine("Web", "// 3"));
    const result = await w.job();
    t.equal(result.isFailed, true);
    t.match(result.log, /::error title=up-DNS cannot be bumped::.*CVL_UNKNOWN_CLASS/);
    t.match(w.outcomes(result), ["up-Web updated"]);
    t.ok(
      w.pulls().some(({ headBranch }) => headBranch === "collective/bump/up-DNS"),
      "nor is its old one closed",
    );
  });
});

t.test("faults make nothing twice", async (t) => {
  const w = await settled(t);
  w.upstream("DNS", machine("DNS", "// 2"));
  const bumps = (): number =>
    w.pulls().filter(({ headBranch }) => headBranch === "collective/bump/up-DNS").length;

  await t.test("a refusal, then another try", async (t) => {
    w.server.fail(
      "pulls/create",
      failure(403, "GitHub Actions is not permitted to create or approve pull requests."),
    );
    t.equal((await refusal(w.job())).code, "FORGE_FORBIDDEN");
    w.server.fail("pulls/create", failure(422, "Validation Failed"));
    t.equal((await refusal(w.job())).code, "FORGE_REFUSED");
    w.server.fail("pulls/list", failure(404, "Not Found"));
    t.equal((await refusal(w.job())).code, "FORGE_NOT_FOUND");
    t.equal(bumps(), 0);
  });
  await t.test("lost answers, limits and GitHub's own errors", async (t) => {
    w.server.fail("pulls/list", secondaryLimit(429, 0));
    w.server.fail("pulls/create", { drop: "after" });
    w.server.fail("issues/create-label", failure(502));
    w.server.fail("issues/add-labels", { drop: "after" });
    const result = await w.job().catch(() => w.job());
    t.match(w.outcomes(result), [/^up-DNS (created|unchanged|updated)$/]);
    t.equal(bumps(), 1);
    t.same(w.outcomes(await w.job()), ["up-DNS unchanged"]);
  });
  await t.test("jobs at the same time", async (t) => {
    w.upstream("Web", machine("Web", "// 2"));
    await Promise.all([w.job(), w.job(), w.job()]);
    t.same(
      w
        .pulls()
        .map(({ title }) => title)
        .sort(),
      ["Take DNS v2", "Take Web v2"],
    );
    t.same(w.outcomes(await w.job()), ["up-DNS unchanged", "up-Web unchanged"]);
  });
});

t.test("merged by itself", async (t) => {
  const w = await settled(t, { "utility.yaml": AUTOMERGE });
  w.upstream("DNS", machine("DNS", "// 2", 65));
  const note = async (): Promise<string> => {
    const report = JSON.parse((await w.job()).outputs["report"] ?? "{}") as {
      bumps: { note: string | null }[];
    };
    return report.bumps[0]?.note ?? "";
  };
  const number = (): number => w.pulls()[0]?.number ?? 0;

  await t.test("not before its checks have passed", async (t) => {
    t.equal(await note(), "not merged yet: no check has reported yet");
    await check(w, number(), "failure");
    t.equal(await note(), "not merged yet: the check collective/plan is failure");
    t.equal(w.pulls().length, 1);
  });
  await t.test("not while a review asks for changes", async (t) => {
    await check(w, number(), "success");
    const [pull] = w.server.state.repositories
      .get("acme/site")!
      .pulls.filter(({ state }) => state === "open");
    pull!.reviews.push({
      id: 1,
      author: w.server.state.users.get(PERSON_TOKEN)!,
      state: "CHANGES_REQUESTED",
      sha: "",
    });
    t.equal(await note(), "not merged yet: a review asks for changes");
    pull!.reviews.length = 0;
  });
  await t.test("not when GitHub holds it back, nor when its head moves at the last moment", async (t) => {
    w.server.fail("pulls/merge", failure(405, "At least 1 approving review is required."));
    t.match(await note(), /^not merged yet: .*At least 1 approving review/);
    const branch = w.pulls()[0]?.headBranch ?? "";
    const before = git(w.bare, "rev-parse", branch);
    const moved = async (): Promise<unknown> => w.server.commit("acme/site", branch, { "evil.cvl": "x\n" });
    w.server.fail("pulls/merge", { before: moved });
    t.match(await note(), /^not merged yet: .*Head branch was modified/);
    t.equal(w.pulls().length, 1);
    git(w.bare, "update-ref", `refs/heads/${branch}`, before);
  });
  await t.test("once, although the answer is lost", async (t) => {
    w.server.fail("pulls/merge", { drop: "after" });
    const result = await w.job();
    t.match(w.outcomes(result), ["up-DNS merged"]);
    t.match(result.outputs["merged"], /^\d+$/);
    t.match(git(w.bare, "show", "main:cvl.lock"), /DNS\n +pin: "\*"\n +version: 2/);
    t.same(w.outcomes(await w.job()), []);
  });
  await t.test("only within the class the site allows", async (t) => {
    await w.change({ "utility.yaml": AUTOMERGE.replace("replace", "parameters") });
    w.upstream("DNS", machine("DNS", "// 3", 66));
    t.equal(await note(), "");
    await check(w, number(), "success");
    t.equal(await note(), "");
    t.equal(w.pulls().length, 1);
    t.notMatch(w.pulls()[0]?.body, /merged by itself/);
  });
  await t.test("never without a preview", async (t) => {
    await w.change({ "utility.yaml": AUTOMERGE.replace("replace", "data") });
    w.upstream("DNS", { "a.vm.yaml": "format: 1\nmemory: none\n" });
    await w.job();
    await check(w, number(), "success");
    t.same(w.outcomes(await w.job()), ["up-DNS unchanged"]);
    t.match(w.pulls(), [{ labels: ["collective: error"] }]);
  });
});

t.test("a derived appliance says what merging publishes", async (t) => {
  const w = await settled(t, { "bump.yaml": "format: 1\n" });
  git(w.bare, "tag", "v3", "main");
  w.upstream("DNS", machine("DNS", "// 2"));
  await w.job();
  t.match(w.pulls()[0]?.body, /Merging publishes \*\*v4\*\*/);
});

t.test("the bundled action, as a process", async (t) => {
  const w = await settled(t);
  w.upstream("DNS", machine("DNS", "// 2"));
  const folder = path.join(w.top, "..", "process");
  mkdirSync(folder);
  const bundle = path.join(folder, "index.mjs");
  await build({
    entryPoints: ["actions/bump/main.ts"],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    logLevel: "silent",
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
  });
  const workspace = path.join(folder, "workspace");
  git(folder, "clone", "--quiet", "--depth=1", `file://${w.bare}`, workspace);
  git(workspace, "remote", "set-url", "origin", w.bare);
  const output = path.join(folder, "output");
  const event = path.join(folder, "event.json");
  writeFileSync(event, JSON.stringify({ schedule: "17 5 * * *" }));
  const run = async (inputs: Readonly<Record<string, string>>): Promise<string> =>
    execFileAsync(process.execPath, [bundle], {
      timeout: 120_000,
      env: {
        PATH: process.env["PATH"],
        HOME: folder,
        XDG_CACHE_HOME: path.join(folder, "cache"),
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_NOSYSTEM: "1",
        GITHUB_WORKSPACE: workspace,
        GITHUB_REPOSITORY: "acme/site",
        GITHUB_API_URL: w.server.url,
        GITHUB_EVENT_PATH: event,
        GITHUB_OUTPUT: output,
        ...inputs,
      },
    }).then(
      ({ stdout }) => stdout,
      (error: unknown) => `failed: ${(error as { stdout: string }).stdout}`,
    );
  const log = await run({ "INPUT_GITHUB-TOKEN": JOB_TOKEN, INPUT_DIRECTORY: "." });
  t.match(log, /^created: Take DNS v2 \(#2\)$/m);
  t.notMatch(log + readFileSync(output, "utf8"), JOB_TOKEN);
  t.match(parseOutputs(output), { "pull-requests": "2", merged: "", closed: "" });
  t.match(
    await run({ "INPUT_GITHUB-TOKEN": JOB_TOKEN, INPUT_DIRECTORY: "../.." }),
    /^failed: ::error title=USAGE/,
  );
  t.match(await run({}), /^failed: ::error title=FORGE_NO_TOKEN/);
});

t.test("the body is bounded, and a stranger's texts do nothing in it", (t) => {
  const hostile =
    "</details>\n```\n@team <img src=x onerror=alert(1)> #1 ![x](http://evil) \u202e `` ```` ${{ secrets }}";
  const difference = (index: number, size: number): VersionDifference => ({
    url: `https://example.org/${index}|x`,
    from: { version: 1, commit: "a".repeat(40) },
    to: { version: 2, commit: "b".repeat(40) },
    notes: [
      { version: 2, from: "tag", text: hostile.repeat(size), withdrawn: hostile },
      { version: 1, from: "commits", text: `${hostile}\n`.repeat(size), withdrawn: undefined },
    ],
    cvl: { text: `-a\n+${hostile}\n\t\`\`\`\`\`\n`.repeat(size), isCut: false },
    imports: [],
    images: [],
    fetchBytes: undefined,
    withdrawn: hostile,
  });
  for (const [count, size] of [
    [1, 1],
    [1, 2000],
    [7, 300],
    [400, 40],
  ] as const) {
    const differences = Array.from({ length: count }, (_, index) => difference(index, size));
    const changes = differences.map(({ url }) => ({ url, pin: undefined, from: 1, to: 2 }));
    const preview = { networks: [], class: "none" as const };
    const body = renderBumpBody({
      bump: { group: "x", changes, preview },
      differences,
      nextVersion: 4,
      isAutomerged: true,
    });
    t.ok(body.length <= 59_900, `${count} of ${size}: ${body.length}`);
    t.notMatch(body, /(^|[^`\u2060])@team/);
    t.notMatch(body, /\u202e/);
    let fence = "";
    let open = 0;
    for (const line of body.split("\n")) {
      const marks = /^(`{3,})/.exec(line)?.[1] ?? "";
      if (fence === "" && marks !== "") fence = marks;
      else if (fence !== "" && line === fence) fence = "";
      else if (fence === "") open += Number(line.startsWith("<details>")) - Number(line === "</details>");
      if (fence === "") t.notMatch(line.replaceAll(/`[^`]*`/g, ""), /<img|!\[x\]|#1|<\/details>./);
    }
    t.equal(fence, "", "every fence is closed");
    t.equal(open, 0, "and so is every block");
  }
  t.end();
});
