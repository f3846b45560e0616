import t from "tap";
import type { CliContext } from "../../src/cli/context.ts";
import { runCli } from "../../src/cli/main.ts";
import { protectRepository } from "../../src/forge/protect.ts";
import type { ProtectionReport, ProtectionWishes } from "../../src/forge/protection.ts";
import { isAsStrict, mergeRules, rulesSatisfy, strengthen } from "../../src/forge/protection-rules.ts";
import { failure } from "./github-server-faults.ts";
import {
  ADMIN_TOKEN,
  forgeOf,
  JOB_TOKEN,
  PERSON_TOKEN,
  refusal,
  repository,
  site,
  startServer,
} from "./github-fixture.ts";
import type { GitHubServer } from "./github-server.ts";

const wishes: ProtectionWishes = {
  repository,
  parts: ["tags", "branch", "environment"],
  checks: ["collective/plan"],
  approvals: 1,
  environment: "production",
  reviewers: ["alice", "acme/operators"],
  dryRun: false,
};

async function begin(t: Parameters<typeof startServer>[0]): Promise<GitHubServer> {
  const server = await startServer(t);
  server.addTeam("acme", "operators");
  return server;
}

function outcomes(report: ProtectionReport): string[] {
  return report.steps.map(({ part, outcome }) => `${part}: ${outcome}`);
}

t.test("protection is set, holds, and is not set twice", async (t) => {
  const server = await begin(t);
  const forge = forgeOf(server, ADMIN_TOKEN);
  const stored = server.state.repositories.get("acme/site")!;

  const planned = await protectRepository(forge, { ...wishes, dryRun: true });
  t.same(outcomes(planned), ["tags: would create", "branch: would create", "environment: would create"]);
  t.same(server.writes(), [], "a dry run writes nothing");

  const first = await protectRepository(forge, wishes);
  t.same(outcomes(first), ["tags: created", "branch: created", "environment: created"]);
  t.equal(first.isComplete, true);
  t.match(stored.rulesets[0]?.fields, {
    name: "Collective: versions",
    target: "tag",
    enforcement: "active",
    bypass_actors: [],
    conditions: { ref_name: { include: ["refs/tags/v*"], exclude: [] } },
    rules: [{ type: "deletion" }, { type: "update" }, { type: "non_fast_forward" }],
  });
  t.match(
    JSON.stringify(stored.rulesets[1]?.fields),
    /"required_status_checks":\[\{"context":"collective\/plan"\}\]/,
  );
  const environment = stored.environments.get("production")!;
  t.same(
    environment.branchPolicies.map(({ name }) => name),
    ["main"],
  );
  t.equal((environment.fields["reviewers"] as unknown[]).length, 2);

  server.requests.length = 0;
  const second = await protectRepository(forge, wishes);
  t.same(outcomes(second), ["tags: unchanged", "branch: unchanged", "environment: unchanged"]);
  t.same(server.writes(), []);

  const version = await server.commit("acme/site", "main", { a: "b\n" });
  await forge.rest.git.createRef({ ...site, ref: "refs/tags/v1", sha: version });
  const next = await server.commit("acme/site", "main", { a: "c\n" });
  const move = forge.rest.git.updateRef({ ...site, ref: "tags/v1", sha: next });
  t.match((await refusal(move)).message, /rule violations/, "a version cannot be moved");
  const remove = forge.rest.git.deleteRef({ ...site, ref: "tags/v1" });
  t.match((await refusal(remove)).message, /rule violations/, "a version cannot be deleted");
});

t.test("what is weaker becomes stronger, what is stricter stays", async (t) => {
  const server = await begin(t);
  const forge = forgeOf(server, ADMIN_TOKEN);
  const stored = server.state.repositories.get("acme/site")!;
  await protectRepository(forge, { ...wishes, approvals: 3 });
  const [tags, branch] = stored.rulesets;
  tags!.fields = {
    ...tags!.fields,
    enforcement: "disabled",
    bypass_actors: [{ actor_id: 1, actor_type: "Team" }],
    rules: [{ type: "creation" }],
  };
  branch!.fields = {
    ...branch!.fields,
    bypass_actors: [{ actor_id: 1, actor_type: "Team" }],
    conditions: { ref_name: { include: ["~DEFAULT_BRANCH"], exclude: ["refs/heads/main"] } },
  };
  stored.environments.get("production")!.branchPolicies.push({ id: 1, name: "release/*" });
  Object.assign(stored.environments.get("production")!.fields, { wait_timer: 30, prevent_self_review: true });

  const report = await protectRepository(forge, { ...wishes, reviewers: ["olga"] });
  t.same(outcomes(report), [
    "tags: updated",
    "branch: updated",
    "branch: note",
    "environment: updated",
    "environment: note",
  ]);
  t.match(report.steps.map(({ text }) => text).join("\n"), /exempt from the branch rule[^]*release\/\*/);
  t.match(tags!.fields, { enforcement: "active", bypass_actors: [] });
  t.same(
    (tags!.fields["rules"] as { type: string }[]).map(({ type }) => type),
    ["deletion", "update", "non_fast_forward", "creation"],
  );
  t.match(branch!.fields, { conditions: { ref_name: { exclude: [] } }, bypass_actors: [{ actor_id: 1 }] });
  t.match(JSON.stringify(branch!.fields["rules"]), /"required_approving_review_count":3/);
  const { fields } = stored.environments.get("production")!;
  t.match(fields, { wait_timer: 30, prevent_self_review: true });
  t.equal((fields["reviewers"] as unknown[]).length, 3, "reviewers are added, none is lost");
  server.requests.length = 0;
  await protectRepository(forge, { ...wishes, reviewers: [] });
  t.same(server.writes(), []);
});

t.test("a lost answer makes no second ruleset", async (t) => {
  const server = await begin(t);
  server.fail("repos/create-repo-ruleset", { drop: "after" });
  server.fail("repos/create-or-update-environment", { drop: "after" });
  server.fail("repos/create-deployment-branch-policy", failure(502));
  const forge = forgeOf(server, ADMIN_TOKEN);
  await protectRepository(forge, wishes);
  await Promise.all([
    protectRepository(forge, wishes),
    protectRepository(forgeOf(server, ADMIN_TOKEN), wishes),
  ]);
  const stored = server.state.repositories.get("acme/site")!;
  t.equal(stored.rulesets.length, 2);
  t.same(
    stored.environments.get("production")?.branchPolicies.map(({ name }) => name),
    ["main"],
  );
});

t.test("what cannot be set is said in plain words, and the rest is set", async (t) => {
  const server = await begin(t);
  await server.addRepository("acme/closed", {
    private: true,
    planHas: { rulesets: false, environmentRules: false },
  });
  const closed = { ...wishes, repository: { owner: "acme", name: "closed" } };
  const report = await protectRepository(forgeOf(server, ADMIN_TOKEN), closed);
  t.same(outcomes(report), ["tags: refused", "branch: refused", "environment: refused"]);
  t.equal(report.isComplete, false);
  t.match(report.steps[0], {
    code: "FORGE_FORBIDDEN",
    hint: /plan may have no such protection/,
    text: /Upgrade to GitHub Pro/,
  });
  t.match(report.steps[2], { code: "FORGE_REFUSED", hint: /plan/ });

  const person = await protectRepository(forgeOf(server, PERSON_TOKEN), wishes);
  t.same(
    person.steps.map(({ code }) => code),
    ["FORGE_NOT_FOUND", "FORGE_NOT_FOUND", "FORGE_NOT_FOUND"],
  );
  t.match(person.steps[0]?.hint, /right to administer/);
  const job = await protectRepository(forgeOf(server, JOB_TOKEN), wishes);
  t.equal(job.steps[0]?.code, "FORGE_FORBIDDEN");

  server.fail("repos/get-repo-rulesets", failure(404));
  const partly = await protectRepository(forgeOf(server, ADMIN_TOKEN), wishes);
  t.same(outcomes(partly), ["tags: refused", "branch: created", "environment: created"]);

  const stranger = await protectRepository(forgeOf(server, ADMIN_TOKEN), {
    ...wishes,
    parts: ["environment"],
    reviewers: ["nobody"],
  });
  t.same(outcomes(stranger), ["environment: refused"]);
  t.equal(
    (
      await refusal(
        protectRepository(forgeOf(server, ADMIN_TOKEN), {
          ...wishes,
          repository: { owner: "acme", name: "absent" },
        }),
      )
    ).code,
    "FORGE_NOT_FOUND",
  );
  server.fail("repos/get-repo-rulesets", { drop: "before", times: 9 });
  t.equal(
    (await refusal(protectRepository(forgeOf(server, ADMIN_TOKEN, { retries: 1 }), wishes))).code,
    "FORGE_UNREACHABLE",
  );
});

t.test("strictness", (t) => {
  t.equal(isAsStrict(true, false), true);
  t.equal(isAsStrict(undefined, false), true);
  t.equal(isAsStrict(false, true), false);
  t.equal(isAsStrict(2, 1), true);
  t.equal(isAsStrict(0, 1), false);
  t.equal(isAsStrict([{ context: "a" }, { context: "b", integration_id: 1 }], [{ context: "b" }]), true);
  t.equal(isAsStrict([{ context: "a" }], [{ context: "b" }]), false);
  t.equal(isAsStrict(undefined, { a: true }), false);
  t.same(
    strengthen({ count: 2, flag: true, extra: 1, list: ["a"] }, { count: 1, flag: false, list: ["a", "b"] }),
    {
      count: 2,
      flag: true,
      extra: 1,
      list: ["a", "b"],
    },
  );
  t.equal(rulesSatisfy([{ type: "deletion" }], [{ type: "deletion" }, { type: "update" }]), false);
  t.same(mergeRules([{ type: "update", parameters: { x: true } }], [{ type: "update" }]), [
    { type: "update", parameters: { x: true } },
  ]);
  t.end();
});

interface Run {
  readonly status: number;
  readonly out: string;
  readonly error: string;
}

async function cui(
  server: GitHubServer,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Run> {
  const out: string[] = [];
  const error: string[] = [];
  const context: CliContext = {
    cwd: t.testdir(),
    env: { GITHUB_TOKEN: ADMIN_TOKEN, GITHUB_API_URL: server.url, ...env },
    isTerminal: false,
    print: (text) => void out.push(text),
    warn: (text) => void error.push(text),
  };
  return { status: await runCli(args, context), out: out.join("\n"), error: error.join("\n") };
}

t.test("cui protect", async (t) => {
  const server = await begin(t);
  const dry = await cui(server, ["protect", "acme/site", "--dry-run", "--only", "tags"]);
  t.equal(dry.status, 0);
  t.match(
    dry.out,
    /^acme\/site\n {2}would create {2}refs\/tags\/v\*: no deletion, no move, no replacement, by nobody$/,
  );
  t.same(server.writes(), []);

  const done = await cui(server, ["protect"], { GITHUB_REPOSITORY: "acme/site" });
  t.equal(done.status, 0, done.error);
  t.match(done.out, /changed by pull requests only with 1 approving review and the check collective\/plan/);
  t.match(done.out, /note +a rollout waits for nobody/);

  const json = await cui(server, ["protect", "acme/site", "--json", "--reviewer", "alice"]);
  const report = JSON.parse(json.out) as ProtectionReport;
  t.same(
    report.steps.map(({ outcome }) => outcome),
    ["unchanged", "unchanged", "updated"],
  );

  const refused = await cui(server, ["protect", "acme/site"], { GITHUB_TOKEN: PERSON_TOKEN });
  t.equal(refused.status, 0, "everything is in force, so nothing has to be set");
  await server.addRepository("acme/closed", { private: true, planHas: { rulesets: false } });
  const incomplete = await cui(server, ["protect", "acme/closed"]);
  t.equal(incomplete.status, 1);
  t.match(incomplete.error, /FORGE_PROTECTION_INCOMPLETE/);
  t.match(incomplete.out, /refused[^]*hint: [^]*created +environment/);

  for (const args of [["acme"], ["acme/site/x"]])
    t.equal((await cui(server, ["protect", ...args])).status, 1, args.join(" "));
  for (const args of [["--only", "all"], ["--approvals", "-1"], ["--approvals", "11"], ["--nonsense"]]) {
    t.equal((await cui(server, ["protect", "acme/site", ...args])).status, 2, args.join(" "));
  }
  const help = await cui(server, ["protect", "--help"]);
  t.equal(help.status, 0);
  t.match(help.out, /Example:/);
  const everything = [dry, done, json, refused, incomplete]
    .flatMap(({ out, error }) => [out, error])
    .join("\n");
  t.notMatch(everything, ADMIN_TOKEN);
  t.notMatch(everything, PERSON_TOKEN);
});
