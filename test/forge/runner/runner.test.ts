import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type Test } from "tap";
import { nextDelayMs } from "../../../src/forge/runner/backoff.ts";
import { createLog } from "../../../src/forge/runner/run-log.ts";
import { runPass } from "../../../src/forge/runner/run-pass.ts";
import { runRunner, siteUrlOf, type RunnerOptions } from "../../../src/forge/runner/run-runner.ts";
import { runnerForge } from "../../../src/forge/runner/runner-forge.ts";
import { openSiteMirror } from "../../../src/forge/runner/site-mirror.ts";
import { refusesPaths, siteFolderOf } from "../../../src/forge/site-source.ts";
import { takeFileLock } from "../../../src/file-lock.ts";
import { serveHost } from "../../../src/host/serve-host.ts";
import { createServer } from "node:net";
import type { Approval } from "../../../src/plan/approval.ts";
import { EMPTY_INVENTORY } from "../../../src/site/inventory.ts";
import { previewSite } from "../../../src/preview/preview-site.ts";
import { loadMacKey } from "../../../src/manager/change/sensitive.ts";
import { git, gitSucceeds, gitAt } from "../../git/git-fixture.ts";
import { createMemoryHost } from "../../manager/memory-host.ts";
import {
  createSite,
  officeText,
  shopText,
  UTILITY,
  type SiteFixture,
} from "../../manager/rollout/rollout-fixture.ts";
import { forgeOf, JOB_TOKEN, PERSON_TOKEN, repository, startServer } from "../github-fixture.ts";
import { SILENT } from "../../manager/silent.ts";

interface Runner {
  readonly site: SiteFixture;
  readonly dir: string;
  readonly lines: string[];
  /** One look; resolves to its outcome. */
  readonly once: (options?: Partial<RunnerOptions>) => Promise<string>;
}

async function openRunner(t: Test, files?: Readonly<Record<string, string>>): Promise<Runner> {
  const site = await createSite(t, files);
  const dir = path.join(site.folder, "runner");
  const lines: string[] = [];
  return { site, dir, lines, once: async (options = {}) => (await look(site, dir, lines, options)).outcome };
}

function look(site: SiteFixture, dir: string, lines: string[], options: Partial<RunnerOptions>) {
  const { store, connect, stateDirectory, cache, bare } = site;
  return runRunner({
    ...{
      git: gitAt(dir),
      url: bare,
      dir,
      folder: "",
      intervalMs: 50,
      once: true,
      branch: undefined,
      store,
      connect,
      cache,
    },
    ...{ environment: "production", planApp: "github-actions", acceptRewind: undefined, retry: false },
    ...{ env: {}, progress: SILENT, limits: { readyMs: 2000, stopMs: 200, reloadMs: 100 } },
    loadMacKey: () => loadMacKey(stateDirectory),
    log: createLog((line) => void lines.push(line)),
    signal: new AbortController().signal,
    ...options,
  });
}

/** What CI pushes for a commit it previewed. */
async function pushPlan(site: SiteFixture, head: string, base: string, edit = (made: Approval) => made) {
  const { approval } = await previewSite({ git: gitAt(site.work), base, head, cache: site.cache });
  const file = path.join(site.folder, "approval.json");
  writeFileSync(file, JSON.stringify(edit(approval)));
  const blob = git(site.work, "hash-object", "-w", file);
  git(site.work, "push", "--quiet", "--force", "origin", `${blob}:refs/collective/plans/${head}`);
}

interface Status {
  readonly outcome: string;
  readonly reason: string;
  readonly networks: readonly {
    readonly file: string;
    readonly outcome: string;
    readonly planDigest: string;
  }[];
}

function statusOf(site: SiteFixture, commit: string): Status {
  return JSON.parse(git(site.bare, "cat-file", "blob", `refs/collective/status/${commit}`)) as Status;
}

const head = (site: SiteFixture): string => git(site.work, "rev-parse", "HEAD");

test("a work folder is a new one, an empty one, or a runner's own", async (t) => {
  const { site, dir } = await openRunner(t);
  const at = (name: string): string => path.join(site.folder, name);
  const takes = async (name: string, files: Readonly<Record<string, string>>): Promise<unknown> => {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(at(name), file)), { recursive: true });
      writeFileSync(path.join(at(name), file), text);
    }
    const before = readdirSync(at(name), { recursive: true });
    return look(site, at(name), [], {}).then(
      () => "taken",
      (error: unknown) => {
        t.same(readdirSync(at(name), { recursive: true }), before, `${name}: nothing was put there`);
        return (error as { code?: string }).code;
      },
    );
  };
  t.equal(await takes("home", { "letter.txt": "dear diary" }), "RUNNER_FOLDER_NOT_EMPTY");
  t.equal(await takes("hidden", { ".profile": "" }), "RUNNER_FOLDER_NOT_EMPTY");
  t.equal(await takes("both", { lock: "", "letter.txt": "dear diary" }), "RUNNER_FOLDER_NOT_EMPTY");
  t.equal(await takes("half", { "site.git.new/HEAD": "somebody's" }), "RUNNER_FOLDER_NOT_EMPTY");
  mkdirSync(at("srv"));
  git(site.folder, "clone", "--quiet", "--bare", site.bare, path.join(at("srv"), "site.git"));
  t.equal(await takes("srv", {}), "RUNNER_FOLDER_NOT_EMPTY", "a repository of that name is no mirror");

  t.equal(await takes("killed", { lock: "", "site.git.new/HEAD": "ref: refs/heads/main\n" }), "taken");
  t.equal(await takes("volume", { "lost+found/.keep": "" }), "taken");
  t.equal(await takes("volume", { README: "whose folder this is" }), "taken", "a runner's own by now");
  mkdirSync(dir);
  t.match(await look(site, dir, [], {}), { outcome: "idle" }, "an empty one");
  rmSync(path.join(dir, "lock"));
  t.match(await look(site, dir, [], {}), { outcome: "idle" }, "a copy without its lock");
});

test("what is merged is carried out, told as a ref, and not repeated after a restart", async (t) => {
  const { site, once, lines, dir } = await openRunner(t);
  t.equal(await once(), "done");
  t.same(site.host.running(), ["d@1", "w@1"]);
  const first = statusOf(site, head(site));
  t.match(first, { outcome: "done", networks: [{ file: "office.cvl", outcome: "done" }] });
  git(site.bare, "update-ref", "-d", `refs/collective/status/${head(site)}`);
  rmSync(path.join(dir, "reported"));
  t.equal(await once(), "idle");
  t.match(
    statusOf(site, head(site)),
    { outcome: "done" },
    "told later by one that was killed before it could",
  );
  t.match(first.networks[0]?.planDigest, /^[0-9a-f]{64}$/);
  site.calls();
  t.equal(await once(), "idle");
  rmSync(dir, { recursive: true });
  t.equal(await once(), "idle", "not even without its work folder: the state knows");
  const commit = site.commit({ "office.cvl": officeText({ web: 2 }) });
  t.equal(await once(), "done");
  t.same(site.calls(), ["stop w", "start w@2"]);
  t.match(
    lines.at(-1),
    new RegExp(`^\\d{4}-.*Z ${commit.slice(0, 12)}: done: replaced 1 machine of office\\.cvl$`),
  );
  const newest = site.commit({ "office.cvl": officeText({ web: 2, dns: 2 }) });
  rmSync(dir, { recursive: true });
  t.same(
    (await Promise.all([once(), once(), once()])).sort(),
    ["done", "idle", "idle"],
    "of three one does it",
  );
  t.same(site.calls(), ["stop d", "start d@2"]);
  t.equal(statusOf(site, newest).outcome, "done");
});

test("plans pushed by CI are the approval: of the commit, of a merge's head, of the same files", async (t) => {
  const { site, once, lines } = await openRunner(t);
  await once();
  let base = head(site);
  const direct = site.commit({ "office.cvl": officeText({ dns: 2 }) });
  await pushPlan(site, direct, base, (made) => ({
    ...made,
    networks: made.networks.map((network) => ({ ...network, components: {} })),
  }));
  site.calls();
  t.equal(await once(), "refused");
  t.match(
    statusOf(site, direct).reason,
    /^refused office\.cvl: d would be of class replace, approved was none/,
  );
  t.equal(await once(), "idle", "refused once is refused");
  t.same(site.calls(), []);
  await pushPlan(site, direct, base);
  t.equal(await once(), "done", "another plan is a reason to look again");
  t.same(site.calls(), ["stop d", "start d@2"]);
  t.equal(statusOf(site, direct).outcome, "done", "the status is replaced");

  base = head(site);
  git(site.work, "checkout", "--quiet", "-b", "topic");
  git(site.work, "branch", "--quiet", "keep");
  writeFileSync(path.join(site.work, "office.cvl"), officeText({ dns: 2, web: 2 }));
  git(site.work, "commit", "--quiet", "--all", "--message", "Topic");
  const topic = head(site);
  await pushPlan(site, topic, base);
  git(site.work, "checkout", "--quiet", "main");
  git(site.work, "merge", "--quiet", "--no-ff", "--message", "Merge", "topic");
  git(site.work, "push", "--quiet", "origin", "main");
  t.equal(await once(), "done");
  t.ok(lines.some((line) => line.includes(`plan: refs/collective/plans/${topic}`)));

  base = head(site);
  git(site.work, "checkout", "--quiet", "-b", "squashed");
  writeFileSync(path.join(site.work, "office.cvl"), officeText({ dns: 1, web: 2 }));
  git(site.work, "commit", "--quiet", "--all", "--message", "Squashed");
  const squashed = head(site);
  await pushPlan(site, squashed, base);
  git(site.work, "push", "--quiet", "origin", "squashed");
  git(site.work, "checkout", "--quiet", "main");
  git(site.work, "merge", "--quiet", "--squash", "squashed");
  git(site.work, "commit", "--quiet", "--message", "Squash");
  git(site.work, "push", "--quiet", "origin", "main");
  git(site.bare, "config", "uploadpack.allowAnySHA1InWant", "true");
  t.equal(await once(), "done");
  t.ok(lines.some((line) => line.includes(`plan: refs/collective/plans/${squashed}`)));
});

test("a runner that was away takes each previewed commit as the step it was approved as", async (t) => {
  const { site, once } = await openRunner(t);
  await once();
  site.calls();
  const base = head(site);
  const first = site.commit({ "office.cvl": officeText({ web: 2 }) });
  const second = site.commit({ "office.cvl": officeText({ web: 2, dns: 2 }) });
  await pushPlan(site, first, base);
  await pushPlan(site, second, first);
  t.equal(await once(), "done");
  t.same(site.calls(), ["stop w", "start w@2", "stop d", "start d@2"]);
  t.equal(statusOf(site, first).outcome, "done");
});

/** A person with a key of their own. */
function makePerson(folder: string, name: string): { key: string; line: string } {
  const key = path.join(folder, `${name}-key`);
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key]);
  const [type = "", text = ""] = readFileSync(`${key}.pub`, "utf8").split(" ");
  return { key, line: `${name}@example.org ${type} ${text}` };
}

test("the two-person rule holds with SSH signatures, and no forged approval counts", async (t) => {
  const { site, once } = await openRunner(t);
  await once();
  const [alice, bob, eve] = ["alice", "bob", "eve"].map((name) => makePerson(site.folder, name));
  const signers = [alice!.line, bob!.line].map((line) => `    - "${line}"\n`).join("");
  const strict = `${UTILITY}approval:\n  persons: { replace: 2 }\n  signers:\n${signers}`;
  site.commit({ "utility.yaml": strict });
  t.equal(await once(), "done");
  site.calls();
  const signed = (key: string): string[] => ["-c", "gpg.format=ssh", "-c", `user.signingKey=${key}`];
  const approve = (
    key: string,
    options: { name: string; commit: string; ref?: string; at?: string },
  ): void => {
    git(site.work, ...signed(key), "tag", "-s", "-f", "-m", "yes", options.name, options.commit);
    const ref = `refs/collective/approvals/${options.at ?? options.commit}/${options.ref ?? options.name}`;
    git(site.work, "push", "--quiet", "--force", "origin", `refs/tags/${options.name}:${ref}`);
  };
  writeFileSync(path.join(site.work, "office.cvl"), officeText({ web: 2 }));
  // The commit would add a key of its own to those who may sign.
  writeFileSync(
    path.join(site.work, "utility.yaml"),
    strict.replace(/signers:\n/, `signers:\n    - "${eve!.line}"\n`),
  );
  git(site.work, ...signed(alice!.key), "commit", "-S", "--quiet", "--all", "--message", "Signed");
  git(site.work, "push", "--quiet", "origin", "main");
  const commit = head(site);
  t.equal(await once(), "refused");
  t.match(
    statusOf(site, commit).reason,
    /^refused office\.cvl: 2 persons are needed for class replace, 1 approved it: alice@example\.org \(signed the commit\)/,
  );

  approve(eve!.key, { name: "approve-eve", commit });
  approve(alice!.key, { name: "approve-alice", commit });
  approve(bob!.key, { name: "v9", commit, ref: "release" });
  const parent = git(site.work, "rev-parse", "HEAD~1");
  approve(bob!.key, { name: "approve-old", commit: parent, at: commit });
  git(site.work, "tag", "-a", "-m", "unsigned", "approve-none", commit);
  git(
    site.work,
    "push",
    "--quiet",
    "origin",
    `refs/tags/approve-none:refs/collective/approvals/${commit}/none`,
  );
  git(site.work, "push", "--quiet", "origin", `${commit}:refs/collective/approvals/${commit}/commit`);
  const tag = git(site.work, "cat-file", "tag", "approve-alice");
  writeFileSync(path.join(site.folder, "forged"), `${tag.replace("yes", "no!")}\n`);
  const forged = git(site.work, "hash-object", "-t", "tag", "-w", path.join(site.folder, "forged"));
  git(site.work, "push", "--quiet", "origin", `${forged}:refs/collective/approvals/${commit}/forged`);
  t.equal(await once({ retry: true }), "refused");
  const { reason } = statusOf(site, commit);
  t.match(reason, /1 approved it: alice/);
  for (const why of [
    "approve-eve (not signed by a key of approval.signers)",
    "release (its name does not begin with approve-)",
    "approve-old (points at another commit)",
    "none (not signed)",
    "commit (no annotated tag)",
    "forged (not signed by a key of approval.signers)",
  ]) {
    t.ok(reason.includes(why), why);
  }
  t.same(site.calls(), []);
  approve(bob!.key, { name: "approve-bob", commit });
  t.equal(await once(), "done", "the second person is a reason to look again");
  t.same(site.calls(), ["stop w", "start w@2"]);
});

test("a rewritten branch waits until a person accepts it", async (t) => {
  const { site, once } = await openRunner(t);
  const old = head(site);
  await once();
  site.commit({ "office.cvl": officeText({ title: "new" }) });
  t.equal(await once(), "done");
  site.calls();
  git(site.work, "reset", "--quiet", "--hard", old);
  const other = site.commit({ "office.cvl": officeText({ title: "other" }) });
  await t.rejects(once(), { code: "ROLLOUT_REWIND", hint: /puts it back; docs\/operations\.md/ });
  await t.rejects(once({ acceptRewind: old }), { code: "ROLLOUT_REWIND" });
  t.same(site.calls(), []);
  t.equal(await once({ acceptRewind: other }), "done");
  t.same(site.calls(), ["send w"]);
});

test("a remote that takes no status refs is only a warning; one that is away is said once", async (t) => {
  const { site, once, lines, dir } = await openRunner(t);
  const hook = path.join(site.bare, "hooks/pre-receive");
  mkdirSync(path.dirname(hook), { recursive: true });
  writeFileSync(hook, "#!/bin/sh\nif grep -q refs/collective/status; then echo no; exit 1; fi\n");
  chmodSync(hook, 0o755);
  t.equal(await once(), "done");
  t.ok(lines.some((line) => /warning: the status ref of .* cannot be pushed/.test(line)));

  const stop = new AbortController();
  let looks = 0;
  const away = look(site, dir, lines, {
    url: path.join(site.folder, "nowhere.git"),
    once: false,
    intervalMs: 5,
    signal: stop.signal,
    log: (text) => {
      lines.push(text);
      looks += 1;
      setTimeout(() => {
        stop.abort();
      }, 1500);
    },
  });
  await away;
  t.equal(lines.filter((line) => /REPOSITORY_UNREACHABLE/.test(line)).length, 1);
  t.equal(lines.at(-1), "stops");
  t.ok(looks >= 2);
  await t.rejects(once({ branch: "release" }), { code: "REPOSITORY_REVISION_MISSING" });
});

test("waiting grows with failures, within limits, and differs between runners", (t) => {
  t.equal(
    nextDelayMs(60_000, 0, () => 0.5),
    60_000,
  );
  t.equal(
    nextDelayMs(60_000, 2, () => 1),
    240_000,
  );
  t.equal(
    nextDelayMs(60_000, 50, () => 1),
    600_000,
  );
  t.equal(
    nextDelayMs(1000, 3, () => 0),
    4000,
  );
  t.end();
});

test("GitHub is asked only where the site lies there and a token is given", (t) => {
  const token = { GITHUB_TOKEN: "ghs_0123456789" };
  t.match(runnerForge("https://github.com/acme/site", token)?.repository, repository);
  t.match(runnerForge("git@github.com:acme/site.git", token)?.repository, repository);
  t.equal(runnerForge("https://github.com/acme/site", {}), undefined);
  t.equal(runnerForge("https://git.example.org/acme/site", token), undefined);
  t.equal(runnerForge("/srv/git/site.git", token), undefined);
  const enterprise = { ...token, GITHUB_API_URL: "https://github.example.org/api/v3" };
  t.match(runnerForge("https://github.example.org/acme/site", enterprise)?.repository, repository);
  t.equal(runnerForge("https://github.com/acme/site", enterprise), undefined);
  t.match(siteUrlOf("site.git", "/srv"), { url: "/srv/site.git" });
  t.match(siteUrlOf("ext::sh -c x", "/srv"), { code: "IMPORT_URL_REFUSED" });
  t.equal(siteFolderOf("../x"), undefined);
  t.equal(refusesPaths("https://github.com/acme/site", EMPTY_INVENTORY), true);
  t.equal(refusesPaths("/srv/site.git", EMPTY_INVENTORY), false);
  t.equal(refusesPaths("https://github.com/acme/site", { ...EMPTY_INVENTORY, allow: ["/srv/"] }), false);
  t.end();
});

test("a runner that waits for another one says so, and can be told to stop", async (t) => {
  const { dir, once } = await openRunner(t);
  mkdirSync(dir, { recursive: true });
  const other = await takeFileLock({ file: path.join(dir, "lock"), purpose: "another runner" });
  t.teardown(() => {
    other.release();
  });
  const said: string[] = [];
  const stop = new AbortController();
  const log = (line: string): void => {
    said.push(line);
    stop.abort();
  };
  t.equal(await once({ signal: stop.signal, log }), "idle");
  t.match(said, [/^waiting for process \d+ \(another runner, since .*\), which holds .*lock$/]);
});

test("with GitHub behind it the runner reports there, each thing once", async (t) => {
  const { site, dir } = await openRunner(t);
  const folder = mkdtempSync(path.join(tmpdir(), "cui-runner-"));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const server = await startServer({
    testdir: () => folder,
    teardown: (handler) => {
      t.teardown(handler);
    },
  });
  const { gitDirectory, deployments, statuses } = server.state.repositories.get("acme/site")!;
  git(site.work, "push", "--quiet", "--force", gitDirectory, "HEAD:main");
  mkdirSync(dir, { recursive: true });
  const lines: string[] = [];
  const pass = async () =>
    runPass({
      ...{ dir, folder: "", store: site.store, connect: site.connect, cache: site.cache, env: {} },
      ...{ branch: undefined, environment: "production", planApp: "github-actions" },
      ...{ acceptRewind: undefined, retry: false, progress: SILENT },
      mirror: await openSiteMirror(gitAt(dir), dir, site.bare),
      github: { forge: forgeOf(server, JOB_TOKEN), repository },
      loadMacKey: () => loadMacKey(site.stateDirectory),
      log: (text) => void lines.push(text),
      signal: new AbortController().signal,
    });
  t.equal((await pass()).outcome, "done");
  t.equal((await pass()).outcome, "idle");
  t.equal(deployments.length, 1);
  t.same(statuses.map(({ fields }) => fields["state"]).reverse(), ["pending", "success"]);
  t.ok(PERSON_TOKEN);
});

const CUI = path.resolve("dist/cui.js");

test(
  "killed in the middle, the daemon goes on where it was",
  { skip: existsSync(CUI) ? false : "no dist/cui.js" },
  async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), "cui-runner-"));
    const calls: string[] = [];
    const host = createMemoryHost({ name: "h1", calls, guests: { "w@2": { bootMs: 1500 } } });
    const socket = path.join(folder, "h1.sock");
    const server = createServer((connection) => {
      serveHost(host, { input: connection, output: connection });
    }).listen(socket);
    const children = new Set<ChildProcess>();
    t.teardown(async () => {
      const left = [...children].filter(
        ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
      );
      const ended = left.map((child) => exited(child));
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(ended);
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    });
    const files = { "office.cvl": officeText(), "shop.cvl": shopText() };
    const site = await createSite(t, {
      ...files,
      "utility.yaml": UTILITY.replace("unix:/h1", `unix:${socket}`),
    });
    const env = {
      ...process.env,
      CUI_STATE: path.join(folder, "state.git"),
      XDG_CACHE_HOME: path.join(folder, "cache"),
    };
    const start = (...args: readonly string[]): { child: ChildProcess; output: () => string } => {
      const child = spawn(process.execPath, [CUI, "runner", site.bare, ...args], {
        env,
        stdio: ["ignore", "pipe", "pipe"],
      });
      children.add(child);
      let text = "";
      child.stdout.on("data", (piece: Buffer) => (text += piece.toString()));
      child.stderr.on("data", (piece: Buffer) => (text += piece.toString()));
      return { child, output: () => text };
    };
    const until = async (what: string, isSo: () => boolean, output: () => string): Promise<void> => {
      const deadline = Date.now() + 200_000;
      while (!isSo()) {
        if (Date.now() > deadline) throw new Error(`${what} did not come: ${output()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const exited = (child: ChildProcess): Promise<number | null> =>
      new Promise((resolve) => {
        child.on("exit", (code) => {
          children.delete(child);
          resolve(code);
        });
      });

    const first = start("--interval", "1");
    await until("the first start", () => first.output().includes(": done: "), first.output);
    site.commit({ "office.cvl": officeText({ web: 2 }), "shop.cvl": shopText(2) });
    await until("the update", () => calls.includes("start w@2"), first.output);
    const gone = exited(first.child);
    first.child.kill("SIGKILL");
    await gone;

    const second = start("--interval", "1");
    await until("the rest", () => second.output().includes(": done: "), second.output);
    t.same(host.running(), ["d@1", "d@2", "w@2"]);
    for (const call of ["start w@2", "start d@2"])
      t.equal(calls.filter((made) => made === call).length, 1, call);
    const told = (): boolean =>
      gitSucceeds(site.bare, "cat-file", "-e", `refs/collective/status/${head(site)}`);
    await until("the status", told, second.output);
    t.equal(statusOf(site, head(site)).outcome, "done");
    const ended = exited(second.child);
    second.child.kill("SIGTERM");
    t.equal(await ended, 0, second.output());

    site.commit({ "office.cvl": officeText({ web: 9 }) });
    const third = start("--once");
    t.equal(await exited(third.child), 1);
    t.match(third.output(), /ROLLOUT_FAILED/);
  },
);
