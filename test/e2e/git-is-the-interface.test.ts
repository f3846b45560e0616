/**
 * From a pushed tag to a running service, on real parts, with nobody typing `cui`: stock git and git-lfs, over HTTP and over
 * a path; `cui` runs in hooks and jobs alone. Sub-tests build on each other.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { ask, machineStatus } from "./ask.ts";
import { createChain, createSite, publishChain, type Chain } from "./chain.ts";
import { missingForEndToEnd } from "./requirements.ts";

const missing = missingForEndToEnd();
/** A quiet machine needs half a minute. */
const ROLLOUT_MS = 1_800_000;

await t.test("git is the interface", { skip: missing ?? false, timeout: 5_400_000 }, async (t) => {
  const chain = await createChain();
  t.teardown(() => chain.close());
  const { office, git, tryGit, job, url } = chain;
  const { at } = office;
  await publishChain(chain);
  await createSite(chain);
  const site = at("AcmeOffice");

  await t.test(
    "the first push of a site rolls nothing out, the merge that describes a network does",
    async (t) => {
      await git(site, "add", "utility.yaml", "README.md");
      await git(site, "commit", "-qm", "What the site has");
      await git(site, "push", "-q", "origin", "HEAD:main");
      await git(site, "checkout", "-qb", "office");
      const root = path.join(site, "AcmeOffice.cvl");
      await writeFile(root, (await readFile(root, "utf8")).replace("example.org", "acme.example"));
      await office.cui("lock");
      await git(site, "add", "--all");
      await git(site, "commit", "-qm", "Run the office");
      await mergeAndPush(chain, "office");
      await awaitStatus(chain);
      const page = await awaitPage(chain, ({ web }) => web.version === "1");
      t.match(page.web, { version: "1", starts: 1 });
    },
  );

  if (!t.passing()) return;
  for (const [version, over] of [
    ["2", "HTTP"],
    ["3", "a path"],
  ] as const) {
    await t.test(`a tag pushed over ${over} reaches the running service`, async (t) => {
      const before = await askOffice(chain);

      // The publisher: a fresh clone, a plain lightweight tag, `git push`.
      const web = await freshClone(
        chain,
        over === "HTTP" ? `${url}/Web` : at("repositories/Web"),
        `web-${version}`,
      );
      await writeFile(path.join(web, "VERSION"), `${version}\n`);
      await office.build(path.relative(office.folder, web));
      await git(web, "commit", "-qam", `Say that this is version ${version}`);
      await git(web, "tag", `v${version}`);
      await git(web, "push", "-q");
      t.match(await git(web, "ls-remote", "origin", `refs/tags/v${version}`), /refs\/tags/);

      // The network's own pipeline: its bump is within the class it merges by itself, and is its next version.
      const network = await checkout(chain, `${url}/Office`, `office-${version}`);
      await job(network, "bump", "--push");
      await job(network, "bump", "--push");
      t.equal(await versionsOf(chain, "Office"), Number(version), "one new version, not two");

      // The site's pipeline: a branch with the bump and what it would do.
      const pipeline = await checkout(chain, `${url}/acme`, `acme-${version}`);
      await job(pipeline, "bump", "--push");
      const branch = await bumpBranch(chain);
      await git(pipeline, "fetch", "-q", "origin", branch);
      const preview = await job(pipeline, "diff", "HEAD", "FETCH_HEAD");
      t.match(
        preview,
        new RegExp(`web.*v${Number(version) - 1} → v${version}`),
        "the preview says what is replaced",
      );
      t.equal((await askOffice(chain)).web.version, String(Number(version) - 1), "nothing happened yet");

      // A person merges.
      await git(site, "fetch", "-q", "origin");
      await git(site, "merge", "-q", "--ff-only", "origin/main");
      await mergeAndPush(chain, `origin/${branch}`);
      const status = await awaitStatus(chain);
      const after = await awaitPage(chain, (page) => page.web.version === version);
      t.equal(after.web.starts, before.web.starts + 1, "the data disk went on");
      t.ok(after.uptimes.firewall > before.uptimes.firewall, "the firewall was not touched");
      t.ok(after.uptimes.dns > before.uptimes.dns, "the name server was not touched");
      t.match(status, /refs\/collective\/status\//, "the outcome was pushed back");
    });
  }

  await t.test("a version that moves, a gap and a forged history are refused by the server", async (t) => {
    const web = at("web-3");
    await git(web, "tag", "-f", "v3", "HEAD~1");
    const moved = await tryGit(web, "push", "--no-verify", "--force", "origin", "refs/tags/v3");
    t.not(moved.code, 0);
    t.match(moved.stderr, /v3/);
    await git(web, "tag", "v9", "HEAD~1");
    const gap = await tryGit(web, "push", "--no-verify", "origin", "refs/tags/v9");
    t.not(gap.code, 0);
    t.match(gap.stderr, /remote: .*v9/);
  });
});

/** Merges a branch into the site's main as a person does, with a merge commit, and pushes. */
async function mergeAndPush({ office, git }: Chain, branch: string): Promise<void> {
  const site = office.at("AcmeOffice");
  await git(site, "checkout", "-q", "main");
  await git(site, "merge", "-q", "--no-ff", "-m", `Merge ${branch}`, branch);
  await git(site, "push", "-q", "origin", "HEAD:main");
}

/** A clone with the hooks in it: what a publisher does once on a new machine. */
async function freshClone(chain: Chain, url: string, name: string): Promise<string> {
  const folder = await checkout(chain, url, name);
  await chain.job(folder, "hook", "install");
  return folder;
}

async function checkout({ office, git }: Chain, url: string, name: string): Promise<string> {
  await git(office.folder, "clone", "-q", url, name);
  return office.at(name);
}

async function versionsOf({ office, git }: Chain, name: string): Promise<number> {
  const tags = await git(office.at("repositories", name), "tag", "--list", "v*");
  return tags.trim().split("\n").length;
}

async function bumpBranch({ office, git }: Chain): Promise<string> {
  const text = await git(
    office.at("repositories/acme"),
    "for-each-ref",
    "--format=%(refname:lstrip=2)",
    "--no-merged=main",
    "refs/heads/collective/",
  );
  const branches = text.trim().split("\n");
  if (branches.length !== 1 || branches[0] === "") throw new Error(`expected one bump branch, got ${text}`);
  return branches[0] ?? "";
}

async function askOffice({ office }: Chain) {
  const gateway = (await machineStatus(office)).get("firewall")?.addresses["ethernet1"] ?? "";
  return ask(office, gateway, "www.acme.example");
}

type Answer = Awaited<ReturnType<typeof askOffice>>;

/** Asks until the page is as wished. */
async function awaitPage(chain: Chain, isWished: (answer: Answer) => boolean): Promise<Answer> {
  return until(chain, async () => {
    const answer = await askOffice(chain).catch(() => undefined);
    return answer !== undefined && isWished(answer) ? answer : undefined;
  });
}

/** The status refs of the site's tip, which come when its rollout is over; to ask the services meanwhile would slow it down. */
async function awaitStatus(chain: Chain): Promise<string> {
  const repository = chain.office.at("repositories/acme");
  const tip = (await chain.git(repository, "rev-parse", "main")).trim();
  return until(chain, async () => {
    const refs = await chain.git(repository, "for-each-ref", `refs/collective/status/${tip}`);
    return refs === "" ? undefined : refs;
  });
}

async function until<Result>(
  { office, tryGit }: Chain,
  look: () => Promise<Result | undefined>,
): Promise<Result> {
  const deadline = Date.now() + ROLLOUT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const repository = office.at("repositories/acme");
  const tip = (await tryGit(repository, "rev-parse", "main")).stdout.trim();
  const status = await tryGit(repository, "cat-file", "-p", `refs/collective/status/${tip}`);
  throw new Error(`it did not happen in time; the runner says: ${status.stdout}${status.stderr}`);
}
