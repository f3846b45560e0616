/** action.yml files and workflows, the project's and those of `cui init`: two validators, and the checks of workflows.ts. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { validateAction, validateWorkflow } from "@action-validator/core";
import { build } from "esbuild";
import t from "tap";
import { parse } from "yaml";
import { runCli } from "../../src/cli/main.ts";
import { TEMPLATES } from "../../src/repository/template.ts";
import { git, makeVersions } from "../repository/support.ts";
import { findWorkflowProblems } from "./workflows.ts";

type Parse = (text: string, name: string) => string[];

/** GitHub's own parser; it loads its schemas as modules, which only a bundler does on every Node. */
async function loadGitHubParser(folder: string): Promise<{ workflow: Parse; action: Parse }> {
  const outfile = path.join(folder, "parser.mjs");
  const source = `
    import { parseWorkflow, NoOperationTraceWriter } from "@actions/workflow-parser";
    import { parseAction } from "@actions/workflow-parser/actions/action-parser";
    const errors = (result) => result.context.errors.getErrors().map(({ message }) => message);
    export const workflow = (content, name) => errors(parseWorkflow({ name, content }, new NoOperationTraceWriter()));
    export const action = (content, name) => errors(parseAction({ name, content }, new NoOperationTraceWriter()));
  `;
  await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: "js" },
    ...{ bundle: true, platform: "node", format: "esm", outfile, logLevel: "silent" },
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
  });
  return (await import(outfile)) as { workflow: Parse; action: Parse };
}

async function init(cwd: string, ...args: readonly string[]): Promise<{ status: number; warned: string }> {
  const warned: string[] = [];
  const status = await runCli(["init", ...args], {
    ...{ cwd, env: process.env, isTerminal: false },
    print: () => undefined,
    warn: (text) => warned.push(text),
  });
  return { status, warned: warned.join("\n") };
}

function workflowsOf(folder: string): { name: string; text: string }[] {
  const directory = path.join(folder, ".github/workflows");
  return readdirSync(directory).map((file) => ({
    name: `${path.basename(folder)}/${file}`,
    text: readFileSync(path.join(directory, file), "utf8"),
  }));
}

t.test("workflows and actions pass both validators and every check; bad ones do not", async (t) => {
  const cwd = t.testdir({});
  const parser = await loadGitHubParser(cwd);
  const pin = "a".repeat(40);
  for (const { name } of TEMPLATES)
    t.match(await init(cwd, name, `${name}-x`, "--actions", `acme/collective@${pin}`), { status: 0 });
  const written = TEMPLATES.flatMap(({ name }) => workflowsOf(path.join(cwd, `${name}-x`)));
  t.equal(written.length, 5 * 2 + 2 * 4 + 5);
  for (const { name, text } of [...written, ...workflowsOf(".")]) {
    t.strictSame(validateWorkflow(text).errors, [], name);
    t.strictSame(parser.workflow(text, name), [], name);
    t.strictSame(findWorkflowProblems(text), [], name);
    t.notMatch(text, /your-organisation|0{40}/, name);
  }
  const site = written.find(({ name }) => name === "site-x/apply.yml")?.text ?? "";
  t.match(site, `- uses: acme/collective/actions/apply@${pin} # pinned\n`);
  const actions = ["check", "plan", "comment", "apply", "publish", "bump"].map(
    (name) => `actions/${name}/action.yml`,
  );
  for (const file of ["action.yml", ...actions.filter((name) => existsSync(name))]) {
    const text = readFileSync(file, "utf8");
    t.strictSame(validateAction(text).errors, [], file);
    t.strictSame(parser.action(text, file), [], file);
    const { inputs, outputs } = parse(text) as { inputs: object; outputs: object };
    for (const [name, value] of Object.entries({ ...inputs, ...outputs })) {
      t.match(value, { description: /\S/ }, `${file}: ${name}`);
    }
  }

  await t.test("each check fails on what it is for", (t) => {
    const bad = (from: string | RegExp, to: string): string => {
      const text = site.replace(from, to);
      t.not(text, site, `${String(from)} is there`);
      return text;
    };
    t.match(validateWorkflow(bad("runs-on:", "run-on:")).errors, [{}]);
    t.match(parser.workflow(bad("timeout-minutes: 120", "timeout-minutes: [soon]"), "x"), [/./]);
    t.match(parser.workflow(bad("group: collective-rollout", "group: ${{ github.nothing( }}"), "x"), [/./]);
    t.match(parser.action("name: x\ndescription: y\nruns: { using: node99, main: x }\n", "x"), [/./]);
    t.match(validateAction("name: x\n").errors, [{}]);
    const problems: [RegExp | string, string, RegExp][] = [
      [`@${pin} # pinned`, "@v1", /^pin: /],
      ["@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@08c6903 # v5.0.0", /^pin: /],
      ["permissions: {}", "permissions: write-all", /^permissions: the top/],
      [/\n {4}permissions:\n( {6}.*\n)+/, "\n", /permissions of its own are missing/],
      ["    timeout-minutes: 120\n", "", /no timeout/],
      ["    environment: production\n", "", /without an environment/],
      ["cancel-in-progress: false", "cancel-in-progress: true", /may be cancelled/],
      ["  push:\n", "  pull_request:\n  push:\n", /self-hosted on a pull request/],
      ["  push:\n", "  pull_request_target:\n  push:\n", /pull_request_target/],
      ["          persist-credentials: false\n", "", /persist-credentials/],
      [
        "    steps:\n",
        "    steps:\n      - run: echo '${{ github.event.pull_request.title }}'\n",
        /run has an expression/,
      ],
      [
        "    steps:\n",
        "    steps:\n      - run: echo ${{ format('{0}', github.head_ref) }}\n",
        /run has an expression/,
      ],
    ];
    for (const [from, to, problem] of problems)
      t.match(findWorkflowProblems(bad(from, to)).join("\n"), problem);
    t.end();
  });

  await t.test("a release is named by tag, and looked up once", async (t) => {
    const repository = path.join(cwd, "forge/acme/collective");
    makeVersions(repository, [{ file: "1" }]);
    git(repository, "tag", "--annotate", "v1.2.3", "--message", "x");
    const commit = git(repository, "rev-parse", "HEAD");
    process.env["GITHUB_SERVER_URL"] = path.join(cwd, "forge");
    t.teardown(() => Reflect.deleteProperty(process.env, "GITHUB_SERVER_URL"));
    t.match(await init(cwd, "site", "named", "--actions", "acme/collective@v1.2.3"), { status: 0 });
    t.match(
      readFileSync(path.join(cwd, "named/.github/workflows/apply.yml"), "utf8"),
      `collective/actions/apply@${commit} # v1.2.3\n`,
    );
    t.match(await init(cwd, "site", "absent", "--actions", "acme/collective@v9"), {
      status: 1,
      warned: /REPOSITORY_UNREACHABLE: cannot find v9/,
    });
    t.match(await init(cwd, "site", "odd", "--actions", "--upload-pack=x@y"), {
      status: 2,
      warned: /--actions/,
    });
    t.match(await init(cwd, "site", "odd", "--actions", "acme/x@v1\nz"), {
      status: 2,
      warned: /--actions expects/,
    });
    t.notOk(existsSync(path.join(cwd, "absent")));
    t.match(await init(cwd, "site", "later"), { status: 0 });
    t.match(
      readFileSync(path.join(cwd, "later/.github/workflows/plan.yml"), "utf8"),
      `your-organisation/collective/actions/plan@${"0".repeat(40)} # set by cui init --actions`,
    );
  });
});

t.test("a release is a commit beside main, never moved, with the moving tag on it", (t) => {
  const folder = t.testdir({});
  const origin = path.join(folder, "origin");
  const work = path.join(folder, "work");
  makeVersions(work, [{ "action.yml": "name: x\n", ".gitignore": "dist\n" }]);
  git(work, "tag", "--delete", "v1");
  mkdirSync(path.join(work, "scripts"));
  cpSync("scripts/release.ts", path.join(work, "scripts/release.ts"));
  git(work, "add", "--all");
  git(work, "commit", "--quiet", "--message", "Begin");
  git(folder, "clone", "--quiet", "--bare", work, origin);
  git(work, "remote", "add", "origin", origin);
  git(work, "config", "user.name", "Test");
  git(work, "config", "user.email", "test@localhost");
  const release = (...args: readonly string[]): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, ["scripts/release.ts", ...args, "--no-build"], {
      cwd: work,
      encoding: "utf8",
    });
  t.match(release("v1"), { status: 1, stderr: /^usage/ });
  t.match(release("v1.0.0"), { status: 1, stderr: /no bundles/ });
  for (const file of [
    "actions/dist/index.mjs",
    "actions/plan/dist/index.mjs",
    "actions/plan/dist/secret.txt",
  ]) {
    mkdirSync(path.dirname(path.join(work, file)), { recursive: true });
    writeFileSync(path.join(work, file), file);
  }
  const head = git(work, "rev-parse", "HEAD");
  t.match(release("v1.0.0", "--push"), { status: 0 });
  t.equal(git(origin, "rev-parse", "v1.0.0"), git(origin, "rev-parse", "v1"));
  t.equal(git(origin, "rev-parse", "v1^"), head);
  t.equal(git(origin, "rev-parse", "main"), head, "no branch moves");
  t.equal(git(work, "status", "--porcelain"), "");
  t.equal(
    git(origin, "diff", "--name-only", "main", "v1"),
    "actions/dist/index.mjs\nactions/plan/dist/index.mjs",
  );
  t.match(release("v1.0.0", "--push"), { status: 1, stderr: /never moved/ });
  t.match(release("v1.0.1", "--push"), { status: 0 });
  t.equal(git(origin, "rev-parse", "v1.0.1"), git(origin, "rev-parse", "v1"));
  t.not(git(origin, "rev-parse", "v1.0.0"), git(origin, "rev-parse", "v1"));
  t.end();
});
