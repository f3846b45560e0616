/** action.yml files and workflows, the project's and those of `cui init`: GitHub's own validator, and what it does not look at. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { runCli } from "../../src/cli/main.ts";
import { TEMPLATES } from "../../src/setup/template.ts";
import { git, makeVersions } from "../git/git-fixture.ts";
import { findActionProblems } from "./actions.ts";
import { loadGitHubValidator, type ActionMetadata, type ActionReference } from "./github-validator.ts";
import {
  ACTION_MISTAKES,
  ACTION_MISTAKES_FOR_GITHUB,
  WORKFLOW_MISTAKES,
  WORKFLOW_MISTAKES_FOR_GITHUB,
  type Mistake,
} from "./mistakes.ts";
import { lookUpInputs, readPinnedActions } from "./pins.ts";
import { findWorkflowProblems } from "./workflows.ts";

const pinned = readPinnedActions("test/actions/pinned-actions.yaml");

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

const lookUp = (action: ActionReference): ActionMetadata | undefined => lookUpInputs(action, pinned);

t.test("workflows and actions pass GitHub's validator and every check; bad ones do not", async (t) => {
  const cwd = t.testdir({});
  const gitHub = await loadGitHubValidator(cwd);
  const pin = "a".repeat(40);
  for (const { name } of TEMPLATES)
    t.match(await init(cwd, name, `${name}-x`, "--actions", `acme/collective@${pin}`), { status: 0 });
  const written = TEMPLATES.flatMap(({ name }) => workflowsOf(path.join(cwd, `${name}-x`)));
  t.equal(written.length, 5 * 2 + 2 * 4 + 5);
  for (const { name, text } of [...written, ...workflowsOf(".")]) {
    t.strictSame(await gitHub.validateWorkflow(text, lookUp), [], name);
    t.strictSame(findWorkflowProblems(text, pinned), [], name);
    t.notMatch(text, /your-organisation|0{40}/, name);
  }
  const workflow = (name: string): string => written.find((file) => file.name === name)?.text ?? "";
  t.match(workflow("site-x/apply.yml"), `- uses: acme/collective/actions/apply@${pin} # pinned\n`);
  const actions = ["check", "plan", "comment", "apply", "publish", "bump"].map(
    (name) => `actions/${name}/action.yml`,
  );
  for (const file of ["action.yml", ...actions]) {
    const text = readFileSync(file, "utf8");
    t.strictSame(await gitHub.validateAction(text), [], file);
    t.strictSame(findActionProblems(text), [], file);
  }

  await t.test("each check fails on what it is for", async (t) => {
    const action = readFileSync("actions/apply/action.yml", "utf8");
    const fails = async (
      good: string,
      [from, to, problem]: Mistake,
      find: (text: string) => string[] | Promise<string[]>,
    ): Promise<void> => {
      const text = good.replace(from, to);
      t.not(text, good, `${String(from)} is there`);
      t.match((await find(text)).join("\n"), problem, `${String(from)}: ${to}`);
    };
    for (const [name, mistakes] of Object.entries(WORKFLOW_MISTAKES_FOR_GITHUB))
      for (const mistake of mistakes)
        await fails(workflow(name), mistake, (text) => gitHub.validateWorkflow(text, lookUp));
    for (const [name, mistakes] of Object.entries(WORKFLOW_MISTAKES))
      for (const mistake of mistakes)
        await fails(workflow(name), mistake, (text) => findWorkflowProblems(text, pinned));
    for (const mistake of ACTION_MISTAKES_FOR_GITHUB) await fails(action, mistake, gitHub.validateAction);
    for (const mistake of ACTION_MISTAKES) await fails(action, mistake, findActionProblems);
    const broken = (): undefined => {
      throw new Error("no answer");
    };
    t.match(await gitHub.validateWorkflow(workflow("site-x/plan.yml"), broken), [/no answer/]);
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
