/** What the tests do in which nobody types `cui`: run the office, push a tag, see it reach the service. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Test } from "tap";
import { ask, machineStatus } from "./ask.ts";
import type { Chain } from "./chain.ts";

/** A quiet machine needs half a minute. */
const ROLLOUT_MS = 1_800_000;

/** The first push of a site rolls nothing out, the merge that describes a network does. */
export async function runOffice(t: Test, chain: Chain): Promise<void> {
  const { office, git } = chain;
  const site = office.at("AcmeOffice");
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
}

export interface PushedTag {
  readonly version: string;
  /** How the publisher reaches the repository. */
  readonly over: "HTTP" | "a path";
}

/** A publisher pushes a tag of Web, the pipelines bump, a person merges, and the service is of that version. */
export async function rollOutTag(t: Test, chain: Chain, { version, over }: PushedTag): Promise<void> {
  const { office, git, job, url } = chain;
  const { at } = office;
  const site = at("AcmeOffice");
  const versionsBefore = await versionsOf(chain, "Office");
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
  t.equal(await versionsOf(chain, "Office"), versionsBefore + 1, "one new version, not two");

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
}

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
