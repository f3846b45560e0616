import { readFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import type { Diagnostic, Span } from "../../src/diagnostics.ts";
import { annotationsOf, workflowCommand, type Annotation } from "../../src/forge/annotations.ts";
import { reportCheckRun, type CheckReport } from "../../src/forge/check-run.ts";
import { setCommitStatus } from "../../src/forge/commit-status.ts";
import { recordDeployment, type DeploymentRecord } from "../../src/forge/deployment.ts";
import { notifyDependents } from "../../src/forge/dispatch.ts";
import type { Forge } from "../../src/forge/forge.ts";
import { writeJobSummary } from "../../src/forge/job-summary.ts";
import { publishRelease } from "../../src/forge/release.ts";
import { upsertStickyComment, type StickyComment } from "../../src/forge/sticky-comment.ts";
import { failure, secondaryLimit } from "./github-server-faults.ts";
import { git } from "./github-server-git.ts";
import {
  forgeOf,
  JOB_TOKEN,
  PERSON_TOKEN,
  refusal,
  repository,
  site,
  startServer,
} from "./github-fixture.ts";
import type { GitHubServer } from "./github-server.ts";

/** A pull request from branch `topic`; resolves to its head. */
async function openPull(server: GitHubServer): Promise<string> {
  const head = await server.commit("acme/site", "topic", { "acme.cvl": 'CVL = "0.8";\n' });
  await forgeOf(server, PERSON_TOKEN).rest.pulls.create({
    ...site,
    title: "Change",
    head: "topic",
    base: "main",
  });
  server.requests.length = 0;
  return head;
}

function bodies(server: GitHubServer): string[] {
  return server.state.repositories.get("acme/site")?.pulls[0]?.comments.map(({ body }) => body) ?? [];
}

const comment: StickyComment = { repository, pullNumber: 1, key: "site/acme.cvl", body: "first" };

t.test("the sticky comment", async (t) => {
  await t.test("is made once, edited in place, and not touched when nothing changed", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    const forge = forgeOf(server, JOB_TOKEN);
    t.equal((await upsertStickyComment(forge, comment)).outcome, "created");
    t.equal((await upsertStickyComment(forge, comment)).outcome, "unchanged");
    t.same(server.writes(), ["graphql", "issues/create-comment"], "no write for an equal body");
    const edited = await upsertStickyComment(forgeOf(server, JOB_TOKEN), { ...comment, body: "second" });
    t.equal(edited.outcome, "updated");
    t.match(edited.url, /^http/);
    t.equal(bodies(server).length, 1);
    t.match(bodies(server)[0], /^<!-- collective:sticky [0-9a-f]{32} -->\nsecond$/);
    await upsertStickyComment(forge, { ...comment, key: "site/other.cvl" });
    t.equal(bodies(server).length, 2, "one for each key");
  });

  await t.test("is found behind many pages of others", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    const forge = forgeOf(server, JOB_TOKEN);
    const { pulls } = server.state.repositories.get("acme/site")!;
    const author = server.state.users.get(PERSON_TOKEN)!;
    for (let id = 1; id <= 250; id += 1) {
      pulls[0]!.comments.push({
        id,
        author,
        body: "chatter",
        createdAt: "2026-01-01T00:00:00Z",
        updatedAt: "2026-01-01T00:00:00Z",
      });
    }
    await upsertStickyComment(forge, comment);
    t.equal((await upsertStickyComment(forge, { ...comment, body: "second" })).outcome, "updated");
    t.equal(bodies(server).length, 251);
  });

  await t.test("is not somebody else's, though it carries the hidden line", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    const forge = forgeOf(server, JOB_TOKEN);
    await upsertStickyComment(forge, comment);
    const forged = bodies(server)[0]!.replace("first", "forged");
    const comments = server.state.repositories.get("acme/site")!.pulls[0]!.comments;
    comments.length = 0;
    await forgeOf(server, PERSON_TOKEN).rest.issues.createComment({ ...site, issue_number: 1, body: forged });
    t.equal((await upsertStickyComment(forge, comment)).outcome, "created");
    t.equal(bodies(server)[0], forged, "left alone");
    t.equal(bodies(server).length, 2);
  });

  for (const [name, drop] of [
    ["the answer was lost", "after"],
    ["the request was lost", "before"],
  ] as const) {
    await t.test(`is there once when ${name}`, async (t) => {
      const server = await startServer(t);
      await openPull(server);
      server.fail("issues/create-comment", { drop });
      t.equal((await upsertStickyComment(forgeOf(server, JOB_TOKEN), comment)).outcome, "created");
      t.equal(bodies(server).length, 1);
    });
  }

  await t.test("is there once when GitHub never answers although it did it", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    server.fail("issues/create-comment", { drop: "never-answer" });
    await upsertStickyComment(forgeOf(server, JOB_TOKEN, { timeoutMs: 3000 }), comment);
    t.equal(bodies(server).length, 1);
  });

  await t.test("survives 5xx and limits", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    const forge = forgeOf(server, JOB_TOKEN);
    server.fail("issues/list-comments", { ...failure(502), times: 2 });
    server.fail("issues/create-comment", failure(500));
    server.fail("issues/create-comment", secondaryLimit(403, 0));
    await upsertStickyComment(forge, comment);
    server.fail("issues/update-comment", failure(503));
    server.fail("issues/update-comment", secondaryLimit(429, 0));
    t.equal((await upsertStickyComment(forge, { ...comment, body: "second" })).outcome, "updated");
    t.equal(bodies(server).length, 1);
  });

  await t.test("is there once after six runs at the same time", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    const runs = [0, 1, 2, 3, 4, 5].map((run) =>
      upsertStickyComment(forgeOf(server, JOB_TOKEN), { ...comment, body: `run ${run}` }),
    );
    await Promise.all(runs);
    t.ok(server.writes().filter((name) => name === "issues/create-comment").length > 1, "they did collide");
    t.equal(bodies(server).length, 1);
    t.match(bodies(server)[0], /run [0-5]$/);
  });

  await t.test("is made anew when it is deleted under our hands", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    const forge = forgeOf(server, JOB_TOKEN);
    await upsertStickyComment(forge, comment);
    const { comments } = server.state.repositories.get("acme/site")!.pulls[0]!;
    server.fail("issues/update-comment", { before: () => Promise.resolve(comments.splice(0)) });
    await upsertStickyComment(forge, { ...comment, body: "second" });
    t.equal(bodies(server).length, 1);
    t.match(bodies(server)[0], /second/);
  });

  await t.test("is not written for a head that has moved", async (t) => {
    const server = await startServer(t);
    const head = await openPull(server);
    const forge = forgeOf(server, JOB_TOKEN);
    server.fail("pulls/get", { before: () => server.commit("acme/site", "topic", { "b.cvl": "\n" }) });
    t.equal((await upsertStickyComment(forge, { ...comment, head })).outcome, "superseded");
    t.same(bodies(server), []);
    const moved = (await forge.rest.pulls.get({ ...site, pull_number: 1 })).data.head.sha;
    t.equal((await upsertStickyComment(forge, { ...comment, head: moved })).outcome, "created");
  });

  await t.test("converges although GitHub told a wrong login", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    const mistaken = (): Forge => ({ ...forgeOf(server, JOB_TOKEN), login: () => Promise.resolve("nobody") });
    for (const body of ["one", "two", "three"]) await upsertStickyComment(mistaken(), { ...comment, body });
    t.equal(bodies(server).length, 1);
    t.match(bodies(server)[0], /three/);
  });

  await t.test("says why when it may not be written", async (t) => {
    const server = await startServer(t);
    await openPull(server);
    server.fail("issues/create-comment", failure(403, "Resource not accessible by integration"));
    const error = await refusal(upsertStickyComment(forgeOf(server, JOB_TOKEN), comment));
    t.equal(error.code, "FORGE_FORBIDDEN");
    t.equal(
      (await refusal(upsertStickyComment(forgeOf(server, JOB_TOKEN), { ...comment, pullNumber: 99 }))).code,
      "FORGE_NOT_FOUND",
    );
  });
});

function annotation(line: number): Annotation {
  const place = { path: "acme.cvl", start_line: line, end_line: line };
  return { ...place, annotation_level: "failure", title: "CVL_SYNTAX", message: `message ${line}` };
}

t.test("a check run", async (t) => {
  const server = await startServer(t);
  const sha = await server.commit("acme/site", "topic", { a: "b\n" });
  const forge = forgeOf(server, JOB_TOKEN);
  const runs = () => server.state.repositories.get("acme/site")!.checkRuns;
  const report = (name: string, count: number): CheckReport => ({
    repository,
    sha,
    name,
    conclusion: "failure",
    title: `${count} errors`,
    summary: "see the lines",
    annotations: Array.from({ length: count }, (_, index) => annotation(index + 1)),
  });
  const lines = (name: string) =>
    runs()
      .filter(({ fields }) => fields["name"] === name)
      .flatMap((run) => run.annotations.map((entry) => entry["start_line"]));
  const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

  t.equal((await reportCheckRun(forge, report("one", 1))).outcome, "created");
  t.equal((await reportCheckRun(forge, report("one", 1))).outcome, "unchanged");
  t.equal(runs().length, 1);

  await reportCheckRun(forge, report("batches", 120));
  t.same(lines("batches"), upTo(120), "in batches of 50, in order");
  t.match(runs().at(-1)!.fields, { status: "completed", conclusion: "failure" });

  server.fail("checks/update", { drop: "after" });
  await reportCheckRun(forge, report("lost answer", 120));
  t.same(lines("lost answer"), upTo(120), "no batch twice");

  server.fail("checks/update", { drop: "before" });
  await reportCheckRun(forge, report("lost batch", 120));
  t.same(lines("lost batch"), upTo(120), "no batch missing");

  server.fail("checks/update", { ...failure(403), skip: 1 });
  t.equal((await refusal(reportCheckRun(forge, report("broken off", 120)))).code, "FORGE_FORBIDDEN");
  t.equal((await reportCheckRun(forge, report("broken off", 120))).outcome, "completed", "carried on");
  t.same(lines("broken off"), upTo(120));

  await reportCheckRun(forge, report("flood", 1700));
  t.equal(lines("flood").length, 1000);
  t.match((runs().at(-1)!.fields["output"] as { summary: string }).summary, /^\*\*700 more messages/);

  server.fail("checks/create", { drop: "after" });
  await reportCheckRun(forge, report("created once", 3));
  t.equal(runs().filter(({ fields }) => fields["name"] === "created once").length, 1);

  const error = await refusal(reportCheckRun(forgeOf(server, PERSON_TOKEN), report("person", 1)));
  t.equal(error.code, "FORGE_FORBIDDEN", "a person's token cannot make check runs");
  const long = { ...report("long", 0), summary: "x".repeat(70_000), title: "t".repeat(300) };
  t.equal((await reportCheckRun(forge, long)).outcome, "created", "cut at GitHub's limit");
});

t.test("diagnostics become annotations", (t) => {
  const text = "line one\nline two\nline three\n";
  const span = (file: string, start: number, end: number): Span => ({ file, start, end });
  const made = (fields: Partial<Diagnostic>): Diagnostic => ({
    code: "CVL_SYNTAX",
    severity: "error",
    message: "expected a name",
    span: undefined,
    ...fields,
  });
  const textOf = (file: string) =>
    file === "acme.cvl" || file.startsWith("/") || file.includes("..") ? text : undefined;
  const { annotations, unplaced } = annotationsOf(
    [
      made({
        span: span("acme.cvl", 14, 17),
        hint: "write one",
        related: [{ message: "declared here", span: span("acme.cvl", 0, 4) }],
      }),
      made({ span: span("acme.cvl", 5, 20), severity: "warning", message: "a\u202eb\nc" }),
      made({ span: span("https://example.org/DNS@v3:DNS.cvl", 0, 1) }),
      made({ span: span("../outside.cvl", 0, 1) }),
      made({ span: span("/etc/passwd", 0, 1) }),
      made({ span: span("absent.cvl", 0, 1) }),
      made({}),
    ],
    textOf,
  );
  t.same(annotations, [
    {
      path: "acme.cvl",
      start_line: 2,
      end_line: 2,
      start_column: 6,
      end_column: 8,
      annotation_level: "failure",
      title: "CVL_SYNTAX",
      message: "expected a name\nacme.cvl:1: declared here\nhint: write one",
    },
    {
      path: "acme.cvl",
      start_line: 1,
      end_line: 3,
      annotation_level: "warning",
      title: "CVL_SYNTAX",
      message: "a\ufffdb\ufffdc",
    },
  ]);
  t.equal(unplaced.length, 5);
  t.equal(
    workflowCommand({ ...annotation(3), path: "a,b:c.cvl", message: "100%\n::set-output name=x::y" }),
    "::error file=a%2Cb%3Ac.cvl,line=3,endLine=3,title=CVL_SYNTAX::100%25%0A::set-output name=x::y",
  );
  t.end();
});

t.test("a job's summary", async (t) => {
  const file = path.join(t.testdir(), "summary.md");
  const env = { GITHUB_STEP_SUMMARY: file };
  t.equal(await writeJobSummary(env, "# Plan"), true);
  t.equal(await writeJobSummary(env, "# Plan\n"), false, "once");
  t.equal(await writeJobSummary(env, "x".repeat(2 ** 20)), false, "within GitHub's limit");
  t.equal(await writeJobSummary(env, "## More"), true);
  t.equal(await readFile(file, "utf8"), "# Plan\n## More\n");
  t.equal(await writeJobSummary({}, "# Plan"), false);
});

t.test("a commit's status", async (t) => {
  const server = await startServer(t);
  const sha = await server.commit("acme/site", "topic", { a: "b\n" });
  const forge = forgeOf(server, JOB_TOKEN);
  const status = {
    repository,
    sha,
    context: "collective/plan",
    state: "pending",
    description: "x\n".repeat(200),
  } as const;
  const { statuses } = server.state.repositories.get("acme/site")!;
  t.equal(await setCommitStatus(forge, status), true);
  t.equal(await setCommitStatus(forge, status), false);
  t.equal(statuses.length, 1);
  t.equal((statuses[0]!.fields["description"] as string).length, 140);
  server.fail("repos/create-commit-status", { drop: "after" });
  t.equal(await setCommitStatus(forge, { ...status, state: "success" }), true);
  t.equal(statuses.length, 2, "not twice for a lost answer");
  t.equal(await setCommitStatus(forge, status), true, "back to what it was before is a change");
});

t.test("deployments", async (t) => {
  const server = await startServer(t);
  const sha = await server.commit("acme/site", "topic", { a: "b\n" });
  const { deployments } = server.state.repositories.get("acme/site")!;
  const states = () => deployments[0]!.statuses.map(({ fields }) => fields["state"]).reverse();
  const record: DeploymentRecord = {
    repository,
    sha,
    environment: "production",
    state: "in_progress",
    description: "rolling out",
  };
  const forge = forgeOf(server, JOB_TOKEN);

  t.equal((await recordDeployment(forge, record)).outcome, "created");
  t.equal((await recordDeployment(forge, record)).outcome, "unchanged");
  t.equal((await recordDeployment(forge, { ...record, state: "success" })).outcome, "updated");
  t.equal(deployments.length, 1, "one per commit and environment");
  t.same(states(), ["in_progress", "success"]);

  await forge.rest.repos.createDeployment({
    ...site,
    ref: sha,
    environment: "production",
    task: "deploy",
    required_contexts: [],
  });
  t.equal(
    (await recordDeployment(forge, { ...record, state: "success" })).outcome,
    "unchanged",
    "another tool's is not ours",
  );
  deployments.length = 0;

  server.fail("repos/create-deployment", { drop: "after" });
  server.fail("repos/create-deployment-status", { drop: "after" });
  await recordDeployment(forge, record);
  t.equal(deployments.length, 1, "lost answers make nothing twice");
  t.same(states(), ["in_progress"]);
  deployments.length = 0;

  server.fail("repos/create-deployment", failure(409, "Conflict"));
  t.equal((await refusal(recordDeployment(forge, record))).code, "FORGE_CONFLICT");
  t.same(deployments, []);

  await Promise.all([0, 1, 2, 3].map(() => recordDeployment(forgeOf(server, JOB_TOKEN), record)));
  t.equal(deployments.length, 1, "runs at the same time agree on one");
  t.equal(states().at(-1), "in_progress");
  await recordDeployment(forge, { ...record, environment: "staging" });
  t.equal(deployments.length, 2);
  const unknown = { ...record, sha: "0".repeat(40) };
  t.equal((await refusal(recordDeployment(forge, unknown))).code, "FORGE_REFUSED");
});

t.test("releases", async (t) => {
  const server = await startServer(t);
  const forge = forgeOf(server, JOB_TOKEN);
  const { gitDirectory, releases } = server.state.repositories.get("acme/site")!;
  const commit = await server.commit("acme/site", "main", { a: "b\n" });
  const release = { repository, tag: "v6", commit, name: "Version 6", body: "What is new", isLatest: true };

  t.equal((await refusal(publishRelease(forge, release))).code, "FORGE_TAG_MISSING");
  t.same(server.writes(), [], "a release makes no tag");
  await git(gitDirectory, ["tag", "-a", "-m", "six", "v6", commit]);
  const moved = await refusal(publishRelease(forge, { ...release, commit: "1".repeat(40) }));
  t.equal(moved.code, "FORGE_TAG_MOVED");

  server.fail("repos/create-release", { drop: "after" });
  t.equal((await publishRelease(forge, release)).outcome, "created");
  t.equal((await publishRelease(forge, release)).outcome, "unchanged");
  t.equal((await publishRelease(forge, { ...release, body: "More" })).outcome, "updated");
  t.equal(releases.length, 1);

  releases.length = 0;
  await Promise.all([0, 1, 2].map(() => publishRelease(forgeOf(server, JOB_TOKEN), release)));
  t.equal(releases.length, 1, "runs at the same time agree on one");
});

t.test("dependents are told, each by itself", async (t) => {
  const server = await startServer(t);
  await server.addRepository("acme/office");
  const forge = forgeOf(server, PERSON_TOKEN);
  server.fail("repos/create-dispatch-event", { drop: "before" });
  const results = await notifyDependents(forge, {
    dependents: [repository, { owner: "acme", name: "absent" }, { owner: "acme", name: "office" }],
    eventType: "collective-published",
    payload: { repository: "acme/DNS", version: 6 },
  });
  t.same(
    results.map(({ failure: reason }) => reason?.code),
    [undefined, "FORGE_NOT_FOUND", undefined],
  );
  t.match(server.state.repositories.get("acme/office")!.dispatches, [
    { event_type: "collective-published", client_payload: { repository: "acme/DNS", version: 6 } },
  ]);
});
