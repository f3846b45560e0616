import t from "tap";
import { listBumpPullRequests, upsertBumpPullRequest, type Bump } from "../../src/forge/bump-pull-request.ts";
import { setLabels, type Label } from "../../src/forge/labels.ts";
import { bumpBranch } from "../../src/bump/branch.ts";
import { failure } from "./github-server-faults.ts";
import {
  forgeOf,
  JOB_TOKEN,
  PERSON_TOKEN,
  refusal,
  repository,
  site,
  startServer,
} from "./github-fixture.ts";
import { git } from "./github-server-git.ts";
import type { GitHubServer } from "./github-server.ts";

const label: Label = { name: "collective: restart", color: "fbca04", description: "restarts machines" };

function bump(group: string, fields: Partial<Bump> = {}): Bump {
  return {
    repository,
    group,
    base: "main",
    title: `Take ${group} v6`,
    body: "What is new",
    digest: "abc123",
    labels: [label],
    limit: 5,
    ...fields,
  };
}

async function push(server: GitHubServer, group: string): Promise<void> {
  await server.commit("acme/site", bumpBranch(group), { "cvl.lock": `${group}\n` });
}

function pulls(server: GitHubServer, state = "open") {
  return server.state.repositories.get("acme/site")!.pulls.filter((pull) => pull.state === state);
}

t.test("the pull request of a group", async (t) => {
  await t.test("is opened once, kept up to date, and left alone when nothing changed", async (t) => {
    const server = await startServer(t);
    const forge = forgeOf(server, JOB_TOKEN);
    await push(server, "DNS");
    const opened = await upsertBumpPullRequest(forge, bump("DNS"));
    t.equal(opened.outcome, "created");
    server.requests.length = 0;
    t.equal((await upsertBumpPullRequest(forge, bump("DNS"))).outcome, "unchanged");
    t.same(server.writes(), []);
    const data: Label = { ...label, name: "collective: data" };
    const updated = await upsertBumpPullRequest(
      forge,
      bump("DNS", { title: "Take DNS v7", digest: "def", labels: [data] }),
    );
    t.match(updated, { outcome: "updated", number: opened.number });
    t.equal(pulls(server).length, 1);
    t.match(pulls(server)[0], {
      title: "Take DNS v7",
      labels: ["collective: data"],
      headBranch: "collective/bump/DNS",
    });
    t.match(pulls(server)[0]?.body, /^<!-- collective:bump def -->\nWhat is new$/);
  });

  await t.test("is there once after lost answers and runs at the same time", async (t) => {
    const server = await startServer(t);
    await push(server, "DNS");
    server.fail("pulls/create", { drop: "after" });
    t.equal((await upsertBumpPullRequest(forgeOf(server, JOB_TOKEN), bump("DNS"))).outcome, "created");
    t.equal(pulls(server).length, 1);
    await push(server, "LDAP");
    await Promise.all(
      [0, 1, 2, 3].map(() => upsertBumpPullRequest(forgeOf(server, JOB_TOKEN), bump("LDAP"))),
    );
    t.equal(pulls(server).length, 2);
  });

  await t.test("is not opened without commits, nor for a branch that is not there", async (t) => {
    const server = await startServer(t);
    const forge = forgeOf(server, JOB_TOKEN);
    const { gitDirectory } = server.state.repositories.get("acme/site")!;
    await git(gitDirectory, ["branch", bumpBranch("empty"), "main"]);
    t.equal((await upsertBumpPullRequest(forge, bump("empty"))).outcome, "empty");
    t.equal((await refusal(upsertBumpPullRequest(forge, bump("unpushed")))).code, "FORGE_NOT_FOUND");
    t.same(pulls(server), []);
  });

  await t.test("is not opened again when a person closed it, until there are other versions", async (t) => {
    const server = await startServer(t);
    const forge = forgeOf(server, JOB_TOKEN);
    await push(server, "DNS");
    const { number = 0 } = await upsertBumpPullRequest(forge, bump("DNS"));
    await forgeOf(server, PERSON_TOKEN).rest.pulls.update({ ...site, pull_number: number, state: "closed" });
    t.equal((await upsertBumpPullRequest(forge, bump("DNS"))).outcome, "declined");
    t.same(pulls(server), []);
    t.equal((await upsertBumpPullRequest(forge, bump("DNS", { digest: "def" }))).outcome, "created");
    t.equal((await upsertBumpPullRequest(forge, bump("DNS", { digest: "def" }))).outcome, "unchanged");
  });

  await t.test("is opened anew after the one before was merged", async (t) => {
    const server = await startServer(t);
    const forge = forgeOf(server, JOB_TOKEN);
    await push(server, "DNS");
    const { number = 0 } = await upsertBumpPullRequest(forge, bump("DNS"));
    await forge.rest.pulls.merge({ ...site, pull_number: number });
    await server.commit("acme/site", bumpBranch("DNS"), { "cvl.lock": "newer\n" });
    t.equal((await upsertBumpPullRequest(forge, bump("DNS"))).outcome, "created");
  });

  await t.test("waits while as many as allowed are open", async (t) => {
    const server = await startServer(t);
    const forge = forgeOf(server, JOB_TOKEN);
    for (const group of ["a", "b", "c"]) await push(server, group);
    await upsertBumpPullRequest(forge, bump("a", { limit: 2 }));
    await upsertBumpPullRequest(forge, bump("b", { limit: 2 }));
    t.equal((await upsertBumpPullRequest(forge, bump("c", { limit: 2 }))).outcome, "limited");
    t.equal(
      (await upsertBumpPullRequest(forge, bump("a", { limit: 2, title: "Newer" }))).outcome,
      "updated",
      "an open one goes on",
    );
    t.equal(pulls(server).length, 2);
  });

  await t.test("does not pass the limit when runs collide, and comes back later", async (t) => {
    const server = await startServer(t);
    const groups = ["a", "b", "c", "d"];
    for (const group of groups) await push(server, group);
    const results = await Promise.all(
      groups.map((group) => upsertBumpPullRequest(forgeOf(server, JOB_TOKEN), bump(group, { limit: 2 }))),
    );
    t.equal(pulls(server).length, 2);
    const limited = groups.filter((_, index) => results[index]?.outcome === "limited");
    t.equal(limited.length, 2);
    const later = await upsertBumpPullRequest(forgeOf(server, JOB_TOKEN), bump(limited[0]!, { limit: 9 }));
    t.equal(later.outcome, "created", "being closed for the limit is no decision");
  });

  await t.test("is not a fork's that took the branch's name", async (t) => {
    const server = await startServer(t);
    const forge = forgeOf(server, JOB_TOKEN);
    const fork = await server.addRepository("mallory/site", {
      forkOf: server.state.repositories.get("acme/site")!,
    });
    await server.commit("mallory/site", bumpBranch("DNS"), { "cvl.lock": "evil\n" });
    const { state } = server;
    const mallory = server.addUser("mallory-token-0123456789", { login: "mallory" });
    server.state.repositories.get("acme/site")!.pulls.push({
      id: state.nextId(),
      number: ++server.state.repositories.get("acme/site")!.lastNumber,
      author: mallory,
      title: "Take DNS v6",
      body: "<!-- collective:bump abc123 -->\n",
      state: "open",
      merged: false,
      mergeCommit: null,
      headRepository: fork,
      headBranch: bumpBranch("DNS"),
      headSha: "0".repeat(40),
      baseBranch: "main",
      labels: [],
      comments: [],
      reviews: [],
      createdAt: state.now(),
      updatedAt: state.now(),
    });
    t.same(await listBumpPullRequests(forge, repository), []);
    await push(server, "DNS");
    t.match(await upsertBumpPullRequest(forge, bump("DNS", { limit: 1 })), { outcome: "created", number: 2 });
    t.equal(pulls(server)[0]?.title, "Take DNS v6");
  });

  await t.test("says why it cannot be opened", async (t) => {
    const server = await startServer(t);
    await push(server, "DNS");
    server.fail(
      "pulls/create",
      failure(403, "GitHub Actions is not permitted to create or approve pull requests."),
    );
    t.equal(
      (await refusal(upsertBumpPullRequest(forgeOf(server, JOB_TOKEN), bump("DNS")))).code,
      "FORGE_FORBIDDEN",
    );
  });
});

t.test("names of branches come from names of groups", (t) => {
  t.equal(bumpBranch("DNS"), "collective/bump/DNS");
  t.equal(bumpBranch("https://example.org/a..b/DNS.git"), "collective/bump/https-example-org-a-b-DNS-git");
  t.equal(bumpBranch("--../.."), "collective/bump/all");
  t.equal(bumpBranch("x".repeat(500)).length, "collective/bump/".length + 100);
  t.end();
});

t.test("labels of others stay", async (t) => {
  const server = await startServer(t);
  await push(server, "DNS");
  const forge = forgeOf(server, JOB_TOKEN);
  const { number = 0 } = await upsertBumpPullRequest(forge, bump("DNS"));
  await forge.rest.issues.addLabels({ ...site, issue_number: number, labels: ["security"] });
  const wanted = { repository, pullNumber: number, ownPrefix: "collective" };
  server.fail("issues/create-label", { drop: "after" });
  server.fail("issues/remove-label", failure(404, "Label does not exist"));
  t.equal(await setLabels(forge, { ...wanted, wanted: [{ ...label, name: "collective: none" }] }), true);
  t.equal(await setLabels(forge, { ...wanted, wanted: [{ ...label, name: "collective: none" }] }), true);
  t.equal(await setLabels(forge, { ...wanted, wanted: [{ ...label, name: "collective: none" }] }), false);
  t.same(pulls(server)[0]?.labels, ["security", "collective: none"]);
  t.equal(server.state.repositories.get("acme/site")!.labels.get("collective: restart")?.color, "fbca04");
});
