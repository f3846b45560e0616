import { gitAt } from "../git/git-fixture.ts";
import { readFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import type { ErrorCode } from "../../src/errors.ts";
import { createForge, forgeFromEnvironment } from "../../src/forge/client.ts";
import { collectPages } from "../../src/forge/pages.ts";
import { DEFAULT_LIMITS } from "../../src/forge/forge.ts";
import { nextWait } from "../../src/forge/retry.ts";
import {
  formatRepositoryName,
  parseRepositoryName,
  repositoryOfClone,
  repositoryOfUrl,
} from "../../src/forge/repository-name.ts";
import { run } from "../../src/io.ts";
import { failure, quotaUsedUp, secondaryLimit, type Fault } from "./github-server-faults.ts";
import { forgeOf, furnish, PERSON_TOKEN, quick, refusal, site, startServer } from "./github-fixture.ts";
import { startGitHubServer } from "./github-server.ts";

const TOKEN = PERSON_TOKEN;

t.test("the test server answers as GitHub describes it", async (t) => {
  const server = await startServer(t);
  const forge = forgeOf(server, TOKEN);
  const head = await server.commit("acme/site", "topic", { "acme.cvl": 'CVL = "0.8";\n' });
  const { data: pull } = await forge.rest.pulls.create({
    ...site,
    title: "Change",
    head: "topic",
    base: "main",
  });
  t.equal(pull.head.sha, head);

  await t.test("a wrong body gets the real 422", async (t) => {
    const comment = { ...site, issue_number: pull.number };
    const error = await refusal(
      forge.rest.issues.createComment({ ...comment, body: 7 as unknown as string }),
    );
    t.equal(error.code, "FORGE_REFUSED");
    t.equal(error.data["status"], 422);
    const check = { ...site, name: "x", head_sha: head, conclusion: "fine" as "success" };
    t.equal((await refusal(forge.rest.checks.create(check))).code, "FORGE_REFUSED");
  });

  await t.test(
    "a second pull request of a branch, one of an unknown branch, one without commits: refused",
    async (t) => {
      const create = (branch: string) =>
        forge.rest.pulls.create({ ...site, title: "x", head: branch, base: "main" });
      t.match((await refusal(create("topic"))).message, /already exists for acme:topic/);
      t.equal((await refusal(create("nowhere"))).code, "FORGE_REFUSED");
      t.match((await refusal(create("main"))).message, /No commits between/);
    },
  );

  await t.test("comments come in pages", async (t) => {
    for (let index = 0; index < 7; index += 1) {
      await forge.rest.issues.createComment({ ...site, issue_number: pull.number, body: `comment ${index}` });
    }
    const pages = () =>
      forge.paginate.iterator(forge.rest.issues.listComments, {
        ...site,
        issue_number: pull.number,
        per_page: 3,
      });
    const comments = await collectPages(pages(), "comments");
    t.same(
      comments.map(({ body }) => body),
      [0, 1, 2, 3, 4, 5, 6].map((index) => `comment ${index}`),
    );
    t.equal((await refusal(collectPages(pages(), "comments", 5))).code, "FORGE_TOO_MANY_RESULTS");
  });

  await t.test("a merge wants the head it was shown", async (t) => {
    const moved = await server.commit("acme/site", "topic", { "b.cvl": "\n" });
    const merge = { ...site, pull_number: pull.number };
    t.equal((await refusal(forge.rest.pulls.merge({ ...merge, sha: head }))).code, "FORGE_CONFLICT");
    const { data } = await forge.rest.pulls.merge({ ...merge, sha: moved });
    const { data: branch } = await forge.rest.repos.getBranch({ ...site, branch: "main" });
    t.equal(branch.commit.sha, data.sha);
    const { data: after } = await forge.rest.repos.compareCommitsWithBasehead({
      ...site,
      basehead: `${moved}...main`,
    });
    t.equal(after.status, "ahead");
  });

  await t.test("files are read and written through the API", async (t) => {
    const file = { ...site, path: "notes.md" };
    const content = Buffer.from("hello\n").toString("base64");
    await forge.rest.repos.createOrUpdateFileContents({ ...file, message: "Add", content });
    const { data } = await forge.rest.repos.getContent(file);
    t.ok("content" in data && Buffer.from(data.content, "base64").toString() === "hello\n");
    const again = forge.rest.repos.createOrUpdateFileContents({ ...file, message: "Again", content });
    t.equal((await refusal(again)).code, "FORGE_REFUSED");
  });

  await t.test("blobs, trees, commits and refs", async (t) => {
    const { data: tree } = await forge.rest.git.createTree({
      ...site,
      tree: [{ path: "a", mode: "100644", type: "blob", content: "a\n" }],
    });
    const { data: commit } = await forge.rest.git.createCommit({
      ...site,
      message: "Alone",
      tree: tree.sha,
      parents: [],
    });
    await forge.rest.git.createRef({ ...site, ref: "refs/heads/alone", sha: commit.sha });
    const { data: ref } = await forge.rest.git.getRef({ ...site, ref: "heads/alone" });
    t.equal(ref.object.sha, commit.sha);
    const move = { ...site, ref: "heads/alone", sha: head };
    t.match((await refusal(forge.rest.git.updateRef(move))).message, /not a fast forward/);
    await forge.rest.git.updateRef({ ...move, force: true });
    await forge.rest.git.deleteRef({ ...site, ref: "heads/alone" });
    t.equal((await refusal(forge.rest.git.getRef({ ...site, ref: "heads/alone" }))).code, "FORGE_NOT_FOUND");
  });

  await t.test("artifacts of a run are downloaded through the redirect", async (t) => {
    const repository = server.state.repositories.get("acme/site")!;
    repository.runs.push({ id: 7, fields: { head_sha: head, event: "pull_request" } });
    repository.artifacts.push({ id: 8, runId: 7, name: "plan", zip: new Uint8Array([80, 75, 5, 6]) });
    const { data } = await forge.rest.actions.listWorkflowRunArtifacts({ ...site, run_id: 7 });
    t.equal(data.artifacts[0]?.name, "plan");
    const download = await forge.rest.actions.downloadArtifact({
      ...site,
      artifact_id: 8,
      archive_format: "zip",
    });
    t.same(new Uint8Array(download.data as ArrayBuffer), new Uint8Array([80, 75, 5, 6]));
  });
});

t.test("the server notices what GitHub would not mention", async (t) => {
  const server = await startGitHubServer(t.testdir());
  await furnish(server);
  const forge = forgeOf(server, TOKEN);
  await forge.rest.issues.createLabel({ ...site, name: "x", colour: "ff0000" });
  await refusal(forge.rest.repos.listForks(site));
  await t.rejects(server.close(), /ignores the field colour[^]*not in the pruned description/);
});

t.test("each failure becomes an error with its code and a hint", async (t) => {
  const server = await startServer(t);
  const forge = forgeOf(server, TOKEN, { retries: 1, waitMs: 50 });
  const cases: readonly (readonly [string, Fault, ErrorCode])[] = [
    ["401", failure(401), "FORGE_UNAUTHORIZED"],
    ["403", failure(403), "FORGE_FORBIDDEN"],
    ["404", failure(404), "FORGE_NOT_FOUND"],
    ["409", failure(409), "FORGE_CONFLICT"],
    ["422", failure(422), "FORGE_REFUSED"],
    ["429 without a word how long", failure(429), "FORGE_RATE_LIMITED"],
    ["a secondary limit that lasts too long", secondaryLimit(403, 3600), "FORGE_RATE_LIMITED"],
    ["an empty quota", quotaUsedUp(Date.now() / 1000 + 3600), "FORGE_RATE_LIMITED"],
    ["500 for good", { ...failure(500), times: 2 }, "FORGE_UNAVAILABLE"],
    ["503 for good", { ...failure(503), times: 2 }, "FORGE_UNAVAILABLE"],
    ["no answer", { drop: "before", times: 2 }, "FORGE_UNREACHABLE"],
    [
      "the page of a proxy",
      { reply: { status: 200, body: "<html>log in</html>" } },
      "FORGE_UNEXPECTED_REPLY",
    ],
  ];
  for (const [name, fault, code] of cases) {
    server.fail("repos/get", fault);
    const error = await refusal(forge.rest.repos.get(site));
    t.equal(error.code, code, name);
    t.match(error.message, "GET /repos/acme/site", name);
    t.ok((error.hint ?? "").length > 10, name);
  }
  t.ok((await forge.rest.repos.get(site)).data.id > 0, "nothing is left of the faults");
});

t.test("what can pass is waited for, what cannot is not", async (t) => {
  const server = await startServer(t);
  const forge = forgeOf(server, TOKEN, { retries: 3 });
  const tries = () => server.requests.splice(0).length;

  server.fail("repos/get", { ...failure(502), times: 2 });
  await forge.rest.repos.get(site);
  t.equal(tries(), 3, "a read is repeated after a 5xx");

  server.fail("repos/get", { drop: "after" });
  await forge.rest.repos.get(site);
  t.equal(tries(), 2, "a read is repeated after a lost answer");

  server.fail("repos/get", failure(404));
  await refusal(forge.rest.repos.get(site));
  t.equal(tries(), 1, "a 404 stays one");

  server.fail("issues/create-label", { ...secondaryLimit(429, 0), times: 2 });
  await forge.rest.issues.createLabel({ ...site, name: "limited" });
  t.equal(tries(), 3, "a limited write was not carried out, so it is repeated");

  server.fail("issues/create-label", failure(502));
  const error = await refusal(forge.rest.issues.createLabel({ ...site, name: "lost" }));
  t.equal(error.data["isAmbiguous"], true);
  t.equal(tries(), 1, "a write that may have been carried out is left to who knows what it means");

  server.fail("repos/get", { ...secondaryLimit(403, 0), times: 4 });
  t.equal((await refusal(forge.rest.repos.get(site))).code, "FORGE_RATE_LIMITED");
  t.equal(tries(), 4, "tries are bounded");

  const impatient = forgeOf(server, TOKEN, { retries: 0, timeoutMs: 50 });
  server.fail("repos/get", { drop: "never-answer" });
  t.equal(
    (await refusal(impatient.rest.repos.get(site))).code,
    "FORGE_UNREACHABLE",
    "no request waits forever",
  );
});

t.test("waiting is bounded as a whole", (t) => {
  const limits = { ...DEFAULT_LIMITS, retries: 9, waitMs: 100_000 };
  const limited = {
    method: "GET",
    path: "/",
    status: 429,
    message: "",
    retryAfterMs: 60_000,
    isAmbiguous: false,
  };
  const options = { limits, isRepeatable: true };
  t.equal(nextWait(limited, { ...options, attempt: 1, waitedMs: 0 }), 60_000);
  t.equal(nextWait(limited, { ...options, attempt: 2, waitedMs: 60_000 }), undefined);
  const broken = { method: "GET", path: "/", status: undefined, message: "", isAmbiguous: true };
  t.equal(nextWait(broken, { ...options, attempt: 3, waitedMs: 3000 }), 4000, "pauses double");
  t.equal(nextWait(broken, { ...options, isRepeatable: false, attempt: 1, waitedMs: 0 }), undefined);
  t.equal(nextWait(broken, { ...options, attempt: 10, waitedMs: 0 }), undefined);
  t.end();
});

t.test("writes keep a distance when there are many", async (t) => {
  const server = await startServer(t);
  const forge = forgeOf(server, TOKEN, { writeIntervalMs: 100, writeBurst: 2 });
  const startedAt = Date.now();
  const write = (name: string) => forge.rest.issues.createLabel({ ...site, name });
  await Promise.all(["a", "b", "c", "d"].map(write));
  t.ok(Date.now() - startedAt >= 195, "two at once, two more after an interval each");
});

t.test("the token is in no error", async (t) => {
  const server = await startServer(t);
  const forge = forgeOf(server, TOKEN, { retries: 0 });
  const faults: readonly Fault[] = [
    failure(403, `no right for ${TOKEN}`),
    failure(500, `broken: ${TOKEN}`),
    { drop: "before" },
  ];
  for (const fault of faults) {
    server.fail("repos/get", fault);
    const error = await refusal(forge.rest.repos.get(site));
    const everything = [
      error.message,
      error.hint,
      error.stack,
      JSON.stringify(error.data),
      String(error.cause),
    ].join("\n");
    t.notMatch(everything, TOKEN);
  }
});

t.test("the token goes to https, or stays on this machine", (t) => {
  for (const apiUrl of [
    "http://github.example.org",
    "ftp://127.0.0.1",
    "github.example.org",
    "http://127.0.0.1.example.org",
  ]) {
    t.throws(() => createForge({ token: TOKEN, apiUrl }), { code: "FORGE_ADDRESS" }, apiUrl);
  }
  t.ok(createForge({ token: TOKEN, apiUrl: "https://github.example.org/api/v3" }));
  t.throws(() => forgeFromEnvironment({ GITHUB_TOKEN: "" }), { code: "FORGE_NO_TOKEN" });
  t.end();
});

t.test("GitHub is asked once who we are", async (t) => {
  const server = await startServer(t);
  server.addUser("app", { login: "our-app[bot]", type: "Bot" });
  const login = (token: string) => createForge({ token, apiUrl: server.url, limits: quick }).login();
  t.equal(await login(TOKEN), "alice");
  t.equal(await login("app"), "our-app[bot]");
  server.fail("graphql", failure(403));
  t.equal(await login("app"), "github-actions[bot]", "where even GraphQL is closed");
  const named = createForge({ token: "app", apiUrl: server.url, login: "somebody" });
  t.equal(await named.login(), "somebody");
});

t.test("a job's environment is enough", async (t) => {
  const server = await startServer(t);
  const forge = forgeFromEnvironment({ GH_TOKEN: TOKEN, GITHUB_API_URL: server.url }, { limits: quick });
  t.equal((await forge.rest.repos.get(site)).data.full_name, "acme/site");
});

t.test("names of repositories", async (t) => {
  t.same(parseRepositoryName("acme/site.one"), { owner: "acme", name: "site.one" });
  t.equal(formatRepositoryName({ owner: "acme", name: "site" }), "acme/site");
  for (const text of [
    "",
    "acme",
    "acme/",
    "/site",
    "a/b/c",
    "acme/..",
    "-a/b",
    "acme/s ite",
    "acme/site\u202e",
    "a".repeat(50) + "/b",
  ]) {
    t.throws(() => parseRepositoryName(text), { code: "FORGE_REPOSITORY_NAME" }, JSON.stringify(text));
  }
  const urls = [
    "https://github.com/acme/site",
    "https://github.com/acme/site.git",
    "git@github.com:acme/site.git",
    "ssh://git@github.com/acme/site/",
  ];
  for (const url of urls) t.same(repositoryOfUrl(url), { owner: "acme", name: "site" }, url);
  for (const url of ["/srv/site.git", "file:///srv/acme/site", "https://github.com/site", ""])
    t.equal(repositoryOfUrl(url), undefined, url);
  const directory = t.testdir();
  await run({ file: "git", args: ["init", "-q", directory] });
  await t.rejects(repositoryOfClone(gitAt(directory)), { code: "FORGE_REPOSITORY_NAME" });
  await run({
    file: "git",
    args: ["-C", directory, "remote", "add", "origin", "git@github.com:acme/site.git"],
  });
  t.same(await repositoryOfClone(gitAt(directory)), { owner: "acme", name: "site" });
});

t.test("octokit stays out of cui's start", (t) => {
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    const text = readFileSync(file, "utf8");
    for (const [, target = ""] of text.matchAll(/(?:from|import)\s*"(\.[^"]+\.js)"/g))
      visit(path.resolve(path.dirname(file), target));
  };
  const launcher = path.resolve("dist/cui.js");
  visit(launcher);
  // The rest of it is loaded under a Node that is new enough.
  const rest = /import\("(\.[^"]+\.js)"\)/.exec(readFileSync(launcher, "utf8"))?.[1] ?? "";
  visit(path.resolve(path.dirname(launcher), rest));
  const texts = [...reached].map((file) => readFileSync(file, "utf8"));
  t.ok(
    texts.some((text) => text.includes("cui --help")),
    "the files were read",
  );
  t.notOk(
    texts.some(
      (text) =>
        text.includes("octokit-rest") ||
        text.includes("octokit-core") ||
        text.includes("/repos/{owner}/{repo}"),
    ),
  );
  t.end();
});
