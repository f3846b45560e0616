/** The jobs check, plan and comment on a real clone and the GitHub double: what they write, how often, and what they do when it fails. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type Test } from "tap";
import { readApproval } from "../../../src/plan/approval.ts";
import { forgeFromEnvironment } from "../../../src/forge/client.ts";
import { runCheckJob } from "../../../src/forge/jobs/check-job.ts";
import { runCommentJob } from "../../../src/forge/jobs/comment-job.ts";
import { runPlanJob } from "../../../src/forge/jobs/plan-job.ts";
import { parseOutputs } from "../../actions/action-process.ts";
import { git } from "../../git/git-fixture.ts";
import { forgeOf, JOB_TOKEN, PERSON_TOKEN, site as target } from "../github-fixture.ts";
import { failure, secondaryLimit } from "../github-server-faults.ts";
import { openPull, writeEvent, type PullFixture } from "../preview-fixture.ts";

const update = (t: Test): Promise<PullFixture> =>
  openPull(t, (site) => ({
    base: { "office.cvl": site.office() },
    head: { "office.cvl": site.office({ dns: 2, title: "Acme Ltd" }) },
  }));

const writes = (pull: PullFixture): string[] => pull.server.writes().filter((name) => name !== "graphql");

test("plan: one comment, one check run, summary and artifact, again and again the same", async (t) => {
  const pull = await update(t);
  const { inputs } = pull;
  const first = await runPlanJob(inputs, pull.job());
  t.match(first, { outputs: { class: "replace", changed: "true", applicable: "true" }, isFailed: false });
  t.match(first.outputs["comment-url"], /^http/);
  const [body = "", ...more] = pull.comments();
  t.same(more, []);
  t.match(body, /- \*\*Replaced or removed\*\*: 1 machine: `d`\n/);
  t.match(body, /```mermaid\n/);
  t.match(body, `Plan of ${pull.head.slice(0, 12)} against ${pull.base.slice(0, 12)}`);
  t.match(pull.summary(), "Replaced or removed");
  const [run] = pull.checks();
  t.equal(run?.head_sha ?? run?.fields["head_sha"], pull.head);
  const stored = JSON.stringify(run);
  t.match(stored, "collective/plan");
  t.match(stored, '"conclusion":"success"');
  const folder = first.outputs["directory"]!;
  t.same(readdirSync(folder).sort(), [
    "approval.json",
    "plan-0.json",
    "plan.md",
    "preview.json",
    "pull-request.json",
  ]);
  const approval = readApproval(readFileSync(path.join(folder, "approval.json"), "utf8"), "approval");
  t.match(approval, {
    base: pull.base,
    head: pull.head,
    networks: [{ components: { d: "replace", w: "parameters" } }],
  });
  t.ok(stored.includes("```json collective-approval"), "the check run has the approval");
  t.same(JSON.parse(first.outputs["input-digests"]!), { "office.cvl": approval.networks[0]?.inputDigest });

  pull.server.requests.length = 0;
  await runPlanJob(inputs, pull.job());
  t.same(writes(pull), [], "nothing changed, nothing is written");
  t.equal(pull.comments()[0], body);

  await t.test("a head that moved on is left to its own run", async (t) => {
    const moved = await pull.server.commit("acme/site", "topic", { "note.txt": "more\n" });
    pull.server.requests.length = 0;
    const result = await runPlanJob(inputs, pull.job());
    t.equal(result.outputs["comment-url"], "");
    t.same(writes(pull), []);
    t.match(pull.printed.join("\n"), "newer head");
    t.not(moved, pull.head);
  });
});

test("plan: what fails on GitHub leaves no twins", async (t) => {
  const pull = await update(t);
  const { server, inputs } = pull;
  const plan = (limits = {}): ReturnType<typeof runPlanJob> =>
    runPlanJob(inputs, pull.job({ forge: () => forgeOf(server, JOB_TOKEN, limits) }));
  const counts = (): number[] => [pull.comments().length, pull.checks().length];
  server.fail("issues/create-comment", { drop: "after" });
  server.fail("checks/create", { drop: "after" });
  await plan();
  t.same(counts(), [1, 1], "lost answers");
  for (const fault of [
    failure(502),
    secondaryLimit(403, 0),
    secondaryLimit(429, 0),
    { drop: "before" as const },
  ]) {
    server.fail("issues/list-comments", fault);
    server.fail("checks/list-for-ref", fault);
    await plan();
    t.same(counts(), [1, 1]);
  }
  for (const [status, code] of [
    [404, "FORGE_NOT_FOUND"],
    [409, "FORGE_CONFLICT"],
    [422, "FORGE_REFUSED"],
  ] as const) {
    server.fail("checks/list-for-ref", failure(status));
    await t.rejects(plan(), { code });
    t.same(counts(), [1, 1]);
  }
  server.fail("checks/list-for-ref", { ...failure(403, "Resource not accessible by integration"), times: 1 });
  t.match(
    await plan(),
    { outputs: { class: "replace" } },
    "without the right to check runs the comment is made",
  );
  // Jobs that run at the same time have folders of their own.
  await Promise.all(
    ["one", "two", "three"].map((outputDirectory) =>
      runPlanJob({ ...inputs, outputDirectory }, pull.job({ forge: () => forgeOf(server, JOB_TOKEN) })),
    ),
  );
  t.same(counts(), [1, 1], "three at the same time");
});

test("plan: a fork, no token, a token that may only read", async (t) => {
  const pull = await update(t);
  const { inputs } = pull;
  const noForge = (): never => {
    throw new Error("a fork's run must not even ask for the forge");
  };
  const forked = await runPlanJob(
    { ...inputs, importToken: "ghp_secretsecretsecret" },
    pull.job({ fork: true, forge: noForge }),
  );
  t.match(forked.outputs, { class: "replace", "comment-url": "" });
  t.match(pull.printed.join("\n"), "workflow_run");
  t.match(pull.summary(), "Replaced or removed");
  t.equal(existsSync(path.join(forked.outputs["directory"]!, "plan-0.json")), true);
  t.same(pull.server.requests, []);
  const tokenless = await runPlanJob(inputs, pull.job({ forge: () => forgeFromEnvironment({}) }));
  t.match(tokenless.outputs["comment-url"], "");
  t.match(pull.printed.join("\n"), "No comment: there is no token");
  pull.server.addUser("ghs_readonlyreadonly", { login: "github-actions[bot]", type: "Bot", role: "read" });
  await runPlanJob(inputs, pull.job({ forge: () => forgeOf(pull.server, "ghs_readonlyreadonly") }));
  t.same(pull.comments(), []);

  await t.test("then the comment job, from the artifact", async (t) => {
    const comment = { directory: inputs.outputDirectory, artifactName: "collective-plan", site: "." };
    const job = pull.job({ event: pull.runEvent() });
    const { outputs } = await runCommentJob(comment, job);
    t.match(outputs["comment-url"], /^http/);
    t.equal(pull.comments().length, 1);
    t.match(pull.comments()[0], "Replaced or removed");
    t.match(JSON.stringify(pull.checks()[0]), "collective-approval");
    pull.server.requests.length = 0;
    await runCommentJob(comment, job);
    await runPlanJob(inputs, pull.job());
    t.same(writes(pull), [], "both jobs write the same");
  });

  await t.test(
    "shallow checkouts get what they lack; the merge GitHub made is what is looked at",
    async (t) => {
      const shallow = path.join(t.testdir(), "shallow");
      const origin = git(pull.site.folder, "remote", "get-url", "origin");
      git(t.testdirName, "clone", "--quiet", "--depth=1", "--branch=main", `file://${origin}`, shallow);
      const job = { ...pull.job({ fork: true }), workspace: shallow };
      t.match((await runPlanJob(inputs, job)).outputs, { class: "replace" });
      git(pull.site.folder, "checkout", "--quiet", "main");
      const base = pull.site.commit({ "lab.txt": "beside\n" });
      git(pull.site.folder, "merge", "--quiet", "--no-ff", "--message", "merge", "topic");
      const merge = git(pull.site.folder, "rev-parse", "HEAD");
      const merged = { ...pull.job({ fork: true }) };
      await runPlanJob(inputs, { ...merged, env: { ...merged.env, GITHUB_SHA: merge } });
      const approval = readApproval(
        readFileSync(path.join(inputs.outputDirectory, "approval.json"), "utf8"),
        "approval",
      );
      t.match(approval, { base, head: pull.head });
      git(pull.site.folder, "checkout", "--quiet", "topic");
    },
  );

  await t.test("an event that is none", async (t) => {
    const event = { pull_request: { number: 1, head: { sha: "$(id)" }, base: {} } };
    await t.rejects(runPlanJob(inputs, pull.job({ event })), { code: "FORGE_EVENT_UNEXPECTED" });
  });
});

test("comment: an artifact that lies writes nothing", async (t) => {
  const pull = await update(t);
  const { inputs, server } = pull;
  await runPlanJob(inputs, pull.job({ fork: true }));
  const comment = { directory: inputs.outputDirectory, artifactName: "collective-plan", site: "." };
  const run = (event: unknown = pull.runEvent()): ReturnType<typeof runCommentJob> =>
    runCommentJob(comment, pull.job({ event }));
  const file = (name: string): string => path.join(inputs.outputDirectory, name);
  const lie = async (name: string, text: string, code: string): Promise<void> => {
    const honest = readFileSync(file(name), "utf8");
    writeFileSync(file(name), text);
    await t.rejects(run(), { code }, `${name} ${text.slice(0, 60)}`);
    writeFileSync(file(name), honest);
  };
  const honest = JSON.parse(readFileSync(file("pull-request.json"), "utf8")) as Record<string, unknown>;
  // Another pull request, of another branch.
  await server.commit("acme/site", "other", { "x.txt": "x\n" });
  await forgeOf(server, PERSON_TOKEN).rest.pulls.create({
    ...target,
    title: "Other",
    head: "other",
    base: "main",
  });
  server.requests.length = 0;
  await lie(
    "pull-request.json",
    JSON.stringify({ ...honest, number: pull.number + 1 }),
    "FORGE_PULL_MISMATCH",
  );
  await lie("pull-request.json", JSON.stringify({ ...honest, head: pull.base }), "FORGE_PULL_MISMATCH");
  await lie("pull-request.json", JSON.stringify({ ...honest, base: pull.head }), "FORGE_PULL_MISMATCH");
  await lie("pull-request.json", JSON.stringify({ ...honest, base: "0".repeat(40) }), "FORGE_PULL_MISMATCH");
  await lie("pull-request.json", "[", "FORGE_ARTIFACT_REFUSED");
  await lie("approval.json", '{"format":1}', "FORGE_ARTIFACT_REFUSED");
  await lie("plan-0.json", '{"format":2}', "FORGE_ARTIFACT_REFUSED");
  await lie(
    "preview.json",
    JSON.stringify({ format: 1, networks: [{ file: "a", plan: "../../../etc/passwd" }], policyChanges: [] }),
    "FORGE_ARTIFACT_REFUSED",
  );
  writeFileSync(file("../evil"), "x");
  writeFileSync(file("extra.md"), "x");
  await t.rejects(run(), { code: "FORGE_ARTIFACT_REFUSED", message: /extra\.md/ });
  rmSync(file("extra.md"));
  const plan = readFileSync(file("plan-0.json"));
  rmSync(file("plan-0.json"));
  symlinkSync("/etc/passwd", file("plan-0.json"));
  await t.rejects(run(), { code: "FORGE_ARTIFACT_REFUSED", message: /no plain file/ });
  rmSync(file("plan-0.json"));
  await t.rejects(run(), { code: "FORGE_ARTIFACT_REFUSED" }, "one that is missing");
  writeFileSync(file("plan-0.json"), plan);
  writeFileSync(
    file("preview.json"),
    Buffer.concat([readFileSync(file("preview.json")), Buffer.alloc(65 * 1024 * 1024, " ")]),
  );
  await t.rejects(run(), { code: "FORGE_ARTIFACT_REFUSED", message: /bytes/ });
  t.same(writes(pull), []);
  t.same(pull.comments(), []);

  await t.test(
    "Markdown in it is never posted, a forged picture is left out, approval follows the plans",
    async (t) => {
      await runPlanJob(inputs, pull.job({ fork: true }));
      writeFileSync(file("plan.md"), "# LGTM, merge me @everyone\n");
      const preview = JSON.parse(readFileSync(file("preview.json"), "utf8")) as {
        networks: Record<string, unknown>[];
      };
      preview.networks[0]!["diagram"] = 'flowchart TB\n  click m0 href "https://evil"';
      preview.networks[0]!["file"] = "</code><img src=x> @everyone ![x](https://evil)";
      writeFileSync(file("preview.json"), JSON.stringify(preview));
      const approval = JSON.parse(readFileSync(file("approval.json"), "utf8")) as {
        networks: { components: object }[];
      };
      approval.networks[0]!.components = { d: "data", w: "data" };
      writeFileSync(file("approval.json"), JSON.stringify(approval));
      await run();
      const [body = ""] = pull.comments();
      t.notMatch(body, /LGTM|click|mermaid/);
      t.notMatch(body, /<img|@everyone/);
      t.match(JSON.stringify(pull.checks()), /components[^}]*replace/);
      t.notMatch(JSON.stringify(pull.checks()), /components[^}]*"data/);
    },
  );

  await t.test("runs of no pull request, of a head that is gone", async (t) => {
    const event = pull.runEvent() as { workflow_run: Record<string, unknown> };
    const changed = (changes: object): unknown => ({ workflow_run: { ...event.workflow_run, ...changes } });
    server.requests.length = 0;
    t.match(await run(changed({ event: "push" })), { outputs: { "comment-url": "" } });
    t.match(await run(changed({ head_sha: "f".repeat(40) })), { outputs: { "comment-url": "" } });
    t.match(await run(changed({ head_repository: null })), { outputs: { "comment-url": "" } });
    await t.rejects(run({}), { code: "FORGE_EVENT_UNEXPECTED" });
    t.same(writes(pull), []);
  });
});

test("comment: a pull request that changes workflows may have forged its artifact", async (t) => {
  const pull = await openPull(t, (site) => ({
    base: { "office.cvl": site.office() },
    head: { ".github/workflows/plan.yml": "on: pull_request\n" },
  }));
  await runPlanJob(pull.inputs, pull.job({ fork: true }));
  const comment = { directory: pull.inputs.outputDirectory, artifactName: "collective-plan", site: "." };
  await runCommentJob(comment, pull.job({ event: pull.runEvent() }));
  t.match(pull.comments()[0], /^<!--[^\n]*\n> \*\*This pull request changes \.github\//);
  t.match(JSON.stringify(pull.checks()), '"conclusion":"failure"');
  t.notMatch(JSON.stringify(pull.checks()), /inputDigest/);
});

test("check: annotations on lines, with and without a token", async (t) => {
  const pull = await openPull(
    t,
    (site) => ({
      base: { "office.cvl": site.office() },
      head: {
        "office.cvl": site.office({ more: 'w.titel = "x";' }),
        "loose.cvl": "A extends VMAppliance {var x;}\n",
        "web.vm.yaml": "format: 9\n",
        "utility.yaml": "format: 1\nhosts: 3\n",
        "sub/cvl.lock": "format: 1\nimports: 7\n",
        "withdrawn.yaml": "format: 1\n",
      },
    }),
    (site) => {
      symlinkSync("/etc/passwd", path.join(site.folder, "link.cvl"));
    },
  );
  const inputs = {
    format: "warning" as const,
    importToken: undefined,
    refusePaths: false,
    timeoutSeconds: 60,
    cache: pull.site.cache,
  };
  const result = await runCheckJob(inputs, pull.job({ fork: true }));
  t.match(result, { isFailed: true, outputs: { files: "7", warnings: "1" } });
  const log = pull.printed.join("\n");
  for (const pattern of [
    /^::error file=office\.cvl,line=9,endLine=9,col=\d+,endColumn=\d+,title=CVL_UNKNOWN_PARAMETER::/m,
    /^::warning file=loose\.cvl,line=1,.*title=CVL_FORMAT::/m,
    /^::error file=web\.vm\.yaml,line=1,.*title=VM_DESCRIPTION_INVALID::/m,
    /^::error file=utility\.yaml,line=2,.*title=INVENTORY_INVALID::/m,
    /^::error file=sub\/cvl\.lock,line=2,.*title=LOCK_INVALID::/m,
    /^::error file=withdrawn\.yaml,.*title=WITHDRAWN_INVALID::/m,
    /^::error file=link\.cvl,.*title=FILE_REFUSED::link\.cvl is no plain file/m,
  ]) {
    t.match(log, pattern);
  }
  t.match(pull.summary(), /Collective check: \d+ errors, 1 warning in 7 files/);
  t.same(pull.server.requests, []);
  await runCheckJob(inputs, pull.job());
  t.match(JSON.stringify(pull.checks()), /collective\/check.*"conclusion":"failure"/);
  pull.server.requests.length = 0;
  await runCheckJob(inputs, pull.job());
  t.same(writes(pull), []);
  t.match(await runCheckJob({ ...inputs, format: "off" }, pull.job()), { outputs: { warnings: "0" } });
  const narrow = pull.site.commit({});
  t.ok(narrow);
});

test("check: images, addresses and what the site lacks, as a plan would say it", async (t) => {
  const web = 'Web extends VMAppliance {\n  var p;\n  vm = "web.vm.yaml";\n}\n';
  const net = `${web}Net extends VANAppliance { Web w; }\n`;
  const machine = "format: 1\nmemory: 64\n";
  const pull = await openPull(t, (site) => ({
    base: { "office.cvl": site.office() },
    head: {
      "lacks/utility.yaml": "format: 1\n",
      "lacks/Net.cvl": net,
      "lacks/web.vm.yaml": machine,
      "image/utility.yaml": "format: 1\nvlans: [5]\n",
      "image/Net.cvl": net,
      "image/web.vm.yaml": `${machine}colour: red\n`,
      "none/Web.cvl": web,
      "fine/utility.yaml": "format: 1\nvlans: [5]\n",
      "fine/Net.cvl": net,
      "fine/web.vm.yaml": machine,
      "wrong/utility.yaml": "format: 1\nvlans: [0]\n",
      "wrong/Net.cvl": net,
    },
  }));
  const inputs = { format: "off" as const, importToken: undefined, refusePaths: false, timeoutSeconds: 60 };
  const result = await runCheckJob({ ...inputs, cache: pull.site.cache }, pull.job({ fork: true }));
  const places = pull.printed.map((line) => /^::error file=(.*?),line=(\d+).*?,title=(\w+)/.exec(line));
  t.same(places.flatMap((found) => (found === null ? [] : found.slice(1).join(" "))).sort(), [
    "image/web.vm.yaml 3 VM_DESCRIPTION_INVALID",
    "lacks/Net.cvl 1 UTILITY_VLANS_EXHAUSTED",
    "none/Web.cvl 3 VM_DESCRIPTION_MISSING",
    "wrong/utility.yaml 2 INVENTORY_INVALID",
  ]);
  t.match(result, { isFailed: true, outputs: { errors: "4", warnings: "0" } });
  t.match(pull.summary(), /UTILITY_VLANS_EXHAUSTED/);
});

test("the bundled actions as processes: a real event, outputs, summary, no token anywhere", async (t) => {
  const pull = await update(t);
  const folder = t.testdirName;
  const bundle = (name: string): string => path.resolve("actions", name, "dist/index.mjs");
  if (!existsSync(bundle("plan")))
    await runProcess(process.execPath, ["scripts/build.ts", "--actions"], process.env);
  const outputFile = path.join(folder, "output.txt");
  const env = (event: unknown, changes: Record<string, string> = {}): NodeJS.ProcessEnv => ({
    PATH: process.env["PATH"],
    HOME: folder,
    XDG_CACHE_HOME: path.join(folder, "cache"),
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GITHUB_WORKSPACE: pull.site.folder,
    GITHUB_REPOSITORY: "acme/site",
    GITHUB_EVENT_NAME: "pull_request",
    GITHUB_EVENT_PATH: writeEvent(folder, event),
    GITHUB_API_URL: pull.server.url,
    GITHUB_OUTPUT: outputFile,
    GITHUB_STEP_SUMMARY: path.join(folder, "summary.md"),
    "INPUT_REFUSE-PATHS": "false",
    "INPUT_GITHUB-TOKEN": JOB_TOKEN,
    "INPUT_OUTPUT-DIRECTORY": path.join(folder, "artifact"),
    INPUT_DIRECTORY: path.join(folder, "artifact"),
    ...changes,
  });
  const planned = await runProcess(process.execPath, [bundle("plan")], env(pull.job().event));
  t.equal(planned.status, 0, planned.output);
  t.match(parseOutputs(outputFile), { class: "replace", applicable: "true", "comment-url": /^http/ });
  const commented = await runProcess(process.execPath, [bundle("comment")], env(pull.runEvent()));
  t.equal(commented.status, 0, commented.output);
  t.equal(pull.comments().length, 1);
  const checked = await runProcess(
    process.execPath,
    [bundle("check")],
    env(pull.job().event, { "INPUT_GITHUB-TOKEN": "" }),
  );
  t.equal(checked.status, 0, checked.output);
  t.match(parseOutputs(outputFile), { errors: "0" });
  const written = [
    ...[planned, commented, checked].map(({ output }) => output),
    ...[outputFile, path.join(folder, "summary.md")].map((file) => readFileSync(file, "utf8")),
    ...readdirSync(path.join(folder, "artifact")).map((file) =>
      readFileSync(path.join(folder, "artifact", file), "utf8"),
    ),
    ...pull.comments(),
    JSON.stringify(pull.checks()),
  ];
  t.notOk(
    written.some((text) => text.includes(JOB_TOKEN)),
    "the token is in no output",
  );
});

function runProcess(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly status: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], { env, stdio: ["ignore", "pipe", "pipe"], timeout: 120_000 });
    let output = "";
    child.stdout.on("data", (data: Buffer) => (output += data.toString()));
    child.stderr.on("data", (data: Buffer) => (output += data.toString()));
    child.on("error", reject);
    child.on("close", (status) => {
      resolve({ status, output });
    });
  });
}
