/** The job of a pushed version, against the GitHub double whose repository git pushes to. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { PUBLISHED_EVENT } from "../../../src/forge/jobs/publish-version.ts";
import type { PublishInputs } from "../../../src/forge/jobs/publish-work.ts";
import { runPublishJob } from "../../../src/forge/jobs/publish-job.ts";
import type { JobResult } from "../../../src/forge/jobs/job.ts";
import { publish } from "../../../src/publish/publish.ts";
import { changeDisk, DNS_CVL, DNS_VM, makeDisk, writeAppliance } from "../../appliance/appliance-fixture.ts";
import { git, writeFiles, gitAt } from "../../git/git-fixture.ts";
import { failure, secondaryLimit } from "../github-server-faults.ts";
import { forgeOf, JOB_TOKEN, PERSON_TOKEN, refusal, startServer } from "../github-fixture.ts";
import type { GitHubServer } from "../github-server.ts";

const NOTHING = "0".repeat(40);
const repository = { owner: "acme", name: "DNS" };

interface World {
  readonly server: GitHubServer;
  /** The bare repository, which is what GitHub has. */
  readonly url: string;
  readonly work: string;
  readonly cache: string;
  readonly folder: string;
}

/** A server with `acme/DNS`, of which v1 is published, and a clone with its disk. */
async function startWorld(test: Parameters<typeof startServer>[0]): Promise<World> {
  const server = await startServer(test);
  const { gitDirectory: url } = await server.addRepository("acme/DNS");
  const folder = path.dirname(path.dirname(url));
  const world = { server, url, folder, work: path.join(folder, "work"), cache: path.join(folder, "cache") };
  writeAppliance(world.work, makeDisk());
  await publish(gitAt(), {
    repository: url,
    cvl: "DNS.cvl",
    cwd: world.work,
    cache: path.join(folder, "publisher"),
  });
  return world;
}

interface Ran extends JobResult {
  readonly log: string;
}

interface RunOptions {
  readonly inputs?: Partial<PublishInputs>;
  readonly event?: object;
  readonly env?: Readonly<Record<string, string>>;
}

async function run({ server, url, cache, work }: World, ref: string, options: RunOptions = {}): Promise<Ran> {
  const lines: string[] = [];
  const after = git(url, "rev-parse", "--verify", "--quiet", ref);
  const event = { ref, before: NOTHING, after, repository: { default_branch: "main" }, ...options.event };
  const result = await runPublishJob(
    { tag: "pushed", repository, url, dependents: [], dispatch: undefined, cache, ...options.inputs },
    {
      git: gitAt(work),
      env: { GITHUB_EVENT_NAME: "push", ...options.env },
      event,
      forge: () => forgeOf(server, JOB_TOKEN),
      print: (line) => lines.push(line),
    },
  );
  return { ...result, log: lines.join("\n") };
}

function releasesOf(server: GitHubServer): Record<string, unknown>[] {
  return server.state.repositories.get("acme/dns")!.releases.map(({ fields }) => fields);
}

function release(server: GitHubServer, tag: string): Record<string, unknown> {
  return releasesOf(server).find((fields) => fields["tag_name"] === tag) ?? {};
}

function latest(server: GitHubServer): unknown {
  return releasesOf(server).find((fields) => fields["latest"] === true)?.["tag_name"];
}

/** Commits what changed in the clone, tags it and pushes both. */
function pushVersion({ work }: World, tag: string, ...tagArguments: readonly string[]): void {
  git(work, "add", "--all");
  git(work, "commit", "--quiet", "--allow-empty", "--message", `Change for ${tag}`);
  git(work, "tag", tag, ...tagArguments);
  git(work, "push", "--quiet", "origin", "main", tag);
}

t.test("a pushed tag is released with what changed", async (t) => {
  const world = await startWorld(t);
  const { server, work } = world;
  const first = await run(world, "refs/tags/v1");
  t.match(first.outputs, { outcome: "created", version: "1", tag: "v1" });
  t.match(release(server, "v1"), {
    name: "v1",
    prerelease: false,
    body: /### Machines[^]*\| `dns\.vm\.yaml` \| the machine \|/,
  });

  writeFileSync(path.join(work, "root.img"), changeDisk(readFileSync(path.join(work, "root.img"))));
  writeFiles(work, {
    "DNS.cvl": DNS_CVL.replace(
      "var domain;",
      "var domain, ttl;\n  // @acme/all <!-- /collective:version --> ```",
    ),
  });
  await publish(gitAt(), {
    repository: world.url,
    cvl: "DNS.cvl",
    cwd: work,
    cache: path.join(world.folder, "publisher"),
    message: "New name server, fixes #1 for @alice",
  });
  const summary = path.join(world.folder, "summary");
  const second = await run(world, "refs/tags/v2", { env: { GITHUB_STEP_SUMMARY: summary } });
  t.equal(second.outputs["outcome"], "created");
  t.equal(latest(server), "v2");
  const body = String(release(server, "v2")["body"]);
  t.match(
    body,
    /^<!-- collective:version v2 [0-9a-f]{40} -->\n### Notes\n\n- `New name server, fixes #1 for @\u2060alice`/,
  );
  t.match(body, /### What an update from v1 does\n\n- \*\*Replaced or removed\*\*: 1 machine: `DNS`/);
  t.match(
    body,
    /\| `dns\.vm\.yaml` \| disk `root` \| 6\d\.?\d* KiB \|\n\nIn all a host that runs v1 fetches 6\d/,
  );
  t.match(
    body,
    /\n````diff\ndiff --git a\/DNS\.cvl b\/DNS\.cvl\n[^]*\n\+ {2}var domain, ttl;\n\+ {2}\/\/ @\u2060acme\/all/,
  );
  t.equal(body.split("<!-- /collective:version -->").length, 2, "no line ends the part");
  t.match(readFileSync(summary, "utf8"), /^## v2\n\n### Notes/);

  await t.test("once, however often it runs, and without touching what people wrote", async (t) => {
    server.requests.length = 0;
    t.equal((await run(world, "refs/tags/v2")).outputs["outcome"], "unchanged");
    t.strictSame(server.writes(), []);
    const edited = `Read this first.\n\n${body.replace("New name server", "Old")}\n\nThanks!`;
    server.state.repositories.get("acme/dns")!.releases[0]!.fields["body"] = edited;
    t.equal((await run(world, "refs/tags/v2")).outputs["outcome"], "updated");
    t.equal(release(server, "v2")["body"], `Read this first.\n\n${body}\n\nThanks!`);
  });

  await t.test("an annotated tag's message are its notes; an old version is not the latest", async (t) => {
    pushVersion(world, "v3", "--annotate", "--message", "Nothing new\n\n<img src=x> ```\n@alice");
    t.equal((await run(world, "refs/tags/v3")).outputs["outcome"], "created");
    const text = String(release(server, "v3")["body"]);
    t.match(text, /### Notes\n\n````text\nNothing new\n\n<img src=x> ```\n@\u2060alice\n````/);
    t.match(text, /\*\*Nothing to do\*\*/);
    await run(world, "refs/tags/v1");
    t.equal(latest(server), "v3");
  });
});

t.test("a version with a mistake is not released", async (t) => {
  const world = await startWorld(t);
  const { server, work, url } = world;
  await run(world, "refs/tags/v1");
  const refuses = async (ref: string, mistake: RegExp, options: RunOptions = {}): Promise<void> => {
    server.requests.length = 0;
    const { isFailed, outputs, log } = await run(world, ref, options);
    t.equal(isFailed, true, ref);
    t.equal(outputs["outcome"], "refused");
    t.match(log, mistake);
    t.strictSame(server.writes(), [], `nothing is written for ${String(mistake)}`);
  };

  git(work, "tag", "v4", "v1");
  git(work, "push", "--quiet", "origin", "v4");
  await refuses(
    "refs/tags/v4",
    /^::error title=VERSION_GAP::v4 is not the next version: there is no v2, v3%0Ahint: the next is v2: tag it so, or push what is missing as well$/m,
  );
  git(work, "push", "--quiet", "origin", ":v4");
  git(work, "tag", "--delete", "v4");

  writeFiles(work, { "DNS.cvl": DNS_CVL.replace("domain;", "domain").concat("\u0000") });
  pushVersion(world, "v2");
  await refuses(
    "refs/tags/v2",
    /^::error file=DNS\.cvl,line=3,endLine=3,col=13,endColumn=13,title=CVL_SYNTAX::expected/m,
  );

  writeFiles(work, { "DNS.cvl": DNS_CVL, ".gitignore": "" });
  pushVersion(world, "v3");
  await refuses("refs/tags/v3", /VERSION_DISK_IMAGE::data\.img, the image of a data disk, is in git/);
  await refuses("refs/tags/v3", /VERSION_DISK_IMAGE::root\.img, the image of a program disk, is in git/);

  git(work, "rm", "--quiet", "-r", "--cached", "data.img", "root.img", "disks/packs");
  writeFiles(work, { ".gitignore": "*.img\ndisks/packs\n" });
  pushVersion(world, "v4");
  await refuses(
    "refs/tags/v4",
    /VERSION_PACK_MISSING::disks\/root\.index needs disks\/packs\/[0-9a-f]{64}\.pack, which is not there/,
  );

  git(work, "checkout", "--quiet", "v1", "--", ".");
  git(work, "rm", "--quiet", "--cached", ".gitignore");
  writeFiles(work, { ".gitignore": "*.img\n" });
  writeFiles(work, { vmlinuz: "another kernel" });
  pushVersion(world, "v5");
  rmSync(path.join(url, "lfs/objects"), { recursive: true });
  await refuses(
    "refs/tags/v5",
    /VERSION_OBJECT_MISSING::a Git LFS object of the version cannot be had:.* lacks the Git LFS object [0-9a-f]{64}/,
  );

  git(work, "rm", "--quiet", "--cached", "DNS.cvl");
  rmSync(path.join(work, "DNS.cvl"));
  pushVersion(world, "v6");
  await refuses("refs/tags/v6", /VERSION_WITHOUT_CVL/);

  await t.test("nor is a moved one", async () => {
    const v1 = git(url, "rev-parse", "v1");
    await refuses(
      "refs/tags/v1",
      /VERSION_MOVED::v1 was moved: it pointed at 1{40} before; nothing is released/,
      {
        event: { before: "1".repeat(40) },
      },
    );
    git(url, "tag", "--force", "v1", "main");
    await refuses("refs/tags/v1", /VERSION_MOVED::v1 was moved: [0-9a-f]{40} was pushed, and it points at/, {
      event: { after: v1 },
    });
    await refuses("refs/tags/v1", /VERSION_MOVED::v1 was moved: its release was made at [0-9a-f]{40}/);
    await refuses("refs/tags/v1", /VERSION_MOVED::v1 was deleted/, { event: { before: v1, after: NOTHING } });
    git(url, "tag", "--delete", "v1");
    await refuses("refs/heads/main", /VERSION_MOVED::v1 was moved: it is gone/, {
      event: { ref: "refs/tags/v1" },
    });
  });
});

t.test("the default branch: what is withdrawn is marked, and newest is what is not", async (t) => {
  const world = await startWorld(t);
  const { server, work } = world;
  await run(world, "refs/tags/v1");
  writeFiles(work, { "README.md": "Two\n" });
  pushVersion(world, "v2");
  const dependents = [{ owner: "acme", name: "site" }];
  const inputs = { dependents, dispatch: () => forgeOf(server, PERSON_TOKEN) };
  t.match((await run(world, "refs/tags/v2", { inputs })).log, "told acme/site");
  const { dispatches } = server.state.repositories.get("acme/site")!;
  t.match(dispatches, [
    { event_type: PUBLISHED_EVENT, client_payload: { repository: "acme/DNS", version: 2, url: world.url } },
  ]);
  const v2 = release(server, "v2");
  v2["body"] = `${String(v2["body"])}\n\nWritten by hand`;

  const withdraw = (text: string): void => {
    writeFiles(work, { "withdrawn.yaml": text });
    git(work, "add", "--all");
    git(work, "commit", "--quiet", "--message", "Withdraw");
    git(work, "push", "--quiet", "origin", "main");
  };
  withdraw(
    "format: 1\nwithdrawn:\n  - version: 2\n    why: it forgets `names` @alice\n  - version: 9\n    why: no\n",
  );
  const marks = await run(world, "refs/heads/main", { inputs });
  t.match(marks, { outputs: { outcome: "marked", marked: "v2" }, log: /^told acme\/site\nmarked: v2$/ });
  t.equal(dispatches.length, 2);
  t.match(release(server, "v2"), {
    name: "v2 (withdrawn)",
    prerelease: true,
    body: /^<!-- collective:withdrawn -->\n> \[!CAUTION\]\n> \*\*Withdrawn\*\*.*`it forgets \u02cbnames\u02cb @\u2060alice`\n[^]*Written by hand$/,
  });
  t.equal(latest(server), "v1");
  server.requests.length = 0;
  t.match((await run(world, "refs/heads/main", { inputs })).outputs, { outcome: "none", marked: "" });
  t.strictSame(server.writes(), []);

  await t.test("also when its release is made later, and then nobody is told", async (t) => {
    server.state.repositories.get("acme/dns")!.releases.length = 0;
    await run(world, "refs/tags/v1");
    const late = await run(world, "refs/tags/v2", { inputs });
    t.equal(late.outputs["outcome"], "withdrawn");
    t.notMatch(late.log, "told");
    t.match(release(server, "v2"), {
      name: "v2 (withdrawn)",
      prerelease: true,
      latest: false,
      body: /Withdrawn/,
    });
    t.equal(latest(server), "v1");
  });

  await t.test("a list with a mistake makes no bad version good", async (t) => {
    withdraw("format: 1\nwithdrawn:\n  - version: two\n");
    server.requests.length = 0;
    const broken = await run(world, "refs/heads/main");
    t.match(broken, {
      isFailed: true,
      log: /^::error file=withdrawn\.yaml,line=3,.*title=WITHDRAWN_INVALID::/m,
    });
    t.strictSame(server.writes(), []);
  });

  await t.test("a line that is removed makes it good again", async (t) => {
    withdraw("format: 1\nwithdrawn: []\n");
    t.equal((await run(world, "refs/heads/main")).outputs["marked"], "v2");
    t.match(release(server, "v2"), { name: "v2", prerelease: false });
    t.notMatch(release(server, "v2")["body"], "Withdrawn");
    t.equal(latest(server), "v2");
  });
});

t.test("with `tag: next` a push to the default branch is the next version", async (t) => {
  const world = await startWorld(t);
  const { server, work, url } = world;
  const next = (options: RunOptions = {}): Promise<Ran> =>
    run(world, "refs/heads/main", { ...options, inputs: { tag: "next", ...options.inputs } });
  const commit = (files: Readonly<Record<string, string>>): string => {
    writeFiles(work, files);
    git(work, "add", "--all");
    git(work, "commit", "--quiet", "--message", "Move the base to v7");
    git(work, "push", "--quiet", "origin", "main");
    return git(work, "rev-parse", "HEAD");
  };
  t.match((await next()).outputs, { outcome: "created", tag: "v1" }, "a version without a release gets one");
  commit({ "README.md": "More words\n" });
  const words = await next();
  t.match(words, {
    outputs: { outcome: "none" },
    log: "no new version: nothing that v1 consists of has changed",
  });

  const older = git(work, "rev-parse", "HEAD");
  const changed = commit({ "DNS.cvl": DNS_CVL.replace("var domain;", "var domain, ttl;") });
  server.fail("git/create-ref", { drop: "after" });
  server.fail("repos/create-release", { drop: "after" });
  t.match((await next()).outputs, { outcome: "created", tag: "v2" });
  t.equal(git(url, "rev-parse", "v2"), changed);
  t.match((await next()).outputs, { outcome: "unchanged", tag: "v2" });
  t.equal(git(url, "tag", "--list"), "v1\nv2");
  t.match((await next({ event: { after: older } })).log, "no new version: v2 is later than this commit");

  const broken = commit({ "DNS.cvl": "nonsense" });
  t.match(await next(), { isFailed: true, log: /title=CVL_SYNTAX/ });
  t.equal(git(url, "tag", "--list"), "v1\nv2", "a mistake is found before there is a tag");

  const kernel = commit({
    "DNS.cvl": DNS_CVL.replace("var domain;", "var domain, ttl;"),
    "dns.vm.yaml": DNS_VM.replace("64MiB", "65MiB"),
  });
  // Somebody takes the number between the look and the tag.
  server.fail("git/create-ref", { before: () => Promise.resolve(git(url, "tag", "v3", older)) });
  t.match((await next()).outputs, { outcome: "created", tag: "v4" });
  t.equal(git(url, "rev-parse", "v4"), kernel);
  git(url, "update-ref", "refs/heads/main", older);
  t.match(
    (await next({ event: { after: broken } })).log,
    "no new version: the commit is not on the default branch any more",
  );
});

t.test("GitHub's refusals end the job with one error, and nothing is there twice", async (t) => {
  const world = await startWorld(t);
  const { server } = world;
  const codes: [operation: string, fault: Parameters<GitHubServer["fail"]>[1], code: string][] = [
    ["repos/create-release", failure(403), "FORGE_FORBIDDEN"],
    ["git/get-ref", failure(404), "FORGE_TAG_MISSING"],
    ["repos/create-release", failure(409), "FORGE_CONFLICT"],
    ["repos/create-release", failure(422), "FORGE_REFUSED"],
    ["repos/get-release-by-tag", { ...secondaryLimit(429, 3600) }, "FORGE_RATE_LIMITED"],
    ["repos/create-release", { ...failure(503), times: 5 }, "FORGE_UNAVAILABLE"],
    ["repos/list-releases", { ...failure(500), times: 5 }, "FORGE_UNAVAILABLE"],
  ];
  for (const [operation, fault, code] of codes) {
    server.fail(operation, fault);
    t.equal((await refusal(run(world, "refs/tags/v1"))).code, code);
  }
  server.fail("repos/update-release", { drop: "after" });
  server.fail("repos/list-releases", failure(502));
  t.match((await run(world, "refs/tags/v1")).outputs, { outcome: "unchanged" });
  t.equal(latest(server), "v1");
  t.equal(releasesOf(server).length, 1);
  const dependents = [{ owner: "acme", name: "absent" }];
  t.match(
    (await run(world, "refs/tags/v1", { inputs: { dependents } })).log,
    /::warning title=no dispatch-token::1 dependents are not told/,
  );
  const dispatch = (): ReturnType<typeof forgeOf> => forgeOf(server, PERSON_TOKEN);
  t.match(
    (await run(world, "refs/tags/v1", { inputs: { dependents, dispatch } })).log,
    /::warning title=FORGE_NOT_FOUND::acme\/absent is not told/,
  );
  // The tag moves between the check and the release.
  releasesOf(server);
  server.state.repositories.get("acme/dns")!.releases.length = 0;
  const other = git(world.url, "commit-tree", "-m", "other", "main^{tree}");
  server.fail("git/get-ref", {
    before: () => Promise.resolve(git(world.url, "tag", "--force", "v1", other)),
  });
  t.equal((await refusal(run(world, "refs/tags/v1"))).code, "FORGE_TAG_MOVED");
  t.equal(releasesOf(server).length, 0);
});

t.test("events that publish nothing", async (t) => {
  const world = await startWorld(t);
  git(world.url, "tag", "release", "main");
  t.match(await run(world, "refs/tags/release"), {
    outputs: { outcome: "none" },
    log: /^::notice title=nothing to publish::/,
  });
  t.match((await run(world, "refs/heads/main", { event: { ref: "refs/heads/topic" } })).outputs, {
    outcome: "none",
  });
  t.equal(
    (await refusal(run(world, "refs/tags/v1", { env: { GITHUB_EVENT_NAME: "pull_request" } }))).code,
    "FORGE_EVENT_UNEXPECTED",
  );
  t.equal(
    (await refusal(run(world, "refs/tags/v1", { event: { after: "--upload-pack=x" } }))).code,
    "FORGE_EVENT_UNEXPECTED",
  );
  t.strictSame(world.server.writes(), []);
  const byHand = {
    GITHUB_EVENT_NAME: "workflow_dispatch",
    GITHUB_REF: "refs/tags/v1",
    GITHUB_SHA: git(world.url, "rev-parse", "v1"),
  };
  t.match((await run(world, "refs/tags/v1", { env: byHand })).outputs, { outcome: "created" });
  t.ok(existsSync(world.cache));
});
