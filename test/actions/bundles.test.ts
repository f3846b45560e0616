/** The bundled actions as the runner runs them: one file in an empty folder, an event, inputs, outputs, summary. */
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import t from "tap";
import { forgeOf, JOB_TOKEN, PERSON_TOKEN, startServer } from "../forge/github-fixture.ts";
import { makeDisk, writeAppliance } from "../appliance/appliance-fixture.ts";
import { serveRepositories } from "../../src/serve/server.ts";
import { addToken } from "../../src/serve/token-file.ts";
import { publish } from "../../src/publish/publish.ts";
import { git, gitAt } from "../git/git-fixture.ts";
import { parseOutputs } from "./action-process.ts";

const COMMANDS = ["check", "plan", "comment", "apply", "publish", "bump"];
/** The whole of octokit, chevrotain, zod and yaml is in each. */
const LARGEST_BYTES = 3 * 1024 * 1024;

interface Ended {
  readonly status: number | null;
  readonly log: string;
  readonly outputs: Readonly<Record<string, string>>;
}

/** Runs a bundle alone in `folder`; nothing of this project is near it. */
async function runBundle(
  bundle: string,
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Ended> {
  const file = path.join(folder, "index.mjs");
  copyFileSync(bundle, file);
  const output = path.join(folder, `output-${Math.random()}`);
  const child = spawn(process.execPath, [file], {
    cwd: folder,
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      GIT_CONFIG_NOSYSTEM: "1",
      GITHUB_WORKSPACE: folder,
      GITHUB_OUTPUT: output,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => (log += String(piece)));
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, log, outputs: parseOutputs(output) };
}

t.test("bundles", { timeout: 300_000 }, async (t) => {
  const built = spawnSync(process.execPath, ["scripts/build.ts", "--actions-only"], { encoding: "utf8" });
  t.match(built, { status: 0 }, built.stderr);
  const folder = t.testdir({ empty: {}, runner: {} });

  await t.test(
    "each starts without packages beside it, and refuses what is no event of its own",
    async (t) => {
      for (const name of COMMANDS.filter((command) => existsSync(`actions/${command}/main.ts`))) {
        const bundle = `actions/${name}/dist/index.mjs`;
        t.ok(statSync(bundle).size < LARGEST_BYTES, `${name} has ${statSync(bundle).size} bytes`);
        const { status, log } = await runBundle(bundle, path.join(folder, "empty"), {});
        // Without a file to check there is nothing to say.
        t.equal(status, log === "" && name === "check" ? 0 : 1, name);
        t.match(log, /^(::error title=[A-Z_]+::|$)/, name);
        t.notMatch(log, /internal error|Cannot find/, name);
      }
    },
  );

  await t.test("publish through the front door, with git and Git LFS over HTTP", async (t) => {
    const server = await startServer(t);
    const { gitDirectory, releases } = await server.addRepository("acme/DNS");
    const root = path.dirname(path.dirname(gitDirectory));
    const work = path.join(root, "work");
    writeAppliance(work, makeDisk());
    await publish(gitAt(), {
      repository: gitDirectory,
      cvl: "DNS.cvl",
      cwd: work,
      cache: path.join(root, "publisher"),
    });
    // GitHub's git side asks for the job's token, too: the same repository, served by cui.
    const srv = path.join(root, "srv");
    cpSync(gitDirectory, path.join(srv, "acme/DNS"), { recursive: true });
    const tokensFile = path.join(root, "tokens.yaml");
    const token = await addToken(tokensFile, "job", "read");
    server.addUser(token, { login: "github-actions[bot]", type: "Bot" });
    const asked: string[] = [];
    const web = await serveRepositories({
      ...{ folder: srv, host: "127.0.0.1", port: 0, tokensFile, isWritable: false },
      log: (line) => asked.push(line),
    });
    t.teardown(() => web.close());
    const event = path.join(folder, "event.json");
    const after = git(gitDirectory, "rev-parse", "v1");
    const push = {
      ref: "refs/tags/v1",
      before: "0".repeat(40),
      after,
      repository: { default_branch: "main" },
    };
    writeFileSync(
      event,
      JSON.stringify({ ...push, head_commit: { message: "${{ github.token }} ::set-output name=x::y" } }),
    );
    const summary = path.join(folder, "summary.md");
    const env = {
      ...{ GITHUB_EVENT_NAME: "push", GITHUB_EVENT_PATH: event, GITHUB_STEP_SUMMARY: summary },
      ...{ GITHUB_API_URL: server.url, GITHUB_SERVER_URL: web.url, GITHUB_REPOSITORY: "acme/DNS" },
      ...{ INPUT_COMMAND: "publish", "INPUT_GITHUB-TOKEN": token, INPUT_TAG: "pushed" },
      ...{ INPUT_DEPENDENTS: "acme/site", "INPUT_DISPATCH-TOKEN": PERSON_TOKEN },
    };
    const first = await runBundle("actions/dist/index.mjs", path.join(folder, "runner"), env);
    t.equal(first.status, 0, first.log);
    t.match(first.outputs, { outcome: "created", version: "1", tag: "v1" });
    t.match(first.log, "told acme/site");
    t.match(readFileSync(summary, "utf8"), /^## v1/);
    const again = await runBundle("actions/publish/dist/index.mjs", path.join(folder, "runner"), env);
    t.match(again.outputs, { outcome: "unchanged" });
    t.equal(releases.length, 1);
    for (const secret of [token, PERSON_TOKEN]) {
      t.notMatch(JSON.stringify([first, again, readFileSync(summary, "utf8"), releases, asked]), secret);
    }
    const wrong = await runBundle("actions/publish/dist/index.mjs", path.join(folder, "runner"), {
      ...env,
      INPUT_TAG: "next\u001b[2J",
    });
    t.match(wrong, { status: 1, log: /^::error title=USAGE::the input tag expects/ });
    t.notMatch(wrong.log, "\u001b");
    t.equal(
      (await forgeOf(server, JOB_TOKEN).rest.repos.listReleases({ owner: "acme", repo: "DNS" })).data.length,
      1,
    );
  });

  await t.test("apply looks at a commit of the branch, and refuses one that is not on it", async (t) => {
    const server = await startServer(t);
    const commit = await server.commit("acme/site", "main", { "utility.yaml": "format: 1\n" });
    const stray = await server.commit("acme/site", "topic", { "utility.yaml": "format: 1\nvlans: [100]\n" });
    const { gitDirectory } = server.state.repositories.get("acme/site")!;
    const place = path.dirname(path.dirname(gitDirectory));
    mkdirSync(path.join(place, "run"));
    const workspace = path.join(place, "workspace");
    git(place, "clone", "--quiet", gitDirectory, workspace);
    const event = path.join(place, "event.json");
    const runFor = (after: string): Promise<Ended> => {
      writeFileSync(event, JSON.stringify({ ref: "refs/heads/main", before: "0".repeat(40), after }));
      return runBundle("actions/apply/dist/index.mjs", path.join(place, "run"), {
        ...{ GITHUB_EVENT_NAME: "push", GITHUB_EVENT_PATH: event, GITHUB_SHA: after },
        ...{ GITHUB_REF: "refs/heads/main", GITHUB_REPOSITORY: "acme/site", GITHUB_WORKSPACE: workspace },
        ...{ GITHUB_API_URL: server.url, "INPUT_GITHUB-TOKEN": JOB_TOKEN },
        ...{ CUI_STATE: path.join(place, "state.git") },
      });
    };
    const applied = await runFor(commit);
    t.equal(applied.status, 0, applied.log);
    t.match(applied.outputs["outcome"], /^(done|unchanged)$/, JSON.stringify(applied));
    const before = server.writes().length;
    const refused = await runFor(stray);
    t.equal(refused.status, 1);
    t.match(refused.log, /ROLLOUT_OFF_BRANCH/);
    t.equal(server.writes().length, before, "nothing is recorded for it");
    t.notMatch(JSON.stringify([applied, refused]), JOB_TOKEN);
  });
});
