import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import t, { type Test } from "tap";
import { runApplyJob, type ApplyInputs } from "../../../src/forge/jobs/apply-job.ts";
import { mergedPullEvidence } from "../../../src/forge/merged-pull.ts";
import type { JobContext, JobResult } from "../../../src/forge/jobs/job.ts";
import type { Approval } from "../../../src/plan/approval.ts";
import { openStateStore } from "../../../src/manager/records/state-store.ts";
import { previewSite } from "../../../src/preview/preview-site.ts";
import { git, gitAt, scratch } from "../../git/git-fixture.ts";
import { createMemoryHost, type MemoryHost } from "../../manager/memory-host.ts";
import { makeAppliances, officeText, UTILITY } from "../../manager/rollout/rollout-fixture.ts";
import {
  ADMIN_TOKEN,
  forgeOf,
  furnish,
  JOB_TOKEN,
  PERSON_TOKEN,
  refusal,
  repository,
  site,
  startServer,
} from "../github-fixture.ts";
import { failure, secondaryLimit } from "../github-server-faults.ts";
import { startGitHubServer, type GitHubServer } from "../github-server.ts";

const BOB_TOKEN = "ghp_0123456789bobbobbobbobbob";
const EVE_TOKEN = "ghp_0123456789eveeveeveeveeve";

interface Stage {
  readonly server: GitHubServer;
  readonly folder: string;
  readonly workspace: string;
  readonly host: MemoryHost;
  readonly summary: string;
  readonly lines: string[];
  /** Opens a pull request with these files and a recorded plan. */
  propose(files: Readonly<Record<string, string>>, options?: ProposeOptions): Promise<Proposal>;
  /** Merges it; resolves to the merged commit. */
  merge(proposal: Proposal, method?: "merge" | "squash"): Promise<string>;
  /** Runs the job for a commit, by default the tip of main. */
  run(inputs?: Partial<ApplyInputs>, options?: { readonly commit?: string }): Promise<JobResult>;
  /** What hosts were told since the last time. */
  calls(): string[];
}

interface ProposeOptions {
  readonly branch?: string;
  readonly token?: string;
  /** Of the plan; null: none is recorded. */
  readonly edit?: (approval: Approval) => Approval | null;
  readonly planToken?: string;
}

interface Proposal {
  readonly number: number;
  readonly head: string;
}

async function openStage(t: Test): Promise<Stage> {
  const { folder } = scratch(t);
  const server = await startGitHubServer(folder);
  t.teardown(() => server.close());
  await furnish(server);
  mkdirSync(path.join(folder, "acme"), { recursive: true });
  makeAppliances(path.join(folder, "acme/repos"));
  await server.commit("acme/site", "main", { "utility.yaml": UTILITY, "office.cvl": officeText() });
  const { gitDirectory } = server.state.repositories.get("acme/site")!;
  const workspace = path.join(folder, "workspace");
  git(folder, "clone", "--quiet", gitDirectory, workspace);
  const calls: string[] = [];
  const host = createMemoryHost({ name: "h1", calls });
  const cache = path.join(folder, "cache");
  const summary = path.join(folder, "summary.md");
  const stage: Stage = {
    ...{ server, folder, workspace, host, summary, lines: [] },
    propose: async (files, options = {}) => {
      const branch = options.branch ?? "topic";
      const head = await server.commit("acme/site", branch, files);
      const pull = { ...site, title: "Change", head: branch, base: "main" };
      const { data } = await forgeOf(server, options.token ?? PERSON_TOKEN).rest.pulls.create(pull);
      git(workspace, "fetch", "--quiet", "origin");
      const base = git(workspace, "rev-parse", "origin/main");
      const preview = await previewSite({ git: gitAt(workspace), base, head, cache });
      const approval = (options.edit ?? ((made) => made))(preview.approval);
      if (approval !== null) {
        const text = `\`\`\`json collective-approval\n${JSON.stringify(approval)}\n\`\`\``;
        await forgeOf(server, options.planToken ?? JOB_TOKEN).rest.checks.create({
          ...site,
          ...{ head_sha: head, name: "collective/plan", status: "completed", conclusion: "success" },
          output: { title: "plan", summary: "plan", text },
        });
      }
      return { number: data.number, head };
    },
    merge: async ({ number }, method = "merge") => {
      const target = { ...site, pull_number: number, merge_method: method };
      return (await forgeOf(server, ADMIN_TOKEN).rest.pulls.merge(target)).data.sha;
    },
    run: async (inputs = {}, options = {}) => {
      git(workspace, "fetch", "--quiet", "origin");
      const after = options.commit ?? git(workspace, "rev-parse", "origin/main");
      const env = {
        GITHUB_REPOSITORY: "acme/site",
        GITHUB_STEP_SUMMARY: summary,
        CUI_STATE: path.join(folder, "state.git"),
      };
      const job: JobContext = {
        git: gitAt(workspace, env),
        env,
        event: { ref: "refs/heads/main", after },
        forge: () => forgeOf(server, JOB_TOKEN),
        print: (line) => void stage.lines.push(line),
      };
      const all: ApplyInputs = {
        ...{ folder: "", branch: undefined, environment: "production", planApp: "github-actions" },
        ...{ acceptRewind: undefined, retry: false, waitSeconds: 30 },
        ...inputs,
      };
      const connect = () => Promise.resolve(host);
      return runApplyJob(all, job, { connect, cache, limits: { readyMs: 2000 } });
    },
    calls: () => calls.splice(0).filter((call) => !/^!?prepare/.test(call)),
  };
  t.equal((await stage.run()).outputs["outcome"], "done");
  stage.calls();
  return stage;
}

function deployments({ server }: Stage) {
  return server.state.repositories.get("acme/site")!.deployments.map(({ fields, statuses }) => ({
    sha: fields["sha"],
    states: statuses.map((status) => status.fields["state"]).reverse(),
  }));
}

function statusOf({ server }: Stage, commit: string) {
  const statuses = server.state.repositories.get("acme/site")!.statuses.filter(({ sha }) => sha === commit);
  return statuses.map(({ fields }) => fields["state"]).reverse();
}

t.test("a merged pull request is rolled out, once, with deployment, status and summary", async (t) => {
  const stage = await openStage(t);
  for (const [index, method] of (["merge", "squash"] as const).entries()) {
    const files = { "office.cvl": officeText({ web: 2, dns: index + 1 }) };
    const commit = await stage.merge(await stage.propose(files, { branch: `topic${index}` }), method);
    const result = await stage.run();
    t.equal(result.outputs["outcome"], "done", stage.lines.join("\n"));
    t.notOk(result.isFailed);
    t.match(result.outputs["reason"], /^replaced 1 machine of office\.cvl/);
    t.same(stage.calls(), index === 0 ? ["stop w", "start w@2"] : ["stop d", "start d@2"]);
    t.same(statusOf(stage, commit), ["pending", "success"]);
    const again = await stage.run({}, { commit });
    t.equal(again.outputs["outcome"], "unchanged");
    t.equal(again.outputs["deployment-id"], result.outputs["deployment-id"]);
    t.same(statusOf(stage, commit), ["pending", "success"]);
  }
  t.same(
    deployments(stage).map(({ states }) => states.at(-1)),
    ["success", "inactive", "inactive"],
  );
  t.same(stage.calls(), []);
  const summary = readFileSync(stage.summary, "utf8");
  t.match(summary, /Approval: `the check run of #1`/);
  t.match(summary, /The real plan/);
});

t.test(
  "what was not approved is refused: the status says so, the next push goes on from what runs",
  async (t) => {
    const stage = await openStage(t);
    const mild = (approval: Approval): Approval => ({
      ...approval,
      networks: approval.networks.map((network) => ({ ...network, components: {} })),
    });
    const files = { "office.cvl": officeText({ web: 2 }) };
    const commit = await stage.merge(await stage.propose(files, { edit: mild }));
    const result = await stage.run();
    t.equal(result.outputs["outcome"], "refused");
    t.ok(result.isFailed);
    t.match(result.outputs["reason"], /^refused office\.cvl: w would be of class replace, approved was none/);
    t.same(stage.calls(), []);
    t.same(statusOf(stage, commit), ["pending", "failure"]);
    t.match(readFileSync(stage.summary, "utf8"), /\*\*refused\*\*/);
    t.equal((await stage.run()).outputs["outcome"], "refused", "the same again says the same");
    t.same(statusOf(stage, commit), ["pending", "failure"]);

    const next = { "office.cvl": officeText({ web: 2, dns: 2 }) };
    await stage.merge(await stage.propose(next, { branch: "next" }));
    t.match(
      (await stage.run()).outputs["reason"],
      /w would be of class replace/,
      "its preview knew nothing of w",
    );
    await stage.merge(await stage.propose({ "office.cvl": officeText() }, { branch: "back" }));
    t.equal((await stage.run()).outputs["outcome"], "done");
    t.same(stage.calls(), []);
  },
);

t.test("only the plan of the right app and head is believed", async (t) => {
  const stage = await openStage(t);
  await stage.server.commit("acme/site", "main", {
    "utility.yaml": `${UTILITY}approval: { persons: { replace: 2 } }\n`,
  });
  t.equal((await stage.run()).outputs["outcome"], "done");
  stage.server.addUser("ghs_other", { login: "evil[bot]", type: "Bot" });
  const worse = (approval: Approval): Approval => ({ ...approval, head: "a".repeat(40), networks: [] });
  const first = await stage.propose(
    { "office.cvl": officeText({ web: 2 }) },
    { planToken: "ghs_other", edit: (made) => ({ ...made, networks: [] }) },
  );
  await stage.merge(first);
  t.match((await stage.run()).outputs["reason"], /2 persons are needed for class replace, 1 approved it/);
  await stage.merge(
    await stage.propose({ "office.cvl": officeText({ web: 2, title: "x" }) }, { branch: "b", edit: worse }),
  );
  const result = await stage.run();
  t.match(result.outputs["reason"], /2 persons are needed/, "an approval of another head is none");
  t.match(readFileSync(stage.summary, "utf8"), /no plan of #2 was recorded/);
});

t.test("persons: the author and who approves of the head, with the right to write, no program", async (t) => {
  const server = await startServer(t);
  server.addUser(BOB_TOKEN, { login: "bob" });
  server.addUser(EVE_TOKEN, { login: "eve", role: "read" });
  type Review = readonly [token: string, state: string, age?: "old"];
  const approvals = async (reviews: readonly Review[], token = PERSON_TOKEN): Promise<string> => {
    const branch = `t${server.state.nextId()}`;
    const head = await server.commit("acme/site", branch, { "a.cvl": branch });
    const pull = { ...site, title: "Change", head: branch, base: "main" };
    const { number } = (await forgeOf(server, token).rest.pulls.create(pull)).data;
    const stored = server.state.repositories
      .get("acme/site")!
      .pulls.find((found) => found.number === number)!;
    for (const [reviewer, state, age] of reviews) {
      const author = server.state.users.get(reviewer)!;
      const sha = age === "old" ? "0".repeat(40) : head;
      stored.reviews.push({ id: server.state.nextId(), author, state, sha });
    }
    // Merged as a person would: the file is the same in all, so each merge takes the newest.
    const { gitDirectory } = server.state.repositories.get("acme/site")!;
    git(gitDirectory, "update-ref", "refs/heads/main", head);
    Object.assign(stored, { state: "closed", merged: true, mergeCommit: head, headSha: head });
    const evidence = await mergedPullEvidence(forgeOf(server, JOB_TOKEN), {
      ...{ repository, commit: head, branch: "main", folder: "", planApp: "github-actions" },
    });
    const { persons = [], notCounted = [] } = evidence?.approvals ?? {};
    return [...persons.map(({ name, how }) => `${name} ${how}`), ...notCounted].join(", ");
  };
  t.equal(await approvals([]), "alice author");
  t.equal(await approvals([[BOB_TOKEN, "APPROVED"]]), "alice author, bob approved");
  t.equal(await approvals([[PERSON_TOKEN, "APPROVED"]]), "alice author", "nobody counts twice");
  t.equal(await approvals([[EVE_TOKEN, "APPROVED"]]), "alice author, eve (no right to write)");
  t.equal(await approvals([[BOB_TOKEN, "APPROVED", "old"]]), "alice author, bob (approved an older commit)");
  const changed = [
    [BOB_TOKEN, "APPROVED"],
    [BOB_TOKEN, "CHANGES_REQUESTED"],
  ] as const;
  t.equal(await approvals(changed), "alice author, bob (asks for changes)");
  t.equal(await approvals([...changed].reverse()), "alice author, bob approved");
  t.equal(
    await approvals([
      [BOB_TOKEN, "APPROVED"],
      [BOB_TOKEN, "COMMENTED"],
    ]),
    "alice author, bob approved",
  );
  t.equal(await approvals([[BOB_TOKEN, "DISMISSED"]]), "alice author, bob (the approval was dismissed)");
  t.equal(await approvals([[JOB_TOKEN, "APPROVED"]]), "alice author, github-actions[bot] (a program)");
  t.equal(
    await approvals([[BOB_TOKEN, "APPROVED"]], JOB_TOKEN),
    "bob approved, github-actions[bot] (a program)",
  );
  const direct = await server.commit("acme/site", "main", { "b.cvl": "" });
  const pull = { repository, commit: direct, branch: "main", folder: "", planApp: "github-actions" };
  t.equal(await mergedPullEvidence(forgeOf(server, JOB_TOKEN), pull), undefined, "a push of its own");
});

t.test("nothing is applied for a commit that is not on the protected branch", async (t) => {
  const stage = await openStage(t);
  const { head } = await stage.propose({ "office.cvl": officeText({ web: 2 }) });
  t.equal((await refusal(stage.run({}, { commit: head }))).code, "ROLLOUT_OFF_BRANCH");
  t.equal((await refusal(stage.run({}, { commit: "f".repeat(40) }))).code, "ROLLOUT_OFF_BRANCH");
  t.equal((await refusal(stage.run({}, { commit: "main" }))).code, "INVALID_INPUT");
  t.same(stage.calls(), []);
  t.equal(deployments(stage).length, 1, "only that of the beginning");

  const before = git(stage.workspace, "rev-parse", "origin/main");
  const commit = await stage.server.commit("acme/site", "main", { "office.cvl": officeText({ web: 2 }) });
  const { gitDirectory } = stage.server.state.repositories.get("acme/site")!;
  git(stage.workspace, "fetch", "--quiet", "origin");
  // The branch is rewound between the push and the job.
  git(gitDirectory, "update-ref", "refs/heads/main", before);
  t.equal((await refusal(stage.run({}, { commit }))).code, "ROLLOUT_OFF_BRANCH");
  git(gitDirectory, "update-ref", "refs/heads/main", commit);
  t.equal((await stage.run({}, { commit })).outputs["outcome"], "done");
  git(gitDirectory, "update-ref", "refs/heads/main", before);
  t.equal((await refusal(stage.run({}, { commit: before }))).code, "ROLLOUT_REWIND");
  t.same(stage.calls(), ["stop w", "start w@2"]);
  t.equal((await stage.run({ acceptRewind: before }, { commit: before })).outputs["outcome"], "done");
});

t.test(
  "of two jobs at the same time each commit is rolled out once, never an older one after a newer",
  async (t) => {
    const stage = await openStage(t);
    const first = await stage.merge(await stage.propose({ "office.cvl": officeText({ web: 2 }) }));
    const stale = path.join(stage.folder, "stale");
    git(
      stage.folder,
      "clone",
      "--quiet",
      stage.server.state.repositories.get("acme/site")!.gitDirectory,
      stale,
    );
    const second = await stage.merge(
      await stage.propose({ "office.cvl": officeText({ web: 2, dns: 2 }) }, { branch: "second" }),
    );
    const results = await Promise.all([
      stage.run({}, { commit: second }),
      stage.run({}, { commit: first }),
      stage.run({}, { commit: second }),
      stage.run({}, { commit: first }),
    ]);
    const starts = stage.calls().filter((call) => call.startsWith("start"));
    t.equal(new Set(starts).size, starts.length, "nothing twice");
    t.same(stage.host.running().includes("d@2") || results.some(({ isFailed }) => isFailed), true);
    const made = deployments(stage).map(({ sha }) => sha);
    t.equal(new Set(made).size, made.length, "one deployment a commit");
    const late = await stage.run({}, { commit: first });
    t.equal(late.outputs["outcome"], "superseded");
    t.same(stage.calls(), []);
  },
);

t.test(
  "GitHub's failures: reads end it before anything is changed, lost writes leave no duplicate",
  async (t) => {
    const stage = await openStage(t);
    const { server } = stage;
    const commit = await stage.merge(await stage.propose({ "office.cvl": officeText({ web: 2 }) }));
    const reads: readonly (readonly [string, number, string])[] = [
      ["repos/get-branch", 403, "FORGE_FORBIDDEN"],
      ["repos/get-branch", 404, "FORGE_NOT_FOUND"],
      ["repos/list-pull-requests-associated-with-commit", 409, "FORGE_CONFLICT"],
      ["checks/list-for-ref", 422, "FORGE_REFUSED"],
      ["pulls/list-reviews", 502, "FORGE_UNAVAILABLE"],
    ];
    for (const [operation, status, code] of reads) {
      server.fail(operation, { ...failure(status), times: status >= 500 ? 5 : 1 });
      t.equal((await refusal(stage.run())).code, code, operation);
    }
    server.fail("pulls/list-reviews", secondaryLimit(403, 3600));
    t.equal((await refusal(stage.run())).code, "FORGE_RATE_LIMITED");
    t.same(stage.calls(), []);
    t.same(statusOf(stage, commit), []);

    server.fail("repos/create-deployment", { drop: "after" });
    server.fail("repos/create-deployment-status", { ...failure(502), times: 1 });
    server.fail("repos/create-commit-status", { drop: "after" });
    server.fail("repos/list-deployments", secondaryLimit(429, 0));
    t.equal((await stage.run()).outputs["outcome"], "done");
    t.same(stage.calls(), ["stop w", "start w@2"]);
    t.equal(deployments(stage).length, 2);
    t.same(deployments(stage)[0]?.states, ["in_progress", "success"]);
    t.same(statusOf(stage, commit), ["pending", "success"]);

    await stage.merge(await stage.propose({ "office.cvl": officeText({ web: 1 }) }, { branch: "c" }));
    server.fail("repos/create-deployment", { ...failure(403), times: 9 });
    server.fail("repos/create-commit-status", { ...failure(404), times: 9 });
    const quiet = await stage.run();
    t.equal(quiet.outputs["outcome"], "done", "what cannot be reported is done all the same");
    t.equal(quiet.outputs["deployment-id"], "");
    t.ok(stage.lines.some((line) => line.startsWith("::warning title=not reported::the deployment")));
  },
);

t.test("a branch that moves on while it is looked at: the newer job does the rest", async (t) => {
  const stage = await openStage(t);
  const first = await stage.merge(await stage.propose({ "office.cvl": officeText({ web: 2 }) }));
  git(stage.workspace, "fetch", "--quiet", "origin");
  let second = "";
  const nextFiles = { "office.cvl": officeText({ web: 2, title: "next" }) };
  stage.server.fail("repos/list-pull-requests-associated-with-commit", {
    before: async () => {
      second = await stage.server.commit("acme/site", "main", nextFiles);
    },
  });
  t.equal((await stage.run({}, { commit: first })).outputs["outcome"], "done");
  t.same(stage.calls(), ["stop w", "start w@2"]);
  t.equal((await stage.run({}, { commit: second })).outputs["outcome"], "done");
  t.same(stage.calls(), ["send w"]);
  const state = await (await openStateStore(path.join(stage.folder, "state.git"))).read();
  t.match(state.files.get("rollouts/@root.json"), new RegExp(`"commit": "${second}"`));
});
